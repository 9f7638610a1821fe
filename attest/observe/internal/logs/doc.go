// Package logs reads what other programs wrote about connections: conntrack,
// ss, Zeek, Cilium Hubble, strace, Envoy and Squid.
//
// # Contract
//
// [Detect] finds the format from the beginning of a file, [Read] reads it and
// calls a [record.Sink] for what it finds. A line that is not of the format is
// counted as a gap (undecoded) and not guessed at; a file in which no line is
// of the format is an error. Formats that speak of a connection several times
// (conntrack -E, Hubble) count it once.
//
// # Trust
//
// Logs hold text that came from foreign traffic. Lines are bounded by
// [MaxLine], the connections that are remembered by [maxOpen]; every number and
// address is parsed strictly, and what is not one is not used. A line that is
// longer than the bound is a gap, not memory.
//
// # Specification
//
// Those of the programs: conntrack(8), ss(8), strace(1), Zeek's ASCII and JSON
// writers, Cilium's observer.Flow in protobuf JSON, Envoy's default access log
// and its JSON form with the usual keys, Squid's native access.log.
package logs
