// Package bundletest makes real Sigstore bundles for tests: real P-256 and
// ed25519 keys, a real RFC 6962 tree with signed checkpoints and proofs, real
// RFC 3161 timestamps and X.509 chains, and the trusted root that goes with
// them. Nothing is mocked, only small: the tree lives in memory.
//
// A [World] is everything that exists: a vendor, a log, authorities. [World.Issue]
// does what the service does, and a [Spec] can make it do so wrongly, with every
// signature still valid: another statement, another time, another leaf, another
// key. That is what negative tests need, because a bundle that is only damaged
// fails at its signature whatever is wrong with it. Damage that needs no new
// signature is done to the JSON, by [Edit].
//
// A World trusts itself alone: its clock is fixed (at [Epoch] by default), its
// keys are made for each test, and it opens no socket and writes no file. It is
// imported by tests only.
package bundletest
