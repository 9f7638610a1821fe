// Package audit builds the complete index step by step as it is published, and compares what an operator published with
// what the entries and statements give.
//
// # Purpose
//
// The index log holds one leaf for each step of the index ([index.Root]). The service makes the leaves with a [Builder];
// whoever audits it, and the service itself when it starts, goes through them with the same Builder and compares every one
// ([Audit], [Builder.Replay]). The first leaf that differs is named, with what was found and what was wanted: an entry that was
// left out, added or put elsewhere changes the root of its step.
//
// # Trust
//
// The entries have to be those of the statement log, and the leaves those of the index log, each below a checkpoint that the
// caller verified; whether they lead to the statement log's root at each step is compared here. A statement is taken only
// if it has the digest that its entry holds.
//
// # Contract
//
// What is unresolved is said by the leaves, not by what happens to be available: an audit comes to the same end whenever it is
// made. It needs every statement that a leaf does not call unresolved; if one cannot be had, it cannot go on
// ([CodeStatementMissing]), which is the operator's fault as much as a difference is. The package opens no socket.
package audit
