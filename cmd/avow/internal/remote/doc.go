// Package remote calls the service.
//
// It opens the connection with TLS unless the caller asks for none, and then only to a loopback address: the check is
// made on the address that was really reached, so no name can point elsewhere. Credentials are a client certificate
// or a bearer token from a file; a token is sent over TLS only (or over loopback) and is never printed.
//
// Calls are repeated where the service says that repeating helps (RetryInfo of google.rpc, status UNAVAILABLE), with
// growing pauses, until the caller's deadline. That is safe because all calls of the API are idempotent; see
// proto/avow/v1/attestation_service.proto. Errors are turned into *Error, which carries the reason from the closed
// list of proto/avow/v1/errors.proto, every field violation, and a hint.
//
// Trust: what the service answers is not believed here. The caller checks statements by digest and bundles by
// verification.
package remote
