// Package index verifies what the complete index over a log says: which entries of the log concern an artifact, a
// statement, a signer or a product, and that there are no others.
//
// The index is a map from keys to lists. Its keys are digests of texts such as "subject:sha256:…" ([Key]); the list of
// a key holds the log indices of the entries that concern it, in the order in which they were indexed ([Entry]). The
// map is a compressed binary prefix tree, and one hash, its root, commits to all of it. With that root a [Proof] shows either the
// list of a key ([Proof.Presence]) or that the tree has no such key ([Proof.Absence]). docs/index.md specifies the
// bytes, and testdata holds vectors that other implementations can be held against.
//
// # Trust
//
// A proof is as good as its root. The root has to come out of a log of its own, signed and cosigned by witnesses, so that
// everybody sees one; and somebody has to replay the map from the entries and statements, because a tree that was built
// wrongly on purpose (a key at a place that is not its own) proves what is not so. Both are the business of
// others; this package checks one proof against one root, opens no socket and believes nothing that it is given.
//
// # Contract
//
// Presence and absence exclude each other: no proof shows, for one root of a well-formed tree, that a key is there and that
// it is not. Every byte of an encoded proof counts: [ParseProof] takes one encoding of each proof and refuses whatever
// is left over. Errors are [*Error] with one of the codes of this package.
package index
