package attest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
)

const (
	testSAN    = "https://ci.example.test/acme/release@refs/heads/main"
	testIssuer = "https://issuer.example.test"
)

var (
	oidSAN      = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidIssuerV1 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}
	oidIssuerV2 = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}
)

// certify makes a certificate of the test's authority.
func certify(t testing.TB, key *ecdsa.PublicKey, change func(*x509.Certificate)) []byte {
	t.Helper()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ca := bundletest.NewCA(t, "https://ca.example.test", start)
	return ca.Certify(t, key, testSAN, testIssuer, start, start.Add(10*time.Minute), change).Raw
}

func parseCertificate(t testing.TB, der []byte) *attest.Certificate {
	t.Helper()
	c, err := attest.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseCertificate(t *testing.T) {
	key := newKey(t)
	der := certify(t, key.PublicKey(), nil)
	c := parseCertificate(t, der)
	if c.Identity() != (attest.Identity{Issuer: testIssuer, Subject: testSAN}) || !bytes.Equal(c.DER(), der) || !c.PublicKey().Equal(key.PublicKey()) {
		t.Errorf("got %+v", c.Identity())
	}
	// The id can be computed with printf and sha256sum.
	sum := sha256.Sum256([]byte("avow-identity-v1\n" + testIssuer + "\n" + testSAN + "\n"))
	if want := "sha256:" + hex.EncodeToString(sum[:]); c.Identity().ID() != want {
		t.Errorf("got id %s, want %s", c.Identity().ID(), want)
	}
	if back, ok := attest.ParseIdentity(c.Identity().Canonical()); !ok || back != c.Identity() {
		t.Errorf("read back as %+v", back)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{"", string(spki), "avow-identity-v1\na\nb", "avow-identity-v1\na\nb\nc\n", "avow-identity-v2\na\nb\n", "avow-identity-v1\n\nb\n"} {
		if got, ok := attest.ParseIdentity([]byte(none)); ok {
			t.Errorf("%q is read as %+v", none, got)
		}
	}
	swapped := attest.Identity{Issuer: testSAN, Subject: testIssuer}
	if swapped.ID() == c.Identity().ID() {
		t.Error("issuer and subject can be swapped")
	}
}

// other names the certificate in another way.
func other(extension pkix.Extension) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.URIs = nil
		c.ExtraExtensions = append(c.ExtraExtensions, extension)
	}
}

func issuerExtension(t testing.TB, value any, parameters string) pkix.Extension {
	t.Helper()
	raw, err := asn1.MarshalWithParams(value, parameters)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: oidIssuerV2, Value: raw}
}

// TestCertificateKinds: the three kinds of names, read as sigstore-go reads them.
func TestCertificateKinds(t *testing.T) {
	username, err := cryptoutils.MarshalOtherNameSAN("jane!example.test", true)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*x509.Certificate){
		testSAN:             nil,
		"jane@example.test": func(c *x509.Certificate) { c.URIs, c.EmailAddresses = nil, []string{"jane@example.test"} },
		"jane!example.test": other(*username),
	} {
		der := certify(t, newKey(t).PublicKey(), change)
		if got := parseCertificate(t, der).Identity().Subject; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		sameAsSigstore(t, der)
	}
	// An issuer in both forms is fine as long as it is one.
	both := func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidIssuerV1, Value: []byte(testIssuer)})
	}
	sameAsSigstore(t, certify(t, newKey(t).PublicKey(), both))
}

