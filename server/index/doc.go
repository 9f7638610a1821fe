// Package index keeps the complete index in step with the statement log, and gives out answers with their proofs.
//
// # Purpose
//
// It reads the entries below each new checkpoint of the statement log with their statements, adds them to the index, logs
// the index's root in a second log, and, once that log's checkpoint covers the root, answers from it. An answer is a [Set]: the
// checkpoint of the statement log, the index of exactly its entries, and the root's inclusion proof under the index log's
// checkpoint. A set never changes; the next one replaces it at once and as a whole, and no reader waits for it.
//
// # Contract
//
//   - Every root that is answered from is the last leaf of the index log's checkpoint that goes with it.
//   - The order is: log the root, then answer from it. A crash in between loses no root; at the next start the leaves are
//     replayed from the entries and statements, from a snapshot on where a usable one is there, and every root has to come
//     out as it was logged. If one does not, [Open] refuses with the code of package audit, and [OpenHalting] answers
//     nothing: what was answered before is not what the log gives, and an operator has to look.
//   - An entry whose statement cannot be had is unresolved, and looked for again. That the store does not answer is
//     another thing: the index waits, and its lag grows.
//   - [Index.Lag] is meant to stay below [LagAim]; above [MaxLag] [Index.Health] says so.
//
// # Trust
//
// Both logs verify their own disks. A snapshot is believed only as far as it leads to a logged root. The package knows nothing
// of requests: what a caller may see is decided before.
//
// # Limits
//
// The index lies in memory, about 300 bytes for each key (package replay); a step is cut where its leaf is full.
package index
