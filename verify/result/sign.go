package result

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/compare"
)

// Signer makes ECDSA P-256 signatures, as attest.Signer does: a key file, a key
// management service.
type Signer interface {
	// PublicKey returns the P-256 key that verifies the signatures.
	PublicKey() *ecdsa.PublicKey
	// SignDigest signs a SHA-256 digest and returns the signature in ASN.1 DER.
	SignDigest(ctx context.Context, digest [32]byte) ([]byte, error)
}

// Signed is a statement with its signature, which was verified.
type Signed struct {
	payload, signature []byte
	hint               string
}

// Sign signs a verdict and returns the Sigstore bundle: [Compose],
// [Statement.Sign] and [Signed.Bundle] without timestamps. An empty
// Inputs.VerifierID becomes the [KeyVerifierID] of the signer.
func Sign(ctx context.Context, v *verify.Verdict, in Inputs, form Form, signer Signer) ([]byte, error) {
	if in.VerifierID == "" {
		id, err := KeyVerifierID(signer.PublicKey())
		if err != nil {
			return nil, err
		}
		in.VerifierID = id
	}
	s, err := Compose(v, in, form)
	if err != nil {
		return nil, err
	}
	signed, err := s.Sign(ctx, signer)
	if err != nil {
		return nil, err
	}
	return signed.Bundle()
}

// Sign signs the statement. The signature is verified with the signer's own
// public key before it is used. Errors wrap [verify.ErrInput] (a key that is
// not P-256, two halves that do not belong together) or are the signer's.
func (s *Statement) Sign(ctx context.Context, signer Signer) (*Signed, error) {
	return sign(ctx, s.payload, signer)
}

// SignComparison signs the result of comparing observed with declared flows, in
// the form in which verdicts are signed: a statement that only
// [compare.Compose] makes, in a Sigstore bundle v0.3. Any Sigstore client
// verifies it; [Open] refuses it, because it is no verdict about an artifact.
func SignComparison(ctx context.Context, s *compare.Statement, signer Signer) (*Signed, error) {
	return sign(ctx, s.Payload(), signer)
}

func sign(ctx context.Context, payload []byte, signer Signer) (*Signed, error) {
	public := signer.PublicKey()
	sum, err := keyDigest(public)
	if err != nil {
		return nil, err
	}
	digest := paeDigest(payload)
	signature, err := signer.SignDigest(ctx, digest)
	if err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(public, digest[:], signature) {
		return nil, fmt.Errorf("%w: the signer's signature does not verify with its public key", verify.ErrInput)
	}
	return &Signed{payload: payload, signature: signature, hint: hint(sum)}, nil
}

// Signature returns a copy of the DER signature: what a timestamp authority
// stamps.
func (s *Signed) Signature() []byte { return slices.Clone(s.signature) }

// Bundle returns the Sigstore bundle v0.3 JSON, with at most
// [verify.MaxTimestamps] RFC 3161 responses over the signature, for clients
// that ask for a signed time. They are carried, not verified.
func (s *Signed) Bundle(timestamps ...[]byte) ([]byte, error) {
	b := &bundleJSON{MediaType: verify.BundleMediaType}
	b.Material.PublicKey.Hint = s.hint
	for _, t := range timestamps {
		if b.Material.Timestamps == nil {
			b.Material.Timestamps = &timestampsJSON{}
		}
		b.Material.Timestamps.RFC3161 = append(b.Material.Timestamps.RFC3161, timestampJSON{t})
	}
	if err := b.checkTimestamps(); err != nil {
		return nil, fmt.Errorf("%w: %w", verify.ErrInput, err)
	}
	b.Envelope = envelopeJSON{Payload: s.payload, PayloadType: predicate.PayloadType,
		Signatures: []signatureJSON{{s.signature}}}
	return encode(b)
}

// KeyVerifierID is the verifier id of a key whose holder gave none: a URI with
// the key's id in it. The error wraps [verify.ErrInput].
func KeyVerifierID(key *ecdsa.PublicKey) (string, error) {
	sum, err := keyDigest(key)
	if err != nil {
		return "", err
	}
	return keyURI + hex.EncodeToString(sum[:]), nil
}

// keyDigest is the SHA-256 of the key's SubjectPublicKeyInfo.
func keyDigest(key *ecdsa.PublicKey) ([sha256.Size]byte, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return [sha256.Size]byte{}, fmt.Errorf("%w: the verifier's key is not ECDSA P-256, which alone every Sigstore client verifies",
			verify.ErrInput)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("%w: the verifier's key: %w", verify.ErrInput, err)
	}
	return sha256.Sum256(der), nil
}

// hint is how a bundle names a key.
func hint(sum [sha256.Size]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }

func paeDigest(payload []byte) [sha256.Size]byte {
	return sha256.Sum256(dsse.PAE(predicate.PayloadType, payload))
}
