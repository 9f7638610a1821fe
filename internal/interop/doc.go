// Package interop shows that clients which avow did not write accept what avow issues.
//
// The bundles are those of `avowd quickstart`, made by a service that runs for the test; the clients are unmodified cosign
// (verify-blob-attestation with a key, a trusted root and signed timestamps, no network) and @sigstore/verify under node. Each
// also has to refuse a changed bundle: a client that accepts everything proves nothing. cosign verifies the verdicts that a
// buyer signs, too.
//
// There is nothing to import. The tests have the build tag interop, because they need programs that `go test ./...` must not
// need; .ci/run installs them, pinned, and names them in
//
//	AVOW_COSIGN        the cosign program
//	AVOW_SIGSTORE_JS   a node_modules directory installed from js/package-lock.json
//
// The clients are trusted for nothing here but being what their users run. What they leave unchecked is listed in the
// documentation of package verify.
package interop
