// Package pin keeps the trusted roots that a buyer decided to believe, and follows them.
//
// A pin has a name and a directory. Its anchor is a fingerprint: of the first root of a TUF repository, or of the trusted
// root of a service without one. What comes later is taken only if it follows from the anchor: by the TUF client
// workflow (go-tuf's updater), or, for a service, by the buyer naming the new root's digest. Everything else is refused
// with one of a closed list of codes ([Codes]), and what was pinned stays as it was.
//
// Trusted are the anchor and the files in the buyer's own directory. Nothing on the way is: one address is asked, without
// redirects, each answer is read up to a limit, and the transport is the caller's. Verification needs this package only
// to read a file: it opens no socket ([Pin.TrustedRoot]).
//
// An update is made in a directory of its own (a generation) and takes effect by the renaming of one small file, pin.json:
// an interrupted update changes nothing.
//
// Specification: https://theupdateframework.github.io/specification/latest/, section 5 (client workflow).
package pin
