package follow

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"

	"github.com/avow-dev/avow/attest/predicate"
)

// Leaf is an entry of the log: a Rekor v2 hashedrekord 0.0.2.
type Leaf struct {
	algorithm  string
	Digest     []byte
	signature  []byte
	keyDetails string
	// spki is the signer's public key; certificate is nil for a bare key.
	spki        []byte
	key         crypto.PublicKey
	certificate *x509.Certificate
}

// rawBytes is how an entry holds a key or a certificate.
type rawBytes struct {
	RawBytes []byte `json:"rawBytes"`
}

// entryJSON has the members of an entry that matter; whether there are others shows when it is written again.
type entryJSON struct {
	Spec struct {
		V002 struct {
			Data struct {
				Algorithm string `json:"algorithm"`
				Digest    []byte `json:"digest"`
			} `json:"data"`
			Signature struct {
				Content  []byte `json:"content"`
				Verifier struct {
					KeyDetails  string    `json:"keyDetails"`
					PublicKey   *rawBytes `json:"publicKey"`
					Certificate *rawBytes `json:"x509Certificate"`
				} `json:"verifier"`
			} `json:"signature"`
		} `json:"hashedRekordV002"`
	} `json:"spec"`
}

// ParseLeaf reads an entry strictly: it must be the canonical form of itself. Sizes of digests are checked, signatures
// are not.
func ParseLeaf(data []byte) (*Leaf, error) {
	limits := predicate.JSONLimits{MaxBytes: maxLeafBytes, MaxDepth: 8, MaxValues: 64}
	if err := predicate.StrictJSON(data, limits); err != nil {
		return nil, err
	}
	var e entryJSON
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, err
	}
	v := &e.Spec.V002
	l := &Leaf{algorithm: v.Data.Algorithm, Digest: v.Data.Digest, signature: v.Signature.Content,
		keyDetails: v.Signature.Verifier.KeyDetails}
	size := map[string]int{"SHA2_256": 32, "SHA2_384": 48, "SHA2_512": 64}[l.algorithm]
	if size == 0 || len(l.Digest) != size {
		return nil, fmt.Errorf("digest of %d bytes by %.40q", len(l.Digest), l.algorithm)
	}
	if (v.Signature.Verifier.PublicKey == nil) == (v.Signature.Verifier.Certificate == nil) {
		return nil, errors.New("want exactly one of publicKey and x509Certificate")
	}
	signer, member := v.Signature.Verifier.PublicKey, "publicKey"
	if signer == nil {
		signer, member = v.Signature.Verifier.Certificate, "x509Certificate"
	}
	if string(data) != l.canonical(member, signer.RawBytes) {
		return nil, errors.New("not the canonical form of a hashedrekord 0.0.2")
	}
	return l, l.readSigner(member, signer.RawBytes)
}

// canonical writes the entry by RFC 8785.
func (l *Leaf) canonical(member string, signer []byte) string {
	b64 := base64.StdEncoding.EncodeToString
	if strings.Trim(l.keyDetails, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return "" // no name of an algorithm
	}
	return `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{` +
		`"data":{"algorithm":"` + l.algorithm + `","digest":"` + b64(l.Digest) + `"},` +
		`"signature":{"content":"` + b64(l.signature) + `","verifier":{"keyDetails":"` + l.keyDetails + `",` +
		`"` + member + `":{"rawBytes":"` + b64(signer) + `"}}}}}}`
}

func (l *Leaf) readSigner(member string, data []byte) (err error) {
	l.spki = data
	if member == "x509Certificate" {
		if l.certificate, err = x509.ParseCertificate(data); err != nil {
			return err
		}
		l.spki = l.certificate.RawSubjectPublicKeyInfo
	}
	l.key, err = x509.ParsePKIXPublicKey(l.spki)
	return err
}

// KeyID is the signer's key as everywhere in avow: the SHA-256 of its SubjectPublicKeyInfo.
func (l *Leaf) KeyID() string {
	sum := sha256.Sum256(l.spki)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Identity is who a certificate names; nil without one, and where it cannot be read: then it names nobody.
func (l *Leaf) Identity() *Identity {
	if l.certificate == nil {
		return nil
	}
	summary, err := certificate.SummarizeCertificate(l.certificate)
	if err != nil {
		return nil
	}
	return &Identity{SAN: summary.SubjectAlternativeName, Issuer: summary.Issuer}
}

// checkSignature checks the signature over the digest. Algorithms that avow does not issue with and that sign something
// else than the digest are left alone: the entry alone cannot show whether they hold.
func (l *Leaf) checkSignature() error {
	switch key := l.key.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(key, l.Digest, l.signature) {
			return errors.New("the signature is not by the entry's key over the entry's digest")
		}
	case ed25519.PublicKey:
		if l.keyDetails == "PKIX_ED25519_PH" && l.algorithm == "SHA2_512" {
			return ed25519.VerifyWithOptions(key, l.Digest, l.signature, &ed25519.Options{Hash: crypto.SHA512})
		}
	}
	return nil
}

// SpeaksOf reports whether the entry is over the DSSE encoding (PAE) of a statement.
func (l *Leaf) SpeaksOf(payload []byte) bool {
	pae := fmt.Sprintf("DSSEv1 %d %s %d ", len(predicate.PayloadType), predicate.PayloadType, len(payload))
	sum := sha256.Sum256(append([]byte(pae), payload...))
	return l.algorithm == "SHA2_256" && string(sum[:]) == string(l.Digest)
}

// StatementID is the id of a statement: the SHA-256 of its bytes.
func StatementID(payload []byte) string {
	sum := sha256.Sum256(payload)
	return "sha256:" + hex.EncodeToString(sum[:])
}
