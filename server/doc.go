// Package server is avow's service: the gRPC services of avow.v1 and the REST gateway over them.
//
// It turns requests into calls of the packages that do the work, and their errors into google.rpc.Status. It opens no
// listener, reads no file, environment or flag, and links no log driver and no database driver: cmd/avowd chooses those
// and hands them in through [Config].
//
// # Contract
//
//   - A statement is answered only after its envelope is stored durably, its leaf is covered by a signed checkpoint,
//     and the assembled bundle passed the buyer's own verification against the published trusted root (issue.go names
//     the steps).
//   - One statement signed by one key has one leaf and one bundle, however often, however concurrently and across
//     however many crashes it is sent. The unique key is the statement store's; a row that was left pending is
//     completed from the stored envelope by the code that serves requests ([Server.Reconcile]).
//   - Entries of Sigstore clients (rekor.go) have no statement until Issue is given it; they are one leaf too, and the
//     statement keeps their place in the log.
//   - The statements of a batch are issued together or not at all.
//   - Every error has one reason out of the closed list avow.v1.ErrorReason. Causes are logged and never sent.
//   - Every method has a rule in one table (access.go). What is not in the table is refused.
//
// # Trust
//
// Nothing in a request is trusted, its size and its transport metadata included. Who may issue is decided by the
// vendor registry: a key that is in no vendor's list speaks for nobody. Credentials (bearer token, client
// certificate) are needed only where the service signs on a vendor's behalf; for signed envelopes the signature is
// the credential, and for log entries too unless the operator asks for more. The address of a caller is that of its connection, unless the connection comes from a proxy that
// the operator named. No URL from a request is ever fetched. The service itself is not trusted by buyers: what it
// hands out verifies offline.
//
// # Specifications
//
//   - gRPC status details: https://google.aip.dev/193
//   - DSSE: https://github.com/secure-systems-lab/dsse, in-toto Statement v1: https://in-toto.io/Statement/v1
//   - Sigstore bundle v0.3 and trusted root: https://github.com/sigstore/protobuf-specs
//   - Rekor v2: https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/rekor_service.proto
//   - C2SP tlog-tiles: https://c2sp.org/tlog-tiles, RFC 3161 over HTTP
package server
