package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"slices"
	"sync/atomic"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
)

// DefaultPolicy is the TSA policy of tokens where the configuration names none:
// the one that other authorities for Sigstore bundles use, which promises
// nothing beyond RFC 3161.
func DefaultPolicy() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}
}

// Config describes an [Authority].
type Config struct {
	// CertChain is the certificate chain: the leaf first, the root last.
	CertChain []*x509.Certificate
	// Key is the leaf's private key, ECDSA P-256.
	Key *ecdsa.PrivateKey
	// Policy is the TSA policy named in tokens; DefaultPolicy if empty.
	Policy asn1.ObjectIdentifier
	// Clock gives the time of tokens; time.Now if nil.
	Clock func() time.Time
	// NotBefore is the earliest time of a token, for instance the time of the
	// last one before a restart; the zero value sets no bound.
	NotBefore time.Time
	// Logger receives failures of Handler that are not the client's; none if nil.
	Logger *slog.Logger
}

// Authority issues RFC 3161 tokens. It is safe for concurrent use.
type Authority struct {
	chain []*x509.Certificate
	key   *ecdsa.PrivateKey
	clock func() time.Time
	log   *slog.Logger
	// policy is named in every token.
	policy asn1.ObjectIdentifier
	last   atomic.Int64 // Unix time of the latest token
}

// New checks the chain and the key, issues a probe token and verifies it as a
// client would, and returns the authority. A single token is not verified again
// by Timestamp: that costs more than making it, and the service verifies the
// whole bundle anyway before it answers. Errors are
// *Error with TSA_CHAIN, TSA_KEY, TSA_EXPIRED, TIME_WENT_BACK or TSA_INTERNAL.
func New(c Config) (*Authority, error) {
	a := &Authority{chain: slices.Clone(c.CertChain), key: c.Key, clock: c.Clock, log: c.Logger}
	if a.clock == nil {
		a.clock = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if err := checkKey(c.Key); err != nil {
		return nil, err
	}
	if err := checkChain(a.chain); err != nil {
		return nil, err
	}
	leaf := a.chain[0]
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !pub.Equal(c.Key.Public()) {
		return nil, fail(BadKey, nil, "the key is not that of the certificate %q", leaf.Subject)
	}
	if a.policy = slices.Clone(c.Policy); len(a.policy) == 0 {
		a.policy = DefaultPolicy()
	}
	if _, err := asn1.Marshal(a.policy); err != nil {
		return nil, fail(BadConfig, err, "policy %v is no object identifier", a.policy)
	}
	if !c.NotBefore.IsZero() {
		a.last.Store(c.NotBefore.Unix())
	}
	return a, a.probe()
}

// probe makes a token and verifies it along the path of a client.
func (a *Authority) probe() error {
	message := []byte("probe")
	digest := sha256.Sum256(message)
	token, err := a.issue(crypto.SHA256, digest[:], nil, true)
	if err != nil {
		return err
	}
	_, err = verification.VerifyTimestampResponse(token, bytes.NewReader(message), verification.VerifyOpts{
		OID:            a.policy,
		TSACertificate: a.chain[0],
		Intermediates:  a.chain[1 : len(a.chain)-1],
		Roots:          a.chain[len(a.chain)-1:],
	})
	if err != nil {
		return fail(Internal, err, "a probe token does not verify against the authority's own chain")
	}
	return nil
}

// CertChain returns the chain, leaf first, as the trusted root lists it.
func (a *Authority) CertChain() []*x509.Certificate { return slices.Clone(a.chain) }

// Policy returns the TSA policy named in tokens.
func (a *Authority) Policy() asn1.ObjectIdentifier { return slices.Clone(a.policy) }

// Timestamp returns a token over signature, with the leaf certificate inside:
// an RFC 3161 TimeStampResp in DER form, as a Sigstore bundle carries it. The
// message imprint is the SHA-256 of signature. Errors are *Error with
// TSA_SIGNATURE_SIZE, TIME_WENT_BACK, TSA_EXPIRED or TSA_INTERNAL.
func (a *Authority) Timestamp(ctx context.Context, signature []byte) ([]byte, error) {
	if err := checkSignature(ctx, signature); err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signature)
	return a.issue(crypto.SHA256, digest[:], nil, true)
}

func checkSignature(ctx context.Context, signature []byte) error {
	if len(signature) == 0 || len(signature) > MaxSignatureBytes {
		return fail(BadSignature, nil, "signature has %d bytes, want 1 to %d", len(signature), MaxSignatureBytes)
	}
	return ctx.Err()
}

// serialBits is the length of a token's serial number. RFC 3161, section 2.4.2:
// > "The serialNumber field is an integer assigned by the TSA to each
// > TimeStampToken. It MUST be unique for each TimeStampToken issued by a given TSA"
// Random numbers of this length do not repeat, also across restarts.
const serialBits = 128

// issue signs one token over a digest; nonce may be nil.
func (a *Authority) issue(hash crypto.Hash, digest []byte, nonce *big.Int, withCertificate bool) ([]byte, error) {
	now, err := a.now()
	if err != nil {
		return nil, err
	}
	random := make([]byte, serialBits/8)
	_, _ = rand.Read(random) // crypto/rand.Read does not return errors
	stamp := timestamp.Timestamp{
		HashAlgorithm: hash, HashedMessage: digest, Nonce: nonce,
		Time: now, Accuracy: time.Second, // the time is cut to whole seconds
		SerialNumber: new(big.Int).SetBytes(random), Policy: a.policy,
		AddTSACertificate: withCertificate,
	}
	token, err := stamp.CreateResponseWithOpts(a.chain[0], a.key, crypto.SHA256)
	if err != nil {
		return nil, fail(Internal, err, "the token could not be signed")
	}
	return token, nil
}

// now gives the time of the next token: whole seconds, never before the last
// one. A clock that went back is an error until it has caught up: waiting would
// only hide it, and an earlier time would contradict what was signed before.
func (a *Authority) now() (time.Time, error) {
	now := a.clock().UTC().Truncate(time.Second)
	leaf := a.chain[0]
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		e := fail(Expired, nil, "it is %s, the certificate is valid from %s to %s", now.Format(time.RFC3339),
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
		e.Hint = "check the clock, or give the authority a new certificate chain and add it to the trusted root"
		return now, e
	}
	for {
		last := a.last.Load()
		if now.Unix() < last {
			e := fail(TimeWentBack, nil, "it is %s, a token of %s was issued already", now.Format(time.RFC3339),
				time.Unix(last, 0).UTC().Format(time.RFC3339)).later()
			e.Hint = "correct the machine's clock"
			return now, e
		}
		if now.Unix() == last || a.last.CompareAndSwap(last, now.Unix()) {
			return now, nil
		}
	}
}
