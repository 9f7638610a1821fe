// Package observe makes an observation of captures and logs: who a program had
// traffic with, under which names, how often and how much.
//
// # Purpose
//
// A declaration of data flows is worth as much as it agrees with what the
// software does. [Observe] reads what was recorded of a run (pcap and pcapng,
// conntrack, ss, Zeek, Cilium Hubble, strace, Envoy, Squid; several files are
// joined) and returns an [observation.Observation]: one peer for each name or
// address and port. [Live] does the same while packets come in.
//
// # How names come to addresses
//
// By the answers of name servers that were seen, in the order of time: the
// newest answer that was valid when a connection began. If several names had
// the address then, the peer is ambiguous, unless the program itself said which
// one it wanted, in the hello of TLS or QUIC or the Host of HTTP. What the
// program says is not believed against the answers: a name that had been given
// other addresses, or an address that had been given to other names only, is a
// conflict (gap nameConflict), and the peer stays without that name. So a
// connection to an undeclared peer does not pass under a declared one's name.
//
// # Trust
//
// Captures and logs are foreign and may be hostile. Memory is bounded by
// [Options.MaxFlows], [observation.MaxPeers] and the limits in names.go,
// whatever is read. What exceeds a limit, is cut, or cannot be decoded is never
// dropped in silence: it is a gap of the observation, and
// [observation.Observation.Gaps] without any means that everything was read. Where
// something can be read in two ways, it is read in the one that is worse for who
// declared the flows.
//
// # Contract
//
// Nothing here opens a socket, resolves a name or asks a clock. The same files
// and options give the same observation. Formats, gaps and namings are specified
// in docs/observing.md.
package observe
