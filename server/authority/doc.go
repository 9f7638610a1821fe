// Package authority gives statements their time: it issues RFC 3161 timestamp
// tokens over signatures with a key of its own ([Authority]), and asks a foreign
// authority for them ([Remote]). Both have the same method,
// Timestamp(ctx, signature), and both return the TimeStampResp in DER form, as a
// Sigstore bundle carries it.
//
// # What a token says
//
// The message is the raw DSSE signature, hashed with SHA-256: the token proves
// that the signature existed at its time. A token of an authority that is run by
// the operator of the log proves nothing against that operator; a service that
// has to withstand its own operator adds the token of a foreign authority.
//
// # Rules that are enforced here
//
//   - The leaf certificate has exactly the extended key usage timeStamping,
//     critical, and is no CA (RFC 3161, section 2.3); keys are ECDSA P-256.
//   - Time is in UTC with whole seconds and never runs backwards within one
//     authority: a clock that went back is the error TIME_WENT_BACK until it has
//     caught up, never an earlier token.
//   - Serial numbers hold 128 random bits (RFC 3161, section 2.4.2: unique).
//   - The leaf certificate travels in each token, the rest of the chain in the
//     trusted root.
//   - Requests are at most [MaxRequestBytes], with SHA-256, SHA-384 or SHA-512.
//   - A remote answer is at most [MaxResponseBytes], must grant, carry the nonce
//     and the hash that were sent, and verify against the configured chain.
//     Redirects are not followed; the URL comes from the operator alone.
//
// Specifications: RFC 3161 (protocol and token), RFC 5816 (ESSCertIDv2), RFC 5652 (CMS).
package authority
