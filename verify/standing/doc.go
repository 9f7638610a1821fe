// Package standing tells offline whether a statement still stands: what a status bundle shows about it, and until when.
//
// # Purpose
//
// A Sigstore bundle shows that something was said. A status bundle (proto/avow/status/v1, docs/index.md) shows everything
// that was said about it afterwards, with the proof of the complete index that it is everything. [Check] holds the two
// against each other and against the caller's keys, and comes to one of a closed set of standings.
//
// # Trust
//
// Keys of the statement log and of the index log, and the witnesses, are the caller's; nothing in a status bundle is believed
// before it was verified with them. The index is as good as its root: that the operator built it rightly is found by
// auditors who replay it (package audit), and that everybody is shown the same one is the witnesses' to see to. A caller
// without witnesses trusts the operator in both, and has to say itself as of when it got the bundle.
//
// # Contract
//
//   - The zero standing is Unknown, and so is everything that is not shown: a statement about the target that is listed and not
//     delivered or does not verify; an entry by the target's signer that nobody can read; an index that does not cover
//     the target yet.
//   - What the target's own signer says changes its standing: the key, or the identity with its issuer; and what the caller's
//     [Options.Withdrawers] say, of whom the caller knows that they took its place; a caller with a registry says so by
//     [Options.InPlace]. A withdrawal by anybody else makes the standing unknown: the service takes it from a registered successor or recovery key alone, so that it is either
//     that, or the operator's lie, and no registry is at hand offline to tell which. Anybody else's successor changes
//     nothing. A withdrawal cannot be withdrawn.
//   - Others can dispute and assess. A dispute is open until whoever opened it says that it is settled, or one of
//     [Options.Arbiters] who is no party rejects it; the target's own signer cannot close it, and one that is upheld stays open.
//   - Where several things could be said the order is: withdrawn; unknown (not covered, undelivered or unverified, unresolved, a
//     foreign withdrawal); superseded; expired; no time; stale; partly withdrawn; in force.
//   - A bundle that is not what it claims is refused as a whole with an [*Error] and one of its codes. What is not refused
//     shows the same for every reader: there is one binary encoding.
//   - Older than the caller allows is Stale, never in force. A withdrawal does not become stale.
//
// A status file holds one status bundle, or many ([ParseSet]). [Set.Func] is what [verify.Input] takes: it finds the status
// of a statement in the file and checks it.
//
// The package opens no socket and reads no clock.
package standing
