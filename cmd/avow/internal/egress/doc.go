// Package egress keeps the sets of an nftables ruleset filled with the addresses that declared hosts have.
//
// A ruleset of package verify/enforce lets packets to the addresses in its sets through, and each address leaves its set when
// its time is over. A [Follower] loads the ruleset with empty sets, asks one DNS resolver for the declared names, puts the answers into
// the sets for as long as they hold, and asks again before that time is over. An address that a host does not have any more stays
// until its own time has passed, so that connections that were begun by an older answer go on. Each step is one transaction
// of nft: packets see the old state or the new one.
//
// Trust: the resolver is the operator's and is believed for what a name's address is, since the product believes it too. The
// holder of a declared name chooses its addresses, and could choose those of the operator's own network, or of a metadata
// service: addresses that are not public ([Public]) are refused unless the operator allows them. Answers are foreign bytes:
// they are read once, with limits, and only what answers the question counts.
//
// It fails closed. Where the resolver does not answer, addresses run out. When the statement's time is over, or its standing is
// not known any more, the sets are emptied and the Follower ends. A table that somebody removed is loaded again.
//
// The protocol is that of RFC 1035 over UDP and TCP, with EDNS(0) of RFC 6891: https://www.rfc-editor.org/rfc/rfc1035
package egress
