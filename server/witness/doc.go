// Package witness is a witness of other people's transparency logs: it cosigns a checkpoint only if the log grew from the
// last one that it cosigned, and remembers that durably before the cosignature leaves it.
//
// # What it promises
//
//   - Two roots for one size of one log are never cosigned, and a tree is never cosigned that is smaller than, or no
//     extension of, the last one: not under concurrent calls, not after a crash, a kill or a power cut.
//   - Nothing is cosigned for a log that is not listed, or without a signature of one of that log's listed keys.
//   - A state that is missing or damaged is refused when the witness is opened. A log is enrolled by an explicit act
//     ([Enrol]); a lost file is not taken for a new log, because a witness that forgot would sign a fork.
//
// # What is trusted, and what is not
//
// Callers are not trusted and not authenticated: the log's signature on the checkpoint is all that counts. The logs are
// not trusted either; that is what a witness is for. The disk is trusted to keep what was synced. Whoever restores the
// state from a backup makes the witness forget: the directory must not be part of one. The clock gives the cosignatures
// their time and nothing else.
//
// # Specifications
//
//   - The protocol, https://c2sp.org/tlog-witness, without bastions
//   - Cosignatures, https://c2sp.org/tlog-cosignature, of Ed25519 keys (cosignature/v1)
//   - Checkpoints, https://c2sp.org/tlog-checkpoint, as signed notes, https://c2sp.org/signed-note
//   - RFC 6962, section 2.1.2: consistency proofs, https://www.rfc-editor.org/rfc/rfc6962
package witness
