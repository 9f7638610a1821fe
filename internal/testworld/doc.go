// Package testworld runs a whole service for the tests of programs that call one.
//
// Nothing in it is a stand-in: a Tessera log, a SQLite store, a timestamp authority and a vendor registry in a
// directory of the test, behind real gRPC on a loopback port, with TLS or without. What the test chooses is the
// clock, so that statements with fixed dates can be issued, and which keys the one registered vendor may sign with.
//
// Contract: Start returns when the service answers; Close stops it and waits. Everything lies below Config.Dir, which
// the caller removes. It is imported by tests only (the packages that guard their imports refuse server code, and
// this is nothing else); packages of the service itself have their own, wider worlds.
//
// Trust: none needed. Keys and certificates are made for each world and written nowhere outside Dir.
package testworld
