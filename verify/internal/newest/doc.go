// Package newest verifies the root of the complete index under the checkpoints of both logs: the beginning of every proof by it.
//
// # Purpose
//
// A status bundle (package standing) and a listing proof (package listing) begin alike: a checkpoint of the statement log, one of the
// index log, and the index root that is the index log's last leaf and about the other's tree. What is shown under that root afterwards
// is theirs.
//
// # Trust
//
// The keys of both logs and the witnesses are the caller's. Nothing that is shown is believed before it was verified with them. The
// root is as good as the operator who made it: whether it is the index of that tree is found by auditors.
//
// # Contract
//
//   - An older root is none: it says what was true before. So the leaf must be the last one under the index log's checkpoint.
//   - The checks go in the order of docs/index.md: first the statement log's checkpoint, then the index log's, then the root, then
//     its tree. The first that does not hold is the [Error], with its kind.
//   - Limits on the number and length of hashes are the caller's, before [Open].
//
// The package opens no socket and reads no clock.
package newest
