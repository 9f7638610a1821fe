package authority_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"

	"github.com/avow-dev/avow/server/authority"
)

// start is near the present, because the library writes the signing-time
// attribute by the machine's clock, and verifiers compare it with the chain; and
// within a second, because tokens cut it.
var start = time.Now().UTC().Truncate(time.Second).Add(987654321)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func generate(t testing.TB, name string, now time.Time) *authority.Credentials {
	t.Helper()
	c, err := authority.Generate(name, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newAuthority(t testing.TB, clock func() time.Time) *authority.Authority {
	t.Helper()
	c := generate(t, "log.example", start)
	a, err := authority.New(authority.Config{CertChain: c.Chain, Key: c.Key, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t testing.TB, a *authority.Authority, signature []byte) []byte {
	t.Helper()
	token, err := a.Timestamp(t.Context(), signature)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantCode(t testing.TB, err error, code string) {
	t.Helper()
	var e *authority.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
}

// TestTokenByTheVerifiersOfOthers: sigstore-go's path (what buyers run) and
// timestamp-authority's own accept the token; another signature, another root
// and a changed token are refused by both.
func TestTokenByTheVerifiersOfOthers(t *testing.T) {
	a := newAuthority(t, at(start))
	signature := []byte("signature bytes")
	token := issue(t, a, signature)
	chain := a.CertChain()
	other := newAuthority(t, at(start)).CertChain()
	changed := bytes.Clone(token)
	changed[len(changed)-1] ^= 1
	for name, c := range map[string]struct {
		token, message []byte
		leaf, root     *x509.Certificate
		good           bool
	}{
		"as issued":                 {token, signature, chain[0], chain[1], true},
		"leaf from the token":       {token, signature, nil, chain[1], true},
		"another message":           {token, []byte("other"), chain[0], chain[1], false},
		"another authority's chain": {token, signature, other[0], other[1], false},
		"another root":              {token, signature, chain[0], other[1], false},
		"changed signature":         {changed, signature, chain[0], chain[1], false},
	} {
		tsa := root.SigstoreTimestampingAuthority{Root: c.root, Leaf: c.leaf, URI: "https://tsa.example", ValidityPeriodStart: chain[0].NotBefore}
		ts, err := tsa.Verify(c.token, c.message)
		if (err == nil) != c.good {
			t.Errorf("%s: sigstore-go says %v", name, err)
		}
		if c.good && !ts.Time.Equal(start.Truncate(time.Second)) {
			t.Errorf("%s: time %v, want %v in whole seconds", name, ts.Time, start)
		}
		_, err = verification.VerifyTimestampResponse(c.token, bytes.NewReader(c.message), verification.VerifyOpts{
			Roots: []*x509.Certificate{c.root}, TSACertificate: c.leaf, OID: authority.DefaultPolicy(),
		})
		if (err == nil) != c.good {
			t.Errorf("%s: timestamp-authority says %v", name, err)
		}
	}
}

func TestTokenContent(t *testing.T) {
	a := newAuthority(t, at(start))
	token := issue(t, a, []byte("signature"))
	ts, err := timestamp.ParseResponse(token)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("signature"))
	switch {
	case ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, digest[:]):
		t.Errorf("imprint %v %x", ts.HashAlgorithm, ts.HashedMessage)
	case !ts.Time.Equal(start.Truncate(time.Second)) || ts.Accuracy != time.Second:
		t.Errorf("time %v, accuracy %v", ts.Time, ts.Accuracy)
	case !ts.Policy.Equal(authority.DefaultPolicy()) || ts.Ordering || ts.Nonce != nil || len(ts.Extensions) != 0:
		t.Errorf("policy %v, ordering %v, nonce %v, extensions %v", ts.Policy, ts.Ordering, ts.Nonce, ts.Extensions)
	case len(ts.Certificates) != 1 || !ts.Certificates[0].Equal(a.CertChain()[0]):
		t.Errorf("%d certificates, want the leaf alone", len(ts.Certificates))
	case len(token) > 1500:
		t.Errorf("token of %d bytes: bundles carry it", len(token))
	}
}

func TestSerialNumbersAreUnique(t *testing.T) {
	a := newAuthority(t, at(start))
	seen := map[string]bool{}
	for range 500 {
		ts, err := timestamp.ParseResponse(issue(t, a, []byte("the same")))
		if err != nil {
			t.Fatal(err)
		}
		if s := ts.SerialNumber; s.Sign() <= 0 || s.BitLen() > 160 || seen[s.String()] {
			t.Fatalf("serial number %v: want positive, at most 160 bits, never twice", s)
		}
		seen[ts.SerialNumber.String()] = true
	}
}

// TestTimeNeverRunsBackwards: reliability D8.
func TestTimeNeverRunsBackwards(t *testing.T) {
	now := start
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	set := func(t time.Time) { mu.Lock(); defer mu.Unlock(); now = t }
	a := newAuthority(t, clock)
	set(start.Add(time.Hour))
	issue(t, a, []byte("s"))
	issue(t, a, []byte("s")) // a frozen clock is no step back
	set(start.Add(time.Hour).Truncate(time.Second))
	issue(t, a, []byte("s")) // nor is one within the second
	set(start.Add(time.Hour - time.Second))
	_, err := a.Timestamp(t.Context(), []byte("s"))
	wantCode(t, err, authority.TimeWentBack)
	var e *authority.Error
	if errors.As(err, &e); !e.Retryable || e.Hint == "" {
		t.Errorf("%+v: want a retryable error with a hint", e)
	}
	set(start.Add(time.Hour + time.Second))
	issue(t, a, []byte("s"))
}

func TestTimeAcrossRestarts(t *testing.T) {
	c := generate(t, "log.example", start)
	_, err := authority.New(authority.Config{CertChain: c.Chain, Key: c.Key, Clock: at(start), NotBefore: start.Add(time.Minute)})
	wantCode(t, err, authority.TimeWentBack)
	if _, err := authority.New(authority.Config{CertChain: c.Chain, Key: c.Key, Clock: at(start), NotBefore: start}); err != nil {
		t.Error(err)
	}
}

// TestConcurrentTokens: times come from one line, whoever asks.
func TestConcurrentTokens(t *testing.T) {
	a := newAuthority(t, time.Now)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if _, err := a.Timestamp(t.Context(), []byte("s")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestTimestampRefusals(t *testing.T) {
	a := newAuthority(t, at(start))
	_, err := a.Timestamp(t.Context(), nil)
	wantCode(t, err, authority.BadSignature)
	_, err = a.Timestamp(t.Context(), make([]byte, authority.MaxSignatureBytes+1))
	wantCode(t, err, authority.BadSignature)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = a.Timestamp(ctx, []byte("s")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestNewRefusals(t *testing.T) {
	good := generate(t, "log.example", start)
	other := generate(t, "log.example", start)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func(change func(*x509.Certificate)) []*x509.Certificate { return chainWith(t, good.Key, change) }
	for name, c := range map[string]struct {
		config authority.Config
		code   string
	}{
		"no key":               {authority.Config{CertChain: good.Chain}, authority.BadKey},
		"P-384":                {authority.Config{CertChain: good.Chain, Key: p384}, authority.BadKey},
		"another key":          {authority.Config{CertChain: good.Chain, Key: other.Key}, authority.BadKey},
		"no chain":             {authority.Config{Key: good.Key}, authority.BadChain},
		"leaf alone":           {authority.Config{CertChain: good.Chain[:1], Key: good.Key}, authority.BadChain},
		"root first":           {authority.Config{CertChain: []*x509.Certificate{good.Chain[1], good.Chain[0]}, Key: good.Key}, authority.BadChain},
		"another root":         {authority.Config{CertChain: []*x509.Certificate{good.Chain[0], other.Chain[1]}, Key: good.Key}, authority.BadChain},
		"expired":              {authority.Config{CertChain: good.Chain, Key: good.Key, Clock: at(start.Add(authority.Validity))}, authority.Expired},
		"not yet valid":        {authority.Config{CertChain: good.Chain, Key: good.Key, Clock: at(start.Add(-time.Hour))}, authority.Expired},
		"CA as leaf":           {authority.Config{CertChain: leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }), Key: good.Key}, authority.BadChain},
		"usage not critical":   {authority.Config{CertChain: leaf(func(c *x509.Certificate) { c.ExtraExtensions[0].Critical = false }), Key: good.Key}, authority.BadChain},
		"no usage":             {authority.Config{CertChain: leaf(func(c *x509.Certificate) { c.ExtraExtensions = nil }), Key: good.Key}, authority.BadChain},
		"code signing besides": {authority.Config{CertChain: leaf(func(c *x509.Certificate) { c.ExtraExtensions[0].Value = ekuBoth }), Key: good.Key}, authority.BadChain},
	} {
		if c.config.Clock == nil {
			c.config.Clock = at(start)
		}
		t.Run(name, func(t *testing.T) {
			_, err := authority.New(c.config)
			wantCode(t, err, c.code)
		})
	}
	if _, err := authority.New(authority.Config{CertChain: leaf(func(*x509.Certificate) {}), Key: good.Key, Clock: at(start)}); err != nil {
		t.Errorf("the unchanged chain of this test is refused: %v", err)
	}
}

// ekuBoth is the value of an extended key usage of timeStamping and codeSigning.
var ekuBoth = []byte{0x30, 0x14, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 3}

// chainWith makes a chain for a key, with a changed leaf.
func chainWith(t *testing.T, key *ecdsa.PrivateKey, change func(*x509.Certificate)) []*x509.Certificate {
	t.Helper()
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(c, parent *x509.Certificate, pub any) *x509.Certificate {
		c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(7), start.Add(-time.Hour), start.Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	rootForm := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootCert := sign(rootForm, rootForm, rootKey.Public())
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: []byte{0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 8}}},
	}
	change(leaf)
	return []*x509.Certificate{sign(leaf, rootCert, key.Public()), rootCert}
}

func TestParse(t *testing.T) {
	c := generate(t, "log.example", start)
	chain, err := authority.ParseChain(c.ChainPEM)
	if err != nil || len(chain) != 2 || !chain[0].Equal(c.Chain[0]) || !chain[1].Equal(c.Chain[1]) {
		t.Errorf("chain %v, %v", chain, err)
	}
	key, err := authority.ParseKey(c.KeyPEM)
	if err != nil || !key.Equal(c.Key) {
		t.Errorf("key: %v", err)
	}
	sec1, err := x509.MarshalECPrivateKey(c.Key)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = authority.ParseKey(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})); err != nil || !key.Equal(c.Key) {
		t.Errorf("SEC 1 key: %v", err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("text"), "key": c.KeyPEM, "junk inside": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
		"text after": append(bytes.Clone(c.ChainPEM), "trailing"...), "too many": bytes.Repeat(c.ChainPEM, 5), "too large": bytes.Repeat([]byte("\n"), authority.MaxPEMBytes+1),
	} {
		_, err := authority.ParseChain(data)
		if err == nil {
			t.Errorf("%s: accepted as a chain", name)
			continue
		}
		wantCode(t, err, authority.BadChain)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "certificate": c.ChainPEM, "junk inside": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"too large": bytes.Repeat([]byte("\n"), authority.MaxPEMBytes+1),
	} {
		_, err := authority.ParseKey(data)
		if err == nil {
			t.Errorf("%s: accepted as a key", name)
			continue
		}
		wantCode(t, err, authority.BadKey)
	}
}

// TestTokenByOpenSSL asks the reference implementation of many buyers.
func TestTokenByOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	a := newAuthority(t, time.Now)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	run := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
		if err != nil {
			t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	data := file("data", []byte("signature"))
	rootPEM := file("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.CertChain()[1].Raw}))
	run("ts", "-verify", "-data", data, "-in", file("token", issue(t, a, []byte("signature"))), "-CAfile", rootPEM)

	query := filepath.Join(dir, "query")
	for _, hash := range []string{"-sha256", "-sha384", "-sha512"} {
		run("ts", "-query", "-data", data, hash, "-cert", "-out", query)
		der, err := os.ReadFile(query)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := a.Respond(t.Context(), der)
		if err != nil {
			t.Fatal(err)
		}
		run("ts", "-verify", "-queryfile", query, "-in", file("reply", reply), "-CAfile", rootPEM)
	}
	run("ts", "-query", "-data", data, "-sha1", "-out", query)
	der, err := os.ReadFile(query)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := a.Respond(t.Context(), der)
	wantCode(t, err, authority.BadRequest)
	if out := run("ts", "-reply", "-in", file("refused", refused), "-text"); !strings.Contains(out, "unrecognized or unsupported algorithm identifier") {
		t.Errorf("openssl reads the refusal as %s", out)
	}
}

func BenchmarkTimestamp(b *testing.B) {
	a := newAuthority(b, time.Now)
	signature := make([]byte, 71)
	b.ReportAllocs()
	for b.Loop() {
		issue(b, a, signature)
	}
}

func BenchmarkRespond(b *testing.B) {
	a := newAuthority(b, time.Now)
	req, err := timestamp.CreateRequest(strings.NewReader("x"), &timestamp.RequestOptions{Certificates: true, Nonce: big.NewInt(1)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Respond(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
