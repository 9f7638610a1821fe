// Package replay builds the complete index over a log: for every artifact, statement, signer and product the list of the
// log's entries that concern it, under one root that commits to all lists. What a root, a key and a proof are is package
// index's; docs/index.md specifies both.
//
// The service runs it to answer, and whoever audits the service runs it to compare: from the entries of the log, in their
// order, with their statements ([Tree.Index]).
//
// # Contract
//
// The index is derived: the same entries, added in the same order, give the same root, on any machine and after any
// restart. A [Tree] is changed by one goroutine and read by many: [Tree.Publish] makes a [Version], which never
// changes and answers proofs for its own root while the tree goes on. A version costs only what differs from the next
// one. Lists only grow; nothing is taken out of an index.
//
// # Trust
//
// Nobody needs to trust whoever built a tree: every answer is checked against a root, and the roots are compared with a
// replay. A snapshot is trusted no further than its root, which is computed again when it is read, and compared with one
// that is known from elsewhere.
//
// # Limits
//
// The tree lies in memory, with about 300 bytes for each key of one entry. Keys are SHA-256 digests, so that nobody can
// make it deeper than chance does by choosing what statements are about; finding keys that share 60 bits costs an attacker more
// than 2^59 hashes, and gives a path of 60 nodes.
package replay
