// Package observation is what was seen of a program's network traffic: a
// summary by peer, as an in-toto runtime-trace v0.1 statement.
//
// # Purpose
//
// A data-flows statement says which peers a product has. An [Observation] says
// which were seen, from where, for how long, and what could not be seen from
// there. One is drafted from the other, and the two are compared. Who makes an
// observation (captures, logs, a traced run) and who reads it (drafting,
// comparing) share this package and nothing else.
//
// # Contract
//
//   - A peer is a name or, where none is known, an address; with it transport
//     and port. Two connections to the same peer are one [Peer] with two
//     connections, so a summary is bounded by distinct peers.
//   - Nothing is guessed. [Naming] says how a name came to an address, and a
//     peer without a name says why there is none. A count that was not
//     measured is absent, which is different from zero.
//   - What was not seen is said: [Vantage] says where the observer stood,
//     [Gap] what it missed. An observation that lists no gap claims that it saw
//     everything which its vantage sees.
//   - [Observation.Payload] writes the same bytes for the same observation, in
//     the order of [Observation.Sort]. [Parse] reads a statement of the type
//     strictly: unknown members of the summary are refused, because a member
//     that a reader does not know may be the one that names a peer.
//
// # Trust
//
// An observation is the word of whoever ran the observer. It can be signed, and
// then it is that party's word. It cannot show that a program never does what
// it was not seen doing. Names and text in it come from foreign traffic: escape
// them before a terminal or a page.
//
// # Specification
//
// The frame is in-toto's runtime-trace v0.1; the entries of its network list
// and the trace policy are those of [MonitorType], docs/observing.md.
package observation
