// Package statements is the durable store of signed statements and the index
// over them: what a vendor's envelope said, which timestamps and which log
// entry it received, and how it is found again by subject, vendor, product or
// predicate type.
//
// # Truth and derived rows
//
// Five tables are the truth and are never rewritten: signers (public keys, and
// identities), statements (the exact envelope bytes, who sent them and when),
// receipts (the certificate of an envelope and the tokens it came with), entries
// (the log entry with its proof, and the RFC 3161 tokens) and leaves (those that
// were given to the log without a statement, by their hash). Each statement and
// entry carries a CRC-32C of its own content, checked whenever the row is read,
// so a flipped bit on the disk is an error and never an answer.
//
// Everything else is derived from them and rebuilt by [Store.Reindex]: the
// tables pending and facts beside the truth, and the index for lists, a second
// database file. The index is written in large sorted batches off the path of
// the callers; what is committed and not yet in it is listed from memory. If it
// is missing, damaged, or of another store, the next start builds it anew.
//
// # Contract
//
//   - (StatementID, KeyID) is unique: one statement signed by one key has one
//     row for ever, however often and however concurrently it is put. The
//     uniqueness of a log leaf rests on this key, not on the log's own
//     deduplication.
//   - A nil error from [Store.PutPending] or [Store.Commit] means that the rows
//     are on stable storage (SQLite in WAL mode, synchronous=FULL).
//   - Issuing a statement costs two durable writes: PutPending before anything
//     irreversible happens, Commit after it. A process that dies between them
//     leaves a pending row, which [Store.PendingRows] returns at the next start.
//   - Writers are grouped: operations that wait at the same time share one
//     transaction and one fsync. An operation that fails by its own fault
//     (NOT_FOUND, CONFLICT) does not harm the others; a failed COMMIT fails all.
//   - One process owns the store; a second one is refused with STORE_LOCKED.
//   - Lists show committed statements only, in the order of the log, as soon as
//     Commit has returned. An index that is damaged or incomplete refuses to list:
//     a list that lacks a withdrawal would be worse than none.
//
// # Trust
//
// The package checks no signature and parses no statement: what it stores was
// opened by its caller, and what it returns must be verified again before it is
// served. It does check that a key id is the digest of the signer beside it, and
// every limit of limits.go. Errors have a [Error.Code] out of a closed list;
// their messages name no file.
//
// # Backups
//
// [Store.Backup] copies the store at one moment into a new file while it is in
// use (VACUUM INTO). Copying the database file with cp while the service runs
// is not a backup: the newest rows are in the -wal file beside it. Never open
// the database file with other code inside the same process: closing any file
// descriptor of it releases SQLite's POSIX locks. A restored store may be
// older than the log; the rows it misses are in the log and in the vendors'
// bundles, and it says so by having fewer rows than the log has leaves.
package statements
