package verify

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"sync"
)

// maxKnownKeys bounds the encoded keys that a Verifier keeps: those of a few
// callers with as many signers as an Input may have.
const maxKnownKeys = 4 * MaxSigners

// pinnedSigner is a Signer with what is compared with bundles.
type pinnedSigner struct {
	Signer
	encodedKey // of an identity: empty
}

// encodedKey is a public key as bundles name it.
type encodedKey struct {
	spki []byte // SubjectPublicKeyInfo
	hint string // base64 of its SHA-256
}

// pin validates signer requirements.
func (v *Verifier) pin(signers []Signer) ([]pinnedSigner, error) {
	if n := len(signers); n == 0 || n > MaxSigners {
		return nil, fmt.Errorf("%w: %d signers, want 1 to %d", ErrInput, n, MaxSigners)
	}
	pinned := make([]pinnedSigner, len(signers))
	for i, s := range signers {
		p := pinnedSigner{Signer: s}
		switch {
		case (s.Key == nil) == (s.Identity == nil):
			return nil, fmt.Errorf("%w: signer %d needs exactly one of key and identity", ErrInput, i+1)
		case s.Identity != nil:
			if s.Identity.SAN == "" || s.Identity.Issuer == "" {
				return nil, fmt.Errorf("%w: signer %d needs both SAN and issuer, matched exactly", ErrInput, i+1)
			}
		case s.Key.PublicKey == nil || s.Key.PublicKey.Curve != elliptic.P256():
			return nil, fmt.Errorf("%w: signer %d: the key is not ECDSA P-256, which alone every Sigstore client verifies",
				ErrInput, i+1)
		default:
			var err error
			if p.encodedKey, err = v.keys.encode(s.Key.PublicKey); err != nil {
				return nil, fmt.Errorf("%w: signer %d: %w", ErrInput, i+1, err)
			}
		}
		pinned[i] = p
	}
	return pinned, nil
}

// keyCache keeps the encoded form of keys, by their points and not by their
// pointers, so that a key that its owner changes is another key. The items of a
// batch share their signers: without it 256 of them would cost each item as much
// as several signatures. The zero value is ready.
type keyCache struct {
	mu    sync.RWMutex
	known map[string]encodedKey // by the uncompressed point
}

// encode returns the encoded form of a key.
func (c *keyCache) encode(key *ecdsa.PublicKey) (encodedKey, error) {
	point, err := key.Bytes()
	if err != nil {
		return encodedKey{}, err
	}
	c.mu.RLock()
	known, ok := c.known[string(point)]
	c.mu.RUnlock()
	if ok {
		return known, nil
	}
	spki, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return encodedKey{}, err
	}
	sum := sha256.Sum256(spki)
	known = encodedKey{spki: spki, hint: base64.StdEncoding.EncodeToString(sum[:])}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxKnownKeys {
		c.known = make(map[string]encodedKey)
	}
	c.known[string(point)] = known
	return known, nil
}
