// Package listing checks offline that a list of statements is complete: that the log has no other entry about an artifact, about a
// product, or signed by a vendor's signers.
//
// # Purpose
//
// A service that answers "these are the statements about your artifact" could leave one out. A listing proof
// (avow.status.v1.ListingProof, docs/index.md, "Listings") shows the whole list that the complete index has under each key asked
// for. Check holds it against the caller's keys; [Result.Compare] holds what the service listed against it.
//
// # Trust
//
// The keys of the statement log and of the index log, and the witnesses, are the caller's. The index is as good as its root: that
// the operator built it rightly is found by auditors who replay it (package audit), and that everybody is shown the same one is the
// witnesses' to see to. Which signers are a vendor's is not in any log: a list of a vendor is complete for the signers that it names.
//
// # Contract
//
//   - A proof is refused as a whole with an *Error and one of its codes, or shows its lists. The lists are those of the caller's
//     keys, all of them and no others.
//   - An entry whose statement nobody could read when it was indexed is unresolved: it is there, and nobody knows what it says.
//     [Result.Unresolved] names it, so that a statement that is withheld does not look like none.
//   - Complete means: as of the tree size of the result. What was logged later is not known.
//
// The package opens no socket and reads no clock.
package listing
