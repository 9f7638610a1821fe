package attest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// PEM types of cosign's encrypted key files: the body is the JSON of go-securesystemslib/encrypted (scrypt and NaCl
// secretbox) around a PKCS #8 key. cosign writes the first since v2 and reads both.
const (
	sigstoreKeyPEMType = "ENCRYPTED SIGSTORE PRIVATE KEY"
	cosignKeyPEMType   = "ENCRYPTED COSIGN PRIVATE KEY"
)

// KeyFile is a private key from an encrypted key file. It is a Signer, and safe for concurrent use.
type KeyFile struct {
	private *ecdsa.PrivateKey
}

// GenerateKey makes a new ECDSA P-256 key.
func GenerateKey() (*KeyFile, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return &KeyFile{private: private}, nil
}

// MarshalEncryptedKey returns the key in cosign's encrypted PEM format; cosign --key reads it with the same password.
// Neither the key nor the password is kept. The password must not be empty (CodeKeyPassword): the file format would
// accept it, and the key would be readable by anybody who gets the file.
func MarshalEncryptedKey(k *KeyFile, password []byte) ([]byte, error) {
	if k == nil || k.private == nil {
		return nil, &Error{Code: CodeKeyUnsupported, Detail: "there is no key to write", Hint: hintKeygen}
	}
	if len(password) == 0 {
		return nil, &Error{Code: CodeKeyPassword, Detail: "the password for the key file is empty",
			Hint: "set AVOW_PASSWORD or type a password"}
	}
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	defer clear(der)
	sealed, err := encrypted.Encrypt(der, password)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: sigstoreKeyPEMType, Bytes: sealed}), nil
}

// LoadKey opens an encrypted key file as avow and cosign write it, also under cosign's older PEM type. The work for a
// wrong password is bounded: only the library's three scrypt settings are accepted, whatever the file asks for. The
// decrypted encoding is overwritten before LoadKey returns; the caller should clear the password.
//
// The error is *Error with CodeKeyMalformed, CodeKeyPassword or CodeKeyUnsupported; it never holds key material.
func LoadKey(data, password []byte) (*KeyFile, error) {
	block, err := onePEMBlock(data)
	if err != nil {
		return nil, err
	}
	switch block.Type {
	case sigstoreKeyPEMType, cosignKeyPEMType:
	case "PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY":
		return nil, keyMalformed(fmt.Sprintf("the key file is not encrypted (%q)", block.Type), nil,
			"encrypt it with `cosign import-key-pair --key FILE`")
	case publicKeyPEMType:
		return nil, keyMalformed("the key file holds a public key", nil, "give the .key file, not the .pub file")
	default:
		return nil, keyMalformed(fmt.Sprintf("the PEM block is %.60q, want %q", block.Type, sigstoreKeyPEMType), nil, hintKeygen)
	}
	der, err := encrypted.Decrypt(block.Bytes, password)
	if err != nil {
		// The library has no error kinds; a damaged file and a wrong password look alike to an authenticated cipher.
		return nil, &Error{Code: CodeKeyPassword, Detail: "the key file does not open with this password", Err: err,
			Hint: "check AVOW_PASSWORD; for a key made by cosign it is the COSIGN_PASSWORD of that time"}
	}
	defer clear(der)
	return parsePrivateKey(der)
}

// parsePrivateKey reads a PKCS #8 key and takes ECDSA P-256 only.
func parsePrivateKey(der []byte) (*KeyFile, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		// The cause may quote bytes of the key; it is left out on purpose.
		return nil, keyMalformed("the decrypted key is not PKCS #8", nil, hintKeygen)
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, unsupportedKey(parsed)
	}
	return &KeyFile{private: private}, nil
}

// PublicKey returns the public half.
func (k *KeyFile) PublicKey() *ecdsa.PublicKey { return &k.private.PublicKey }

// SignDigest signs a SHA-256 digest; the signature is ASN.1 DER. ctx is not used: signing is local and takes
// microseconds.
func (k *KeyFile) SignDigest(_ context.Context, digest [32]byte) ([]byte, error) {
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signature, nil
}

// String hides the private key from accidental printing.
func (k *KeyFile) String() string { return "attest.KeyFile(private key not shown)" }

// GoString hides the private key from %#v.
func (k *KeyFile) GoString() string { return k.String() }
