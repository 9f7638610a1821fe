// Package compare judges what was observed of a program's network traffic by
// what its vendor declared.
//
// # Purpose
//
// [Compare] takes a data-flows predicate and observations of the product (in-toto
// runtime-trace statements, package observation) and says of each peer whether
// it is declared, of each flow whether it was seen, and where what was seen
// deviates: TLS, trigger, interval, direction, switches without effect. The
// answer is a [Report]; [Compose] writes it as an in-toto test-result v0.1
// statement, which can be signed, logged and named as evidence.
//
// # Contract
//
//   - The default is unexpected. A peer that no endpoint of the declaration
//     accepts is undeclared. A peer of which no name is known can match address
//     blocks only; otherwise it is unclassified, and that fails as well.
//   - Expectations come from the declaration and from [Options], never from the
//     observation: its matchedFlow members are not read.
//   - Kinds of endpoints that name no peer (configured, discovered, localNetwork,
//     userDirected) match nothing until the verifier says which peers they are.
//   - Of the endpoints that accept transport and port of a peer the longest
//     match wins: host before suffix before address block, the longer suffix or
//     prefix before the shorter. A suffix means the names under it, not itself,
//     and none that is a public suffix (R22). A peer of several flows is as
//     declared if it is as one of them declares.
//   - [Report.Clean] is false for the zero value, for no observation, and for
//     every peer or finding that is not known to be fine.
//   - Compare keeps pointers to the peers; it changes nothing. It reads no clock
//     and no file. 100,000 peers and 256 flows take less than 100 ms.
//
// # Trust
//
// The declaration is the vendor's word: verify its bundle first. An observation
// is the word of the observer. A clean report says that nothing else was seen,
// from there, then; it never says that there is nothing else. A server name in a
// hello is the program's word: addresses are compared only where the declaration
// names addresses.
//
// # Specification
//
// docs/comparing.md lists every code. in-toto test-result v0.1:
// https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
package compare
