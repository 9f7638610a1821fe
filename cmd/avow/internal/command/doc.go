// Package command holds the commands of avow, one file each.
//
// A command gets the surroundings of the process in an Env and touches nothing else: no package variable, no os.Args,
// no environment, no clock of its own. Its result is an exit code; see the documentation of command avow for their
// meaning. Where a registry is spoken to, libraries read more: docker's or podman's configuration for credentials, and
// the variables that name a proxy.
//
// Contract: what a command answers goes to standard output and nothing else does, so that output can be piped;
// progress, notes and errors go to standard error. An error has a sentence and a hint (failure). Files are written
// completely or not at all (temporary file, fsync, rename), private ones with mode 0600, and no existing key is ever
// overwritten.
//
// Trust: text from files and from the service is foreign. It reaches a terminal through text.Safe, and JSON output
// through printJSON, which escapes what a terminal could obey.
package command
