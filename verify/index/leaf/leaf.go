package leaf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify/index"
)

// The fixed text of an entry: between them stand values in base64.
const (
	beforeDigest    = `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"`
	beforeSignature = `"},"signature":{"content":"`
	beforeVerifier  = `","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256",`
	publicKey       = `"publicKey":{"rawBytes":"`
	certificateText = `"x509Certificate":{"rawBytes":"`
	end             = `"}}}}}}`
)

// MaxBytes is the largest entry that is read; it is the largest that a log takes.
const MaxBytes = 1<<16 - 1

// Leaf is what an entry says.
type Leaf struct {
	// Digest is the SHA-256 of the DSSE pre-authentication encoding of the statement.
	Digest [sha256.Size]byte
	// Signer names the key or identity.
	Signer index.Signer
	// Key is the key, also that of a certificate.
	Key *ecdsa.PublicKey
	// SAN and Issuer are the identity of a certificate; empty for a key.
	SAN, Issuer string
}

// Read reads an entry. An error says why it is nobody's.
func Read(entry []byte) (*Leaf, error) {
	if len(entry) > MaxBytes {
		return nil, fmt.Errorf("entry of %d bytes, want at most %d", len(entry), MaxBytes)
	}
	s, ok := strings.CutPrefix(string(entry), beforeDigest)
	digest, s, ok1 := strings.Cut(s, beforeSignature)
	signature, s, ok2 := strings.Cut(s, beforeVerifier)
	s, ok3 := strings.CutSuffix(s, end)
	if !ok || !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("entry of %d bytes is not a canonical hashedrekord 0.0.2 of an ECDSA P-256 key", len(entry))
	}
	l := &Leaf{}
	d, err := decode(digest)
	if err != nil || len(d) != len(l.Digest) {
		return nil, fmt.Errorf("digest %.60q is not the base64 of %d bytes", digest, len(l.Digest))
	}
	l.Digest = [sha256.Size]byte(d)
	if sig, err := decode(signature); err != nil || len(sig) == 0 {
		return nil, fmt.Errorf("signature %.60q is not base64", signature)
	}
	if raw, ok := strings.CutPrefix(s, publicKey); ok {
		return l.or(l.readKey(raw))
	}
	if raw, ok := strings.CutPrefix(s, certificateText); ok {
		return l.or(l.readCertificate(raw))
	}
	return nil, fmt.Errorf("the verifier %.20q is neither a key nor a certificate", s)
}

// decode reads base64 in its only form: the package's decoder passes over line ends.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func (l *Leaf) readKey(text string) error {
	der, err := decode(text)
	if err != nil {
		return err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return err
	}
	if err := l.setKey(key); err != nil {
		return err
	}
	again, err := x509.MarshalPKIXPublicKey(l.Key)
	if err != nil || !bytes.Equal(again, der) {
		return fmt.Errorf("the key of %d bytes is not in its canonical form", len(der))
	}
	sum := sha256.Sum256(der)
	l.Signer = index.KeySigner("sha256:" + hex.EncodeToString(sum[:]))
	return nil
}

func (l *Leaf) setKey(key any) error {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return fmt.Errorf("a key of type %T, want ECDSA P-256", key)
	}
	l.Key = k
	return nil
}

// readCertificate takes the identity as package verify does.
func (l *Leaf) readCertificate(text string) error {
	der, err := decode(text)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if err := l.setKey(cert.PublicKey); err != nil {
		return err
	}
	if names := cryptoutils.GetSubjectAlternateNames(cert); len(names) != 1 {
		return fmt.Errorf("a certificate with %d subject alternative names, want 1", len(names))
	}
	summary, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		return err
	}
	if summary.SubjectAlternativeName == "" || summary.Issuer == "" {
		return fmt.Errorf("a certificate of subject %.80q and issuer %.80q, want both", summary.SubjectAlternativeName, summary.Issuer)
	}
	if strings.Contains(summary.SubjectAlternativeName+summary.Issuer, "\n") {
		return fmt.Errorf("a certificate of subject %.80q and issuer %.80q, want neither with a line feed", summary.SubjectAlternativeName, summary.Issuer)
	}
	l.SAN, l.Issuer = summary.SubjectAlternativeName, summary.Issuer
	l.Signer = index.IdentitySigner(l.Issuer, l.SAN)
	return nil
}

// Statement parses a payload if it is the statement that the entry is about, and nil if it is another one or not one of
// avow's types.
func (l *Leaf) Statement(payload []byte) *predicate.Statement {
	if len(payload) == 0 || len(payload) > predicate.MaxStatementBytes ||
		sha256.Sum256(dsse.PAE(predicate.PayloadType, payload)) != l.Digest {
		return nil
	}
	st, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		return nil
	}
	return st
}

// or is the entry unless there is an error.
func (l *Leaf) or(err error) (*Leaf, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}
