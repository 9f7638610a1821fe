package certauthority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/cryptoutils/goodkey"
	"github.com/sigstore/sigstore/pkg/signature"
)

// KeyFromProof reads a public key (PEM, or DER as text, as Fulcio's API takes it) and verifies that proof is a signature
// over the challenge with it: SHA-256, ECDSA in ASN.1 form or RSA PKCS #1 v1.5. Errors are *Error with CA_REQUEST,
// CA_KEY_UNSUPPORTED or CA_POSSESSION.
func KeyFromProof(content string, proof []byte, challenge string) (crypto.PublicKey, error) {
	switch {
	case len(content) == 0 || len(content) > MaxKeyBytes:
		return nil, fail(BadRequest, nil, "the public key has %d bytes, want 1 to %d", len(content), MaxKeyBytes)
	case len(proof) == 0 || len(proof) > MaxProofBytes:
		return nil, fail(Unproven, nil, "the proof of possession has %d bytes, want 1 to %d", len(proof), MaxProofBytes)
	}
	key, err := cryptoutils.UnmarshalPEMToPublicKey([]byte(content))
	if err != nil {
		if key, err = x509.ParsePKIXPublicKey([]byte(content)); err != nil {
			return nil, fail(BadRequest, err, "the public key is neither PEM nor DER")
		}
	}
	if err := checkSignersKey(key); err != nil {
		return nil, err
	}
	verifier, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return nil, fail(UnsupportedKey, err, "no signatures can be verified with the key")
	}
	if err := verifier.VerifySignature(bytes.NewReader(proof), strings.NewReader(challenge)); err != nil {
		return nil, fail(Unproven, err, "the proof of possession is not a signature over %q with the public key", challenge)
	}
	return key, nil
}

// KeyFromRequest reads a certificate signing request (PKCS #10, PEM). Its signature is the proof of possession; whatever
// else it asks for is not looked at. Errors are those of KeyFromProof.
func KeyFromRequest(request []byte) (crypto.PublicKey, error) {
	if len(request) == 0 || len(request) > MaxKeyBytes {
		return nil, fail(BadRequest, nil, "the signing request has %d bytes, want 1 to %d", len(request), MaxKeyBytes)
	}
	csr, err := cryptoutils.ParseCSR(request)
	if err != nil {
		return nil, fail(BadRequest, err, "the signing request is not PKCS #10 in PEM form")
	}
	if err := checkSignersKey(csr.PublicKey); err != nil {
		return nil, err
	}
	switch csr.SignatureAlgorithm {
	case x509.ECDSAWithSHA256, x509.SHA256WithRSA:
	default:
		return nil, fail(UnsupportedKey, nil, "the signing request is signed with %s, want SHA-256", csr.SignatureAlgorithm)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fail(Unproven, err, "the signing request is not signed with its own key")
	}
	return csr.PublicKey, nil
}

// checkSignersKey accepts the keys that every client and the log of statements verify.
func checkSignersKey(key crypto.PublicKey) error {
	name := fmt.Sprintf("%T", key)
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return checkGoodKey(key)
		}
		name = "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n == 2048 || n == 3072 {
			return checkGoodKey(key)
		}
		name = fmt.Sprintf("RSA of %d bits", k.N.BitLen())
	}
	return fail(UnsupportedKey, nil, "the key is %s; certificates are for ECDSA P-256, and RSA of 2048 or 3072 bits", name)
}

// checkGoodKey refuses keys that are known to be weak: odd exponents, factors that are close or small, faulty hardware.
func checkGoodKey(key crypto.PublicKey) error {
	if err := goodkey.ValidatePubKey(key); err != nil {
		return fail(UnsupportedKey, err, "the key is weak")
	}
	return nil
}
