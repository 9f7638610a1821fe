package attest

import (
	"encoding/base64"
)

// The kind and version of every leaf: the only ones that sigstore-go from v1.2.0 and cosign from v3.1.1 accept from a
// Rekor v2 log.
const (
	// LeafKind is the kind of the log entry.
	LeafKind = "hashedrekord"
	// LeafVersion is the version of that kind.
	LeafVersion = "0.0.2"

	leafKeyDetails = "PKIX_ECDSA_P256_SHA_256" // default for a P-256 key; verifiers rebuild the leaf with the default
	leafAlgorithm  = "SHA2_256"
)

// Leaf returns the canonical Rekor v2 hashedrekord 0.0.2 entry over the PAE digest: the exact bytes that the log
// hashes, about 490 with a key. They hold a digest, the signature and the key or the certificate, nothing of the statement.
//
// Verifiers do not read these bytes, they rebuild them from the bundle, so no member can be added. The form is RFC
// 8785 (sorted members, no whitespace); it is written out here because every value is fixed text or base64, which
// needs no escaping, and compared with rekor-tiles' own construction in the tests.
//
// The error is *Error with CodeNotPrepared for a value that Sign, Open or Reopen did not make.
func (e *Envelope) Leaf() ([]byte, error) {
	if !e.valid() {
		return nil, &Error{Code: CodeNotPrepared, Detail: "only a signed envelope has a log entry"}
	}
	b64 := base64.StdEncoding.EncodeToString
	member, verifier := "publicKey", e.key.spki
	if e.certificate != nil {
		member, verifier = "x509Certificate", e.certificate.der
	}
	return []byte(`{"apiVersion":"` + LeafVersion + `","kind":"` + LeafKind + `","spec":{"hashedRekordV002":{` +
		`"data":{"algorithm":"` + leafAlgorithm + `","digest":"` + b64(e.pae[:]) + `"},` +
		`"signature":{"content":"` + b64(e.signature) + `","verifier":{"keyDetails":"` + leafKeyDetails + `",` +
		`"` + member + `":{"rawBytes":"` + b64(verifier) + `"}}}}}}`), nil
}
