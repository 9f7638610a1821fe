// Package oidctest is an OpenID Connect issuer for tests: a real one, with a discovery document, a key set and signed
// tokens, on a loopback port of its own.
//
// It stands for the company's identity provider or the CI system whose tokens a certificate authority takes. Nobody signs
// in: a test asks for a token with the claims that it wants. Keys are made for each issuer and live in memory.
//
// Contract: Start returns when the issuer answers, and the end of the context stops it. [Issuer.Token] fills in what
// every token has (iss, aud, iat, exp, sub) and leaves the rest to the test. [Issuer.Sign] signs anything at all, for
// tests of those who must refuse it, and [Issuer.Handle] lets the issuer misbehave. Every request is counted, so that a
// test can show that none was made.
//
// Trust: none. It must never be part of a service; the package is imported by tests only.
//
// Specifications: OpenID Connect Core 1.0 and Discovery 1.0, RFC 7515 (JWS), RFC 7517 (key sets).
package oidctest
