// Package trustroot describes and edits Sigstore trusted roots (trusted_root.json), for both programs.
//
// The operator announces a log or an authority before it is used, closes its window when it retires, and takes it out
// when its key was stolen; the buyer is shown in words what a new root changes. Both see the same entries ([Root.Entries]),
// named in the same way ([Entry.Ref]), and the same list of differences ([Diff]).
//
// A Root is parsed by [Parse], which applies the rules of package verify first: what a verifier would refuse cannot be
// edited. Editing adds, ends or removes whole entries and never changes a key. Every kind of entry is carried: logs,
// certificate transparency logs, certificate authorities and timestamp authorities.
//
// Nothing here decides whom to trust: whoever edits a root or takes a new one does. Names and addresses in a root are
// foreign text; what [Entry.Label] and [Change.String] return is one line of printable ASCII of bounded length.
//
// Specification: trusted_root.json is dev.sigstore.trustroot.v1.TrustedRoot of https://github.com/sigstore/protobuf-specs.
package trustroot
