// Package leaf reads who signed an entry of the statement log, and what digest, from the entry's bytes alone.
//
// # Purpose
//
// The complete index lists every entry under its signer, also when its statement cannot be had. What the entry says is
// all that there is then: the key or certificate, and the digest that a statement has to have.
//
// # Trust
//
// Nothing in an entry is believed to be true: neither its signature nor its certificate's chain is verified. An
// entry that names somebody who did not sign it is listed under that name and changes nothing that was really said; what is
// made of a statement is for package verify.
//
// # Contract
//
// [Read] takes exactly the bytes that a bundle of avow's can have as its log entry (docs/sigstore.md): a canonical
// hashedrekord 0.0.2 entry of an ECDSA P-256 key, or of a certificate with one subject alternative name and an issuer. All
// other entries are nobody's, because no bundle with them verifies. It opens no socket and is safe for concurrent use.
package leaf
