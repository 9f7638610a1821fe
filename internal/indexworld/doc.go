// Package indexworld is a statement log and index logs of a service, for tests of what audits them.
//
// Nothing in it is a stand-in: the logs are Tessera logs on disk with real keys and checkpoints, the entries are signed, and the
// index is built with the builder that the service has. What a test chooses is who builds the index: an honest operator
// ([World.Index]), or one with the same key who writes leaves of its own ([World.Cheat]).
//
// Contract: everything lies in a directory of the test and is closed at its end. A world is for one goroutine, but for
// [World.Handler], which serves what a service publishes: both logs, and statements by log index. It is imported by tests
// only (what guards its imports refuses server code, and this is nothing else).
//
// Trust: none needed. Keys are made for each world and written nowhere.
package indexworld
