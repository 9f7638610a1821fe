package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"testing"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

func newTestKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestKeyCache: a key is known by its point, so that another key behind the same pointer is another key, and what is
// kept is bounded.
func TestKeyCache(t *testing.T) {
	var c keyCache
	key, other := newTestKey(t).PublicKey, newTestKey(t).PublicKey
	for _, k := range []ecdsa.PublicKey{key, other, key} {
		shared := k
		want, err := x509.MarshalPKIXPublicKey(&k)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := c.encode(&shared); err != nil || !bytes.Equal(got.spki, want) {
				t.Errorf("got %x, %v, want %x", got.spki, err, want)
			}
		}
		shared = other
		if got, err := c.encode(&shared); err != nil || bytes.Equal(got.spki, want) != other.Equal(&k) {
			t.Errorf("the key behind the pointer was changed, and its encoding was not: %v", err)
		}
	}
	if len(c.known) != 2 {
		t.Errorf("%d keys are kept, want 2", len(c.known))
	}
	for range maxKnownKeys {
		k := newTestKey(t).PublicKey
		if _, err := c.encode(&k); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.known) > maxKnownKeys {
		t.Errorf("%d keys are kept, want at most %d", len(c.known), maxKnownKeys)
	}
}

// TestAskedKey: the one signature that was verified in the run is recalled; about every other the key is asked.
func TestAskedKey(t *testing.T) {
	private := newTestKey(t)
	sign := func(message string) []byte {
		t.Helper()
		digest := sha256.Sum256([]byte(message))
		sig, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	loaded, err := signature.LoadVerifier(&private.PublicKey, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	verified := sign("verified")
	asked := 0
	k := askedKey{countingVerifier{loaded, &asked}, &run{pae: sha256.Sum256([]byte("verified")),
		bundle: &parsedBundle{signatures: []parsedSignature{{sig: verified}}}}}
	other := sha256.Sum256([]byte("other"))
	for name, c := range map[string]struct {
		sig     []byte
		message string
		opts    []signature.VerifyOption
		ok      bool
		asked   int
	}{
		"the verified one":            {verified, "verified", nil, true, 0},
		"another signature by it":     {sign("verified"), "verified", nil, true, 1},
		"another message":             {verified, "other", nil, false, 1},
		"another message, its own":    {sign("other"), "other", nil, true, 1},
		"another digest as an option": {verified, "verified", []signature.VerifyOption{options.WithDigest(other[:])}, false, 1},
		"a damaged signature":         {append([]byte{0}, verified...), "verified", nil, false, 1},
		"no signature":                {nil, "verified", nil, false, 1},
		"another hash": {verified, "verified", []signature.VerifyOption{options.WithCryptoSignerOpts(crypto.SHA512)},
			false, 0},
	} {
		asked = 0
		err := k.VerifySignature(bytes.NewReader(c.sig), bytes.NewReader([]byte(c.message)), c.opts...)
		if (err == nil) != c.ok || asked != c.asked {
			t.Errorf("%s: %v, the key was asked %d times, want %d", name, err, asked, c.asked)
		}
	}
}

// countingVerifier counts how often a verifier is asked.
type countingVerifier struct {
	signature.Verifier
	asked *int
}

func (c countingVerifier) VerifySignature(sig, message io.Reader, opts ...signature.VerifyOption) error {
	*c.asked++
	return c.Verifier.VerifySignature(sig, message, opts...)
}
