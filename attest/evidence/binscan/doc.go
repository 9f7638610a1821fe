// Package binscan reads what a built program carries in its bytes: the build info that the Go toolchain writes into it, the hosts,
// URLs and addresses that stand in its strings, and credentials that should not be there. It serves rule W03 (specification,
// section 10): host names found in the binary that the data-flows statement does not declare are a likely omission.
//
// # Contract
//
//   - The file is read once, in pieces; memory is bounded by MaxHosts and MaxSecrets, whatever its size. A result that hit a bound
//     says so (Truncated) and must not be read as complete.
//   - Every host found is in the result. One that is known to be no peer (a licence, an XML namespace, the address of a linked
//     module's page, this machine) is listed with its class and the reason, never left out. The list of those is known.txt.
//   - Strings of Go programs stand next to each other without a separator, so the end of a host in a URL without a path is not
//     certain: Open says so, and a declared host that the text begins with counts as that host.
//   - A secret is never in the result: its kind, where it begins, its length and, for those that nobody can guess, the first 16
//     digits of its SHA-256. Passwords in URLs can be guessed, so they get no fingerprint.
//
// # Limits
//
// A host alone, without scheme or port, is found only where it is a string of its own between zero bytes, as C compilers write it: in Go
// programs it cannot be told from the names of functions. What is put together at run time, compressed, encrypted or encoded
// otherwise than as ASCII is not found. A clean result says that
// nothing stands there openly; it says nothing of what the program does.
//
// # Trust
//
// The binary is foreign: it is parsed, never run. Everything in a result comes from it: escape it before a terminal or a page.
package binscan
