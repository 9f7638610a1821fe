// Package identity signs without a key that anybody keeps: it finds a token that says who is running the program, makes a
// key for this run alone, and has a certificate authority certify that the key is that identity's.
//
// A token is a bearer secret for as long as it lives. It is sent to the certificate authority that the caller names and to
// nobody else; it is never printed, not even in errors ([Token] renders itself as a placeholder), and it is read here
// without being verified: the authority verifies it.
//
// Where tokens come from ([Find]): an environment variable or a file that the caller names, or what a CI system offers to
// its jobs. Of these only GitHub's has to be asked for: the one URL that its environment names is called, over TLS, with no
// redirect followed and a bounded answer.
//
// What comes back from an authority is foreign: it is read strictly by attest.ParseCertificate, must be for the key that
// was sent, and is shown to the user. Whether to believe the authority is for the service and the buyers, who have a trusted
// root.
//
// The protocol is Fulcio's version 2, over gRPC on the connection to avowd, or over HTTP to any other instance:
// https://github.com/sigstore/fulcio/blob/main/fulcio.proto
package identity
