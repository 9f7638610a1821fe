// Package identity tells who the holder of an OpenID Connect ID token is: the name that a certificate may carry, and
// Fulcio's extensions that go with it. It is the part of the certificate authority that speaks to the outside.
//
// # Trust
//
// A token is a stranger's bytes until its signature is verified with a key of an issuer that the operator has
// configured. The claim iss is looked up in that list, as an exact string; it is never the beginning of a request, and
// neither is any other URL of a token (jku, x5u, _claim_sources). What is fetched is the discovery document of a
// configured issuer and the key set that it names, on the issuer's own host or where the operator says: https, or
// http on loopback; no redirects; bounded in size and time; once for all callers, and not again at once when it failed
// or when a token names a key that is not there. An issuer is trusted for the names below its configured form only: a
// uri issuer for one host, a CI system for the addresses of one platform.
//
// # Contract
//
// [Verifier.Identify] checks, in this order and before anything is fetched: size, number of dots, header (algorithm out
// of a closed list, no critical extensions), claims (no repeated member, exact names), issuer. Then the signature, then
// times and audience, then the identity. Each refusal is an [*Error] with one code. Names are refused rather than
// repaired: an e-mail address or URI that is not in the one plain form could be taken for another one.
//
// # Specifications
//
//   - OpenID Connect Core 1.0, section 2 (ID token) and 3.1.3.7 (validation); Discovery 1.0, section 4
//   - RFC 7515 (JWS), RFC 7517 (key sets), RFC 8725 (best practices)
//   - Fulcio: names and extensions, https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md and docs/oidc.md
package identity
