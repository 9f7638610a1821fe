// Package tlog is the transparency log: opaque leaves in; index, checkpoint and proof out. It is built on Tessera,
// which sequences, integrates and stores, and adds what Tessera leaves to its caller: one wait per leaf, proofs without
// reading tiles, and a signer that does not trust the disk.
//
// # What it promises
//
//   - [Log.Append] answers only when a published checkpoint covers the leaf, with a proof that was verified against it. What was
//     answered survives a crash of the process and a power cut.
//   - Nothing is signed that is not an extension of what was signed before, computed from the entries as they lie on disk: a
//     flipped bit, a restored snapshot or a rolled back tree state is refused when the log is opened and, under a running log,
//     before the next signature. The log then stops with [CodeRollback] or [CodeCorrupt] and says why; going on is an
//     operator's decision.
//   - Equal leaves in flight, or appended recently by the same Log, share one index. Uniqueness over restarts is the caller's.
//   - No caller waits for longer than its context allows, and none for longer than [MaxLag] after its leaf was integrated.
//   - Damage in old files is not served as a proof or an entry of this package's methods; [Log.Fsck] finds it.
//
// # What is trusted, and what is not
//
// The disk is trusted to keep what was synced until power returns, not to keep every bit and not to be the newest copy
// of itself. The clock is not trusted: publication goes on when it jumps. The anchor file is trusted: it is the only
// memory of what was signed that a restored directory does not bring with it, so it must lie elsewhere, must not be
// part of the same backup, and is never recreated: a log without its anchor is not opened ([CodeAnchorMissing]).
// Whoever holds the key and the anchor can fork the log; that is what witnesses are for. They are not trusted either: one
// that is slow, away or lying does not count ([Witnesses]).
//
// # How a leaf travels
//
// A caller's leaf waits in a queue (submit), is given to Tessera, which batches, writes entry bundle, tiles and tree
// state durably (collect), and asks the guarded signer for a checkpoint of the larger tree. The guard reads the new
// entries back from disk, computes the root from them and from the last signed tree, compares, signs, and replaces the
// anchor durably. Where there is a witness policy, Tessera then asks the witnesses, and goes on only with a quorum of their
// cosignatures; without one it asks again at its next interval. It publishes the checkpoint file, which publish waits for; it wakes the callers that are
// covered, and only those. Each of them builds and verifies its own proof from nodes in memory, without a lock and
// without a disk. At every step a crash leaves published <= signed <= integrated, which is what [Open] verifies.
//
// # Specifications
//
//   - RFC 6962, section 2.1: the Merkle tree, https://www.rfc-editor.org/rfc/rfc6962
//   - Checkpoints, https://c2sp.org/tlog-checkpoint, as signed notes, https://c2sp.org/signed-note, with ed25519 keys
//   - Static serving, https://c2sp.org/tlog-tiles
//   - Witnesses, https://c2sp.org/tlog-witness, with policies, https://c2sp.org/tlog-policy
//
// The package does not know what a leaf means. A driver's package (package posix) constructs the [Storage].
package tlog
