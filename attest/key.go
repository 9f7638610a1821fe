package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
)

const (
	publicKeyPEMType = "PUBLIC KEY"

	hintKeygen = "make a key with `avow keygen` or `cosign generate-key-pair`; both make ECDSA P-256 keys"
)

// verificationKey is a P-256 public key whose point was checked, with its SPKI encoding.
type verificationKey struct {
	public *ecdsa.PublicKey
	spki   []byte
	digest [sha256.Size]byte
}

// newVerificationKey checks that the key is there, is on P-256 and is encodable.
func newVerificationKey(pub *ecdsa.PublicKey) (*verificationKey, error) {
	if pub == nil || pub.Curve == nil {
		return nil, &Error{Code: CodeKeyUnsupported, Detail: "there is no key to verify the signature with", Hint: hintKeygen}
	}
	if pub.Curve != elliptic.P256() {
		return nil, unsupportedKey(pub)
	}
	spki, err := x509.MarshalPKIXPublicKey(pub) // refuses a point that is not on the curve
	if err != nil {
		return nil, &Error{Code: CodeKeyMalformed, Detail: "the public key is not a point of P-256", Err: err, Hint: hintKeygen}
	}
	return &verificationKey{public: pub, spki: spki, digest: sha256.Sum256(spki)}, nil
}

func (k *verificationKey) id() string { return "sha256:" + hex.EncodeToString(k.digest[:]) }

func (k *verificationKey) hint() string { return base64.StdEncoding.EncodeToString(k.digest[:]) }

// verify checks an ASN.1 DER signature over the digest.
func (k *verificationKey) verify(digest [32]byte, signature []byte) error {
	if ecdsa.VerifyASN1(k.public, digest[:], signature) {
		return nil
	}
	return &Error{Code: CodeSignatureInvalid,
		Detail: fmt.Sprintf("the signature does not verify with key %s", k.id()),
		Hint:   "the statement was changed after signing, or another key signed it"}
}

// unsupportedKey says why a key of another kind is refused. The table behind it was measured with sigstore-go, cosign
// and @sigstore/verify: only P-256 works in all of them, as a key and in a certificate.
func unsupportedKey(key any) *Error {
	e := &Error{Code: CodeKeyUnsupported, Hint: hintKeygen}
	switch k := key.(type) {
	case ed25519.PublicKey, ed25519.PrivateKey:
		e.Detail = "ed25519 keys are not supported: a hashedrekord log entry needs the pre-hashed variant, " +
			"which cosign and @sigstore/verify do not verify; want ECDSA P-256"
	case *rsa.PublicKey:
		e.Detail = fmt.Sprintf("RSA keys (here %d bits) are not supported: verification is slow and in-toto and Sigstore pad differently; "+
			"want ECDSA P-256", k.N.BitLen())
	case *rsa.PrivateKey:
		return unsupportedKey(&k.PublicKey)
	case *ecdsa.PublicKey:
		e.Detail = fmt.Sprintf("ECDSA %s keys are not supported: cosign --key and @sigstore/verify hash with SHA-256 only and "+
			"reject such signatures; want ECDSA P-256", k.Curve.Params().Name)
	case *ecdsa.PrivateKey:
		return unsupportedKey(&k.PublicKey)
	default:
		e.Detail = fmt.Sprintf("keys of type %T are not supported; want ECDSA P-256", key)
	}
	return e
}

// KeyID returns the id of a public key: "sha256:" and the hex SHA-256 of its SPKI DER. The error is *Error with
// CodeKeyUnsupported or CodeKeyMalformed.
func KeyID(pub *ecdsa.PublicKey) (string, error) {
	k, err := newVerificationKey(pub)
	if err != nil {
		return "", err
	}
	return k.id(), nil
}

// ParsePublicKey reads a PEM file with one "PUBLIC KEY" block (SPKI) and nothing else. Only ECDSA P-256 is taken. The
// encoding must be the one that this package would write, because the key's id is a hash of it.
//
// The error is *Error with CodeKeyMalformed or CodeKeyUnsupported.
func ParsePublicKey(data []byte) (*ecdsa.PublicKey, error) {
	block, err := onePEMBlock(data)
	if err != nil {
		return nil, err
	}
	if block.Type != publicKeyPEMType {
		return nil, keyMalformed(fmt.Sprintf("the PEM block is %.60q, want %q", block.Type, publicKeyPEMType), nil,
			"give the .pub file, not the .key file or a certificate")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, keyMalformed("the public key does not parse", err, hintKeygen)
	}
	pub, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, unsupportedKey(parsed)
	}
	k, err := newVerificationKey(pub)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(k.spki, block.Bytes) {
		return nil, keyMalformed("the public key is not in the usual encoding (DER, uncompressed point)", nil, hintKeygen)
	}
	return pub, nil
}

// MarshalPublicKey returns the PEM file that ParsePublicKey and cosign --key read. The error is *Error with
// CodeKeyUnsupported or CodeKeyMalformed.
func MarshalPublicKey(pub *ecdsa.PublicKey) ([]byte, error) {
	k, err := newVerificationKey(pub)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: publicKeyPEMType, Bytes: k.spki}), nil
}

// onePEMBlock reads the only PEM block of a file, without headers; whitespace may follow it, nothing else may.
func onePEMBlock(data []byte) (*pem.Block, error) {
	if len(data) > MaxKeyFileBytes {
		return nil, keyMalformed(fmt.Sprintf("the key file has %d bytes, the limit is %d", len(data), MaxKeyFileBytes), nil,
			hintKeygen)
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, keyMalformed("the key file is not PEM", nil, hintKeygen)
	}
	first := bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN "))
	if !first || len(bytes.TrimSpace(rest)) != 0 || len(block.Headers) != 0 {
		return nil, keyMalformed("the key file holds more than one PEM block without headers", nil, "keep one key in one file")
	}
	return block, nil
}

func keyMalformed(detail string, err error, hint string) *Error {
	return &Error{Code: CodeKeyMalformed, Detail: detail, Err: err, Hint: hint}
}
