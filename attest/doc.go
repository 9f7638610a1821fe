// Package attest is the vendor's side of avow: it turns release files and a composed statement into a signed
// envelope, the log leaf for that envelope, and, once a log has answered, a Sigstore bundle. It works offline; it
// opens no socket.
//
// The order is enforced by types. Each step takes only what the step before it returns:
//
//	files, directories  --SubjectsFromPaths-->  []Subject      hashed, named, checked
//	statement bytes     --Prepare-->            *Prepared      parsed strictly, issuance rules applied, PAE digest computed
//	*Prepared           --Sign-->               *Envelope      DSSE, exactly one ECDSA P-256 signature, verified after signing
//	envelope bytes      --Open-->               *Envelope      the receiving side: signature first, then the same rules
//	*Envelope           --Leaf-->               []byte         canonical Rekor v2 hashedrekord 0.0.2
//	*Envelope + entry   --NewBundle-->          []byte         Sigstore bundle v0.3 JSON
//
// Where an identity signs instead of a registered key, two more steps come before, and three have a form of their own:
//
//	certificate bytes   --ParseCertificate-->   *Certificate   one ECDSA P-256 key, exactly one identity
//	Signer + *Certificate --Certify-->          *CertifiedSigner  the same key in both
//	*Prepared           --SignCertified-->      *Envelope      leaf and bundle carry the certificate
//	envelope bytes      --OpenCertified-->      *Envelope      the signature is checked with the certificate's key
//
// No other function constructs a Prepared or an Envelope, and the zero values of both are refused everywhere. So what
// was not checked cannot be signed, and what was not signed (or whose signature was not verified) cannot be logged.
//
// # Bytes
//
// The payload is kept exactly as it came: it is parsed once, never rendered again, and its SHA-256 is the statement's
// id (StatementRef in the predicate specification, section 3). The envelope's JSON, in contrast, is always rendered
// by this package in one deterministic form, so nothing unauthenticated that a caller wrapped around the signature
// survives Open.
//
// # Trust
//
// A key in memory is trusted to be the vendor's; which key may speak for which vendor is decided elsewhere. Bytes
// given to Open, Reopen, LoadKey, ParsePublicKey, ParseCertificate and ReadInToto are foreign: they are limited in size before any
// work (limits.go) and parsed strictly. Keys are ECDSA P-256 only, the one choice that sigstore-go, cosign and
// @sigstore/verify all accept as key and as certificate; every other key is refused with the reason.
//
// # Specifications
//
//   - in-toto Statement v1: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
//   - DSSE v1: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
//   - Rekor v2 entries: https://github.com/sigstore/rekor-tiles/blob/main/api/proto/rekor/v2/entry.proto
//   - Sigstore bundle: https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
//   - RFC 8785 (JSON canonicalization), RFC 3161 (timestamps)
//
// # Compatibility
//
// The JSON of envelopes, leaves and bundles is a wire format: a change of one byte in a leaf makes every proof of it
// fail. The golden tests of this package compare each with the implementation that verifies it.
package attest
