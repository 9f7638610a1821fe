// Package enforce compiles a verified data-flows statement into an egress policy: what the vendor declared may leave the
// machine, and nothing else does.
//
// It takes only what verification established. [Compile] starts from a *verify.Verdict that a Verifier gave and accepted, and
// reads the statement of its evidence: there is no way in for a statement that was merely parsed, for a bundle, or for a
// verdict that somebody wrote. A statement that is not in force at [Options].Now is refused although the verdict was once
// accepted, and so is one whose standing was asked for and is not good, or is no longer fresh. Items that were withdrawn are
// not compiled. Each refusal has a stable [Code].
//
// A policy is never wider than the statement. An endpoint that a target cannot express exactly is not approximated: it is
// listed ([Item]), and nothing is compiled until [Options].AllowUncompiled says that it is to be left out. Where two flows
// share a peer, leaving one of them out cannot be enforced at the network: that is listed too. What the operator adds, values
// of configured endpoints and a resolver, is the operator's own and comes from [Options], never from the statement.
//
// Trust: the statement is the vendor's word, and every text in it is hostile. Host names and address blocks are checked again
// here; titles and names reach the output in annotations and comments alone, quoted for the target's syntax. The package
// opens no socket and resolves nothing: [Policy.Fill] turns answers that somebody else got into the commands that fill the
// sets of an nftables ruleset.
//
// Limits of what a network can enforce hold for every target: it sees addresses, ports and names, and neither purposes nor
// data. Two services at one address are one peer to nftables; a proxy sees the name that the client asks for.
//
// Contract: for one statement, one set of options and one time the output is the same, byte for byte. [Compare] tells a
// deployed policy from the one that would be compiled now.
package enforce
