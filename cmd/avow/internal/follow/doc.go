// Package follow reads a transparency log over HTTP, checks that it only grows and that its tiles are those of the tree
// that it signs, and writes down what it caught. Packages monitor and audit look through what it read.
//
// # Trust
//
// The logs' keys are the caller's ([Logs]). Nothing else is trusted: every answer of the server is bounded before it is read
// (limits.go), no redirect is followed, and what was not checked is not handed out, but by [TreeReader.Nodes], which says so.
//
// # Contract
//
// What could not be looked at is an [Outage], what must not happen is a [Caught] with its [Evidence]. The two are never
// mixed: an unreachable log is not a lying one. [TreeReader.Advance] goes on from what was [Seen], and finds another tree in its
// place, whatever the tiles say of it.
//
// Misbehaviour that the logs' own signatures prove can be shown to anybody: [Evidence] is self-contained and is checked
// offline by [Evidence.Check]. What a server answered is signed by nobody; evidence of that kind says that it is no proof.
//
// # Specifications
//
// https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint, RFC 6962 section 2.1, Rekor v2 hashedrekord 0.0.2.
package follow