// sameAsSigstore compares what this package reads with what the verifiers read.
func sameAsSigstore(t testing.TB, der []byte) {
	t.Helper()
	c, err := attest.ParseCertificate(der)
	if err != nil {
		return // stricter is fine
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	summary, err := certificate.SummarizeCertificate(cert)
	if err != nil {
		t.Fatalf("sigstore-go does not read it: %v", err)
	}
	if got := (attest.Identity{Issuer: summary.Issuer, Subject: summary.SubjectAlternativeName}); got != c.Identity() {
		t.Errorf("sigstore-go reads %+v, this package %+v", got, c.Identity())
	}
}

func TestParseCertificateRefuses(t *testing.T) {
	key := newKey(t).PublicKey()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p256 := key
	rawSAN := func(names ...asn1.RawValue) func(*x509.Certificate) {
		value, err := asn1.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		return other(pkix.Extension{Id: oidSAN, Value: value})
	}
	uri := func(s string) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(s)}
	}
	username, err := cryptoutils.MarshalOtherNameSAN("jane\nexample", false)
	if err != nil {
		t.Fatal(err)
	}
	issuer := func(value any, parameters string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{issuerExtension(t, value, parameters)} }
	}
	for name, c := range map[string]struct {
		key    *ecdsa.PublicKey
		change func(*x509.Certificate)
		code   attest.Code
		says   string
	}{
		"P-384":         {&p384.PublicKey, nil, attest.CodeKeyUnsupported, "P-384"},
		"no name":       {p256, func(c *x509.Certificate) { c.URIs = nil }, attest.CodeCertificate, "has 0"},
		"two URIs":      {p256, func(c *x509.Certificate) { c.URIs = append(c.URIs, c.URIs[0]) }, attest.CodeCertificate, "has 2"},
		"URI and mail":  {p256, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.test"} }, attest.CodeCertificate, "has 2"},
		"URI and DNS":   {p256, func(c *x509.Certificate) { c.DNSNames = []string{"example.test"} }, attest.CodeCertificate, "has 2"},
		"DNS":           {p256, func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"example.test"} }, attest.CodeCertificate, "type 2"},
		"IP":            {p256, func(c *x509.Certificate) { c.URIs, c.IPAddresses = nil, []net.IP{{127, 0, 0, 1}} }, attest.CodeCertificate, "type 7"},
		"unseen second": {p256, rawSAN(uri(testSAN), asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{42, 3, 4}}), attest.CodeCertificate, "has 2"},
		"line break":    {p256, other(*username), attest.CodeCertificate, "control character"},
		"loose URI":     {p256, rawSAN(uri("https://ci.example.test/a b")), attest.CodeCertificate, ""},
		"long":          {p256, func(c *x509.Certificate) { c.URIs[0].Path = "/" + strings.Repeat("a", attest.MaxIdentityBytes) }, attest.CodeCertificate, "want 1 to"},
		"too large":     {p256, func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("a", attest.MaxCertificateBytes) }, attest.CodeCertificate, "want 1 to"},
		"no issuer":     {p256, func(c *x509.Certificate) { c.ExtraExtensions = nil }, attest.CodeCertificate, "names no issuer"},
		"issuer v1 alone": {p256, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidIssuerV1, Value: []byte(testIssuer)}}
		}, attest.CodeCertificate, "names no issuer"},
		"two issuers": {p256, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidIssuerV1, Value: []byte("https://evil.example.test")})
		}, attest.CodeCertificate, "two issuers"},
		"issuer not UTF8String": {p256, issuer([]byte(testIssuer), ""), attest.CodeCertificate, "UTF8String"},
		"issuer with NUL":       {p256, issuer(testIssuer+"\x00", "utf8"), attest.CodeCertificate, "control character"},
	} {
		_, err := attest.ParseCertificate(certify(t, c.key, c.change))
		var refusal *attest.Error
		if !errors.As(err, &refusal) || refusal.Code != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %s saying %q", name, err, c.code, c.says)
		}
	}
	for _, der := range [][]byte{nil, []byte("x"), append(certify(t, key, nil), 0)} {
		_, err := attest.ParseCertificate(der)
		wantCode(t, err, attest.CodeCertificate)
	}
}

// TestCertified: the order of the steps, and that key and certificate belong together in each.
func TestCertified(t *testing.T) {
	key, stranger := newKey(t), newKey(t)
	c := parseCertificate(t, certify(t, key.PublicKey(), nil))
	_, err := attest.Certify(stranger, c)
	wantCode(t, err, attest.CodeCertificate)
	for _, none := range []*attest.Certificate{nil, {}} {
		_, err := attest.Certify(key, none)
		wantCode(t, err, attest.CodeCertificate)
		_, err = attest.OpenCertified(nil, none, attest.PrepareOptions{})
		wantCode(t, err, attest.CodeCertificate)
		_, err = attest.ReopenCertified(nil, none)
		wantCode(t, err, attest.CodeCertificate)
	}
	signer, err := attest.Certify(key, c)
	if err != nil {
		t.Fatal(err)
	}
	o := attest.PrepareOptions{Now: time.Date(2026, 9, 1, 9, 30, 0, 0, time.UTC)}
	prepared, err := attest.Prepare(statementBytes(t, "minimal-data-flows.json"), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []*attest.CertifiedSigner{nil, {}} {
		_, err := prepared.SignCertified(t.Context(), none)
		wantCode(t, err, attest.CodeNotPrepared)
	}
	_, err = (*attest.Prepared)(nil).SignCertified(t.Context(), signer)
	wantCode(t, err, attest.CodeNotPrepared)
	signed, err := prepared.SignCertified(t.Context(), signer)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := attest.OpenCertified(signed.JSON(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	reopened, err := attest.ReopenCertified(signed.JSON(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []*attest.Envelope{signed, opened, reopened} {
		if e.Certificate() != c || e.SignerID() != c.Identity().ID() || !bytes.Equal(e.Signer(), c.Identity().Canonical()) {
			t.Errorf("got signer %s", e.SignerID())
		}
		leaf, err := e.Leaf()
		if err != nil || !bytes.Equal(leaf, rekorLeaf(t, e)) {
			t.Errorf("got leaf %s, %v", leaf, err)
		}
	}
	byKey, err := attest.Reopen(signed.JSON(), key.PublicKey())
	if err != nil || byKey.SignerID() != byKey.KeyID() || byKey.Certificate() != nil {
		t.Errorf("by the key alone: %v", err)
	}
	wrong := parseCertificate(t, certify(t, stranger.PublicKey(), nil))
	_, err = attest.OpenCertified(signed.JSON(), wrong, o)
	wantCode(t, err, attest.CodeSignatureInvalid)
	_, err = attest.ReopenCertified(signed.JSON(), wrong)
	wantCode(t, err, attest.CodeSignatureInvalid)
}

// FuzzParseCertificate: whatever is accepted is read by sigstore-go in the same way.
func FuzzParseCertificate(f *testing.F) {
	key := newKey(f).PublicKey()
	f.Add(certify(f, key, nil))
	f.Add(certify(f, key, func(c *x509.Certificate) { c.URIs, c.EmailAddresses = nil, []string{"jane@example.test"} }))
	f.Add(certify(f, key, func(c *x509.Certificate) { c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.test", Path: "/ci"}} }))
	f.Fuzz(func(t *testing.T, der []byte) { sameAsSigstore(t, der) })
}
