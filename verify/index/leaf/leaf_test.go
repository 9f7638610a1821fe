package leaf_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/leaf"
)

func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera": "a reader runs no log", "google.golang.org/grpc": "a reader is no service",
		"github.com/avow-dev/avow/server": "what a leaf says does not depend on a service", "github.com/avow-dev/avow/api": "nothing goes over the wire",
	})
}

func body(b *protobundle.Bundle) []byte {
	return b.GetVerificationMaterial().GetTlogEntries()[0].GetCanonicalizedBody()
}

func TestRead(t *testing.T) {
	w := bundletest.NewWorld(t)
	payload := bundletest.Statement(t, "data-flows")
	l, err := leaf.Read(body(w.Issue(t, bundletest.Spec{Payload: payload})))
	if err != nil || !l.Key.Equal(&w.Vendor.PublicKey) || l.Signer != index.KeySigner(keyID(t, &w.Vendor.PublicKey)) {
		t.Fatalf("%v: signer %s", err, l.Signer)
	}
	if st := l.Statement(payload); st == nil || st.DataFlows == nil {
		t.Error("the entry's own statement is not taken for it")
	}
	other := bundletest.Statement(t, "undertakings")
	for name, p := range map[string][]byte{"nothing": nil, "another": other, "a changed one": append(bytes.Clone(payload), ' ')} {
		if l.Statement(p) != nil {
			t.Errorf("%s is taken for the entry's statement", name)
		}
	}
	foreign, err := leaf.Read(body(w.Issue(t, bundletest.Spec{Payload: []byte(`{"_type":"x"}`)})))
	if err != nil || foreign.Statement([]byte(`{"_type":"x"}`)) != nil {
		t.Errorf("%v: what is not one of avow's types is a statement", err)
	}
}

func keyID(t *testing.T, key *ecdsa.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestReadCertificate(t *testing.T) {
	w := bundletest.NewWorld(t)
	read := func(issuer string) (*leaf.Leaf, error) {
		key := bundletest.NewKey(t)
		cert := w.CA.Certify(t, &key.PublicKey, "https://acme.example/release", issuer, bundletest.Epoch.Add(-1), bundletest.Epoch.Add(1<<40), nil)
		return leaf.Read(body(w.Issue(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows"), Key: key, Certificate: cert})))
	}
	l, err := read("https://issuer.example")
	if err != nil || l.Signer != index.IdentitySigner(l.Issuer, l.SAN) || l.SAN == "" || l.Issuer == "" {
		t.Fatalf("%v: %+v", err, l)
	}
	// What an identity's id is the digest of has a line for each value: with a line feed in one, two would share an id.
	if l, err := read("https://issuer.example\nx"); err == nil {
		t.Errorf("an issuer with a line feed is taken: %+v", l)
	}
}

// TestNobodys: what no bundle can have as its log entry is nobody's; a byte that is changed makes it so, or another entry.
func TestNobodys(t *testing.T) {
	w := bundletest.NewWorld(t)
	good := body(w.Issue(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}))
	text := string(good)
	for name, entry := range map[string]string{
		"empty": "", "white space": " " + text, "longer": text + "\n", "a line feed in base64": strings.Replace(text, "M", "M\n", 1),
		"another kind": strings.Replace(text, "hashedrekord", "dsse", 1), "another algorithm": strings.Replace(text, "PKIX_ECDSA_P256_SHA_256", "PKIX_RSA_PKCS1V15_2048_SHA256", 1),
		"too large": text + strings.Repeat("x", leaf.MaxBytes), "a certificate that is none": strings.Replace(text, "publicKey", "x509Certificate", 1),
	} {
		if l, err := leaf.Read([]byte(entry)); err == nil {
			t.Errorf("%s: read as %+v", name, l)
		}
	}
	want, err := leaf.Read(good)
	if err != nil {
		t.Fatal(err)
	}
	start, stop := strings.Index(text, `"content":"`)+11, strings.Index(text, `","verifier"`)
	for i := range good {
		changed := bytes.Clone(good)
		changed[i] ^= 1
		l, err := leaf.Read(changed)
		inSignature := i >= start && i < stop // which is nobody's to judge here
		if err == nil && !inSignature && l.Digest == want.Digest && l.Signer == want.Signer {
			t.Errorf("byte %d changed: the same entry", i)
		}
	}
}

func FuzzRead(f *testing.F) {
	w := bundletest.NewWorld(f)
	f.Add(body(w.Issue(f, bundletest.Spec{Payload: bundletest.Statement(f, "data-flows")})))
	key := bundletest.NewKey(f)
	f.Add(body(w.Issue(f, bundletest.Spec{Payload: bundletest.Statement(f, "data-flows"), Key: key,
		Certificate: w.CA.Certify(f, &key.PublicKey, "https://acme.example/release", "https://issuer.example", bundletest.Epoch.Add(-1), bundletest.Epoch.Add(1<<40), nil)})))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := leaf.Read(data)
		if err == nil && (l.Signer == "" || l.Key == nil || l.Digest == [sha256.Size]byte{}) {
			t.Errorf("an entry of nobody's: %+v", l)
		}
	})
}
