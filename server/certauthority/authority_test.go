package certauthority_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/certauthority"
)

var issuedAt = time.Date(2026, 9, 1, 9, 0, 0, 0, time.UTC)

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *certauthority.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

func generate(t *testing.T) *certauthority.Credentials {
	t.Helper()
	c, err := certauthority.Generate("ca.example", issuedAt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, _, err := certauthority.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// config is an authority whose log takes everything, and what it took.
func config(t *testing.T, c *certauthority.Credentials, clock func() time.Time) (certauthority.Config, *[][]byte) {
	var logged [][]byte
	return certauthority.Config{CertChain: c.Chain, Key: c.Key, LogKey: newKey(t), Clock: clock,
		Append: func(_ context.Context, leaf []byte) error { logged = append(logged, leaf); return nil }}, &logged
}

// TestAuthorityExpires: no certificate outlives the authority or comes before it, and what is refused is not logged.
func TestAuthorityExpires(t *testing.T) {
	c := generate(t)
	now := issuedAt
	cfg, logged := config(t, c, func() time.Time { return now })
	a, err := certauthority.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key, name := newKey(t), certauthority.Name{Email: "a@example.com"}
	for _, step := range []struct {
		at    time.Time
		valid bool
	}{
		{issuedAt, true}, {c.Chain[0].NotBefore.Add(-time.Second), false},
		{c.Chain[0].NotAfter.Add(-certauthority.DefaultLifetime), true},
		{c.Chain[0].NotAfter.Add(-certauthority.DefaultLifetime + time.Second), false},
	} {
		before := len(*logged)
		now = step.at
		issued, err := a.Issue(t.Context(), key.Public(), name)
		if !step.valid {
			wantCode(t, err, certauthority.Expired)
			if len(*logged) != before {
				t.Errorf("%s: a refused certificate was logged", now)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", now, err)
		}
		if len(*logged) != before+1 || !bytes.Equal((*logged)[before], issued.Leaf) {
			t.Errorf("%s: the certificate is not the one that was logged", now)
		}
		if got := issued.Certificate.NotAfter.Sub(issued.Certificate.NotBefore); got != certauthority.DefaultLifetime {
			t.Errorf("%s: valid for %s", now, got)
		}
	}
}

// TestUnloggedIsNotIssued: what the log does not take is not handed out.
func TestUnloggedIsNotIssued(t *testing.T) {
	cfg, _ := config(t, generate(t), func() time.Time { return issuedAt })
	full := errors.New("full")
	cfg.Append = func(context.Context, []byte) error { return full }
	a, err := certauthority.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := a.Issue(t.Context(), newKey(t).Public(), certauthority.Name{Email: "a@example.com"})
	if issued != nil || !errors.Is(err, full) {
		t.Errorf("got %v, %v", issued, err)
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *certauthority.Config)
		code   string
	}{
		"no chain":       {func(c *certauthority.Config) { c.CertChain = nil }, certauthority.BadChain},
		"no root":        {func(c *certauthority.Config) { c.CertChain = c.CertChain[:1] }, certauthority.BadChain},
		"root first":     {func(c *certauthority.Config) { slices.Reverse(c.CertChain) }, certauthority.BadChain},
		"another root":   {func(c *certauthority.Config) { c.CertChain[1] = generate(t).Chain[1] }, certauthority.BadChain},
		"roots alone":    {func(c *certauthority.Config) { c.CertChain[0] = c.CertChain[1] }, certauthority.BadChain},
		"long":           {func(c *certauthority.Config) { c.CertChain = slices.Repeat(c.CertChain, 3) }, certauthority.BadChain},
		"no key":         {func(c *certauthority.Config) { c.Key = nil }, certauthority.BadKey},
		"another key":    {func(c *certauthority.Config) { c.Key = newKey(t) }, certauthority.BadKey},
		"no log key":     {func(c *certauthority.Config) { c.LogKey = nil }, certauthority.BadKey},
		"one key":        {func(c *certauthority.Config) { c.LogKey = c.Key }, certauthority.BadKey},
		"no log":         {func(c *certauthority.Config) { c.Append = nil }, certauthority.BadConfig},
		"short lifetime": {func(c *certauthority.Config) { c.Lifetime = time.Second }, certauthority.BadConfig},
		"long lifetime":  {func(c *certauthority.Config) { c.Lifetime = 24 * time.Hour }, certauthority.BadConfig},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := config(t, generate(t), nil)
			c.change(&cfg)
			_, err := certauthority.New(cfg)
			wantCode(t, err, c.code)
		})
	}
}

func TestParse(t *testing.T) {
	c := generate(t)
	if chain, err := certauthority.ParseChain(c.ChainPEM); err != nil || len(chain) != 2 || !chain[0].Equal(c.Chain[0]) {
		t.Errorf("got %v, %v", chain, err)
	}
	if key, err := certauthority.ParseKey(c.KeyPEM); err != nil || !key.Equal(c.Key) {
		t.Errorf("got %v", err)
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "a key": c.KeyPEM, "text after": append(slices.Clone(c.ChainPEM), "x"...), "too long": make([]byte, certauthority.MaxPEMBytes+1),
		"garbage": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certauthority.ParseChain(data)
			wantCode(t, err, certauthority.BadChain)
		})
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "a chain": c.ChainPEM, "two keys": append(slices.Clone(c.KeyPEM), c.RootKeyPEM...), "P-384": pkcs8(t, elliptic.P384()),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := certauthority.ParseKey(data)
			wantCode(t, err, certauthority.BadKey)
		})
	}
}

func pkcs8(t *testing.T, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TestKeysThatAreCertified: what every client and the log of statements verify, and nothing else.
func TestKeysThatAreCertified(t *testing.T) {
	cfg, _ := config(t, generate(t), func() time.Time { return issuedAt })
	a, err := certauthority.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	name := certauthority.Name{Email: "a@example.com"}
	small, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if issued, err := a.Issue(t.Context(), small.Public(), name); err != nil || !small.PublicKey.Equal(issued.Certificate.PublicKey) {
		t.Errorf("RSA of 2048 bits: %v", err)
	}
	large, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.Issue(t.Context(), large.Public(), name)
	wantCode(t, err, certauthority.UnsupportedKey)
	_, err = a.Issue(t.Context(), nil, name)
	wantCode(t, err, certauthority.UnsupportedKey)
}
