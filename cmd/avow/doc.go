// Command avow is the client of avow: it drafts, checks, signs and issues statements about a release on the vendor's
// side, and verifies them on the buyer's side.
//
//	avow keygen                        make a signing key
//	avow draft no-backdoor app.tar.gz  a statement to fill in
//	avow lint no-backdoor.json         check it against the issuance rules
//	avow attest no-backdoor.json ...   sign it, have it logged, write the bundle
//	avow verify app.tar.gz ...         check file, bundle and claims, offline
//	avow attach IMAGE@sha256:... ...   put the bundles beside an image in its registry
//	avow policy list                   the rules that verify --policy can apply
//
// Every command explains itself with examples under --help. This package holds the parts that touch the process:
// arguments, environment, standard streams, terminal, signals and the exit code. The commands are in
// internal/command, which gets all of these handed in, so that tests run them in one process.
//
// # Exit codes
//
// 0 yes (accepted, clean, done), 1 no (rejected, findings, refused by the rules or by the service, not there), 2 could
// not be carried out (wrong usage, unreadable file, service not reached). Messages for people go to standard error, end with
// a line "hint:", and are no interface; what a program needs is in the exit code and in --format json.
//
// # Trust
//
// The client links no server code. verify opens no socket and reads nothing but the files that it is given, and what a policy
// among them names in its own directory; only for an image whose bundles are not given, it reads those from the image's
// registry, and trusts it for nothing.
// Everything that a file or a service says is escaped before it reaches a terminal. Passwords and tokens come from a
// file, the environment or a prompt, never from an argument, and are never printed.
package main
