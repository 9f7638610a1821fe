package keyref

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
	"unicode"
)

func derOf(t testing.TB, r, s *big.Int) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestStrictDER: every other encoding of the same two numbers is refused, because whoever may choose one makes two signatures
// of one.
func TestStrictDER(t *testing.T) {
	good := derOf(t, big.NewInt(0x1234), big.NewInt(0x5678))
	if err := checkDER(good); err != nil {
		t.Errorf("%x: %v", good, err)
	}
	for name, signature := range map[string][]byte{
		"none":          nil,
		"trailing":      append(derOf(t, big.NewInt(1), big.NewInt(2)), 0),
		"long length":   {0x30, 0x81, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02},
		"indefinite":    {0x30, 0x80, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02, 0, 0},
		"leading zero":  {0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x02},
		"three numbers": {0x30, 0x09, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02, 0x02, 0x01, 0x03},
		"one number":    {0x30, 0x03, 0x02, 0x01, 0x01},
		"a set":         {0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x02},
		"raw":           make([]byte, 64),
		"too long":      derOf(t, new(big.Int).Lsh(big.NewInt(1), 300), new(big.Int).Lsh(big.NewInt(1), 300)),
	} {
		var refused *Error
		if err := checkDER(signature); !errors.As(err, &refused) || refused.Code != CodeSignatureMalformed {
			t.Errorf("%s: %v, want %s", name, err, CodeSignatureMalformed)
		}
	}
}

// FuzzDER: of two numbers one encoding alone is taken.
func FuzzDER(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, key, make([]byte, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signature)
	f.Add(derOf(f, big.NewInt(-1), big.NewInt(0)))
	f.Fuzz(func(t *testing.T, signature []byte) {
		if checkDER(signature) != nil {
			return
		}
		var pair struct{ R, S *big.Int }
		rest, err := asn1.Unmarshal(signature, &pair)
		if err != nil || len(rest) != 0 || string(derOf(t, pair.R, pair.S)) != string(signature) || len(signature) > maxSignatureBytes {
			t.Fatalf("%x is taken", signature)
		}
	})
}

// FuzzQuote: whatever a plugin says, what is quoted is one bounded line that a terminal does not obey, without the secret.
func FuzzQuote(f *testing.F) {
	const secret = "s3cr3t-t0ken"
	f.Add("permission denied\n\x1b[31m for " + secret)
	f.Add(strings.Repeat("x", maxQuoteBytes-3) + secret)
	f.Add("\u202e\u0085\xff https://user:" + secret + "@host")
	p := &plugin{redact: redactor([]string{"VAULT_TOKEN=" + secret})}
	f.Fuzz(func(t *testing.T, words string) {
		got := p.quote(words)
		if len(got) > maxQuoteBytes+20 || strings.Contains(got, secret) ||
			strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%q is quoted as %q", words, got)
		}
	})
}
