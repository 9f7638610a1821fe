// Package evidence makes documents into evidence entries of statements and puts entries into drafts.
//
// The packages below it make the documents, each from one source: reach from Go source, binscan from a built program, rebuild by
// building again, layout from a supply chain that others signed. capability holds the document that reach writes and others read.
//
// # Contract
//
//   - Evidence is named by the SHA-256 of the document's exact bytes (specification, section 4); nothing is copied into a statement.
//   - [Into] changes a draft in one place, the end of predicate.evidence, and is idempotent.
//
// # Trust
//
// A document is the word of whoever made it. The entry that [Entry] returns says nothing of independence, which reads as firstParty:
// whoever names somebody else's work adds the producer by hand. A draft is foreign bytes: it is scanned strictly before it is changed.
package evidence
