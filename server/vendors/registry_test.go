package vendors_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/vendors"
)

func publicPEM(t testing.TB, pub any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func newKey(t testing.TB, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return publicPEM(t, key.Public())
}

func keyID(keyPEM string) string {
	block, _ := pem.Decode([]byte(keyPEM))
	sum := sha256.Sum256(block.Bytes)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// inline writes a key as the value of a member in a list item of a vendor.
func inline(keyPEM string) string {
	return "|\n          " + strings.ReplaceAll(strings.TrimSpace(keyPEM), "\n", "\n          ")
}

func digestOf(s string) string { return vendors.HashToken(s) }

func wantError(t testing.TB, err error, code string, line int) {
	t.Helper()
	var e *vendors.Error
	if !errors.As(err, &e) || e.Code != code || e.Line != line {
		t.Fatalf("got error %v, want code %s at line %d", err, code, line)
	}
	if line > 0 && !strings.Contains(err.Error(), fmt.Sprintf("line %d: ", line)) {
		t.Errorf("%q does not name line %d", err, line)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	inFile, inText := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
	write(t, filepath.Join(dir, "acme.pub"), inFile)
	token, hash, err := vendors.NewToken()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "vendors.yaml")
	write(t, path, fmt.Sprintf(`# who may issue
vendors:
  - name: zeta
    declarant: "Zeta Inc."
    country: US
  - name: acme
    declarant: Ácme Systems GmbH
    country: NO
    contact: security@acme.example
    keys:
      - file: acme.pub
        notBefore: 2026-01-01T00:00:00Z
        notAfter: "2028-01-01T01:00:00+01:00"
      - pem: %s
    products: ["pkg:generic/acme", "cpe:2.3:h:acme"]
    tokens: [%s]
    clientCerts:
      - %s
    signingKey: {file: acme.key, passwordEnv: ACME_PASSWORD}
`, inline(inText), hash, digestOf("certificate")))
	r, err := vendors.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	all := r.All()
	if len(all) != 2 || all[0].Name != "acme" || all[1].Name != "zeta" {
		t.Fatalf("vendors %+v, want acme and zeta", all)
	}
	v := all[0]
	if v.Declarant != "Ácme Systems GmbH" || v.Country != "NO" || v.Contact != "security@acme.example" ||
		!reflect.DeepEqual(v.Products, []string{"pkg:generic/acme", "cpe:2.3:h:acme"}) ||
		*v.SigningKey != (vendors.SigningKey{File: filepath.Join(dir, "acme.key"), PasswordEnv: "ACME_PASSWORD"}) {
		t.Errorf("got %+v", v)
	}
	for i, text := range []string{inFile, inText} {
		got, key, ok := r.ByKey(keyID(text))
		if !ok || got != v || key.ID != keyID(text) || string(key.PEM) != text || key.PublicKey.Curve != elliptic.P256() {
			t.Errorf("key %d: %+v, %v", i, key, ok)
		}
	}
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	if !v.Keys[0].NotBefore.Equal(from) || !v.Keys[0].NotAfter.Equal(to) || !v.Keys[1].NotBefore.IsZero() {
		t.Errorf("windows %v", v.Keys)
	}
	if got, ok := r.ByToken(token); !ok || got != v {
		t.Error("the token is not recognised")
	}
	if got, ok := r.ByClientCert(digestOf("certificate")); !ok || got != v {
		t.Error("the client certificate is not recognised")
	}
	if got, ok := r.ByName("zeta"); !ok || got != all[1] {
		t.Error("zeta is not found by name")
	}
}

// TestNothingIsAllowedByDefault: no registry, an empty one, and one whose
// vendor has nothing but a name.
func TestNothingIsAllowedByDefault(t *testing.T) {
	empty, err := vendors.Parse([]byte("vendors: []\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	bare, err := vendors.Parse([]byte("vendors: [{name: acme, declarant: Acme, country: DE}]"), "")
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := vendors.NewToken()
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*vendors.Registry{"nil": nil, "zero": {}, "empty": empty, "bare": bare} {
		_, _, key := r.ByKey("")
		_, tok := r.ByToken(token)
		_, noTok := r.ByToken("")
		_, cert := r.ByClientCert("")
		_, byName := r.ByName("")
		if key || tok || noTok || cert || byName {
			t.Errorf("%s registry admits somebody", name)
		}
	}
	if v, ok := bare.ByName("acme"); !ok || v.Permits("pkg:generic/acme") || v.Permits("") {
		t.Error("a vendor without products may name one")
	}
}

func TestToken(t *testing.T) {
	token, hash, err := vendors.NewToken()
	if err != nil || !strings.HasPrefix(token, "avow_") || len(token) != 5+43 || hash != vendors.HashToken(token) {
		t.Fatalf("token %q, hash %q, %v", token, hash, err)
	}
	again, _, err := vendors.NewToken()
	if err != nil || again == token {
		t.Fatalf("two tokens are equal, %v", err)
	}
	r, err := vendors.Parse(fmt.Appendf(nil, "vendors: [{name: acme, declarant: Acme, country: DE, tokens: [%s]}]", hash), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{again, token + " ", token[:47], token + "A", strings.ToUpper(token), "Bearer " + token, hash} {
		if _, ok := r.ByToken(wrong); ok {
			t.Errorf("%q is taken for the token", wrong)
		}
	}
}

func TestKeyWindow(t *testing.T) {
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		key  vendors.Key
		at   time.Time
		want bool
	}{
		{vendors.Key{}, from, true},
		{vendors.Key{NotBefore: from}, from.Add(-time.Nanosecond), false},
		{vendors.Key{NotBefore: from}, from, true},
		{vendors.Key{NotAfter: to}, to, true},
		{vendors.Key{NotAfter: to}, to.Add(time.Nanosecond), false},
		{vendors.Key{NotBefore: from, NotAfter: to}, from.Add(time.Hour), true},
	} {
		if got := c.key.ValidAt(c.at); got != c.want {
			t.Errorf("%v to %v at %v: %v", c.key.NotBefore, c.key.NotAfter, c.at, got)
		}
	}
}

func TestParseRefusals(t *testing.T) {
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := newKey(t, elliptic.P256())
	dir := t.TempDir()
	write(t, filepath.Join(dir, "good.pub"), good)
	write(t, filepath.Join(dir, "large.pub"), strings.Repeat("x", vendors.MaxKeyBytes+1))
	head := "vendors:\n  - name: acme\n    declarant: Acme\n    country: DE\n"
	key := func(text string) string { return head + "    keys:\n      - pem: " + inline(text) + "\n" }
	digest := digestOf("x")
	for name, c := range map[string]struct {
		text string
		code string
		line int
	}{
		"empty":                {"", vendors.Syntax, 0},
		"comment alone":        {"# nothing\n", vendors.Syntax, 0},
		"not YAML":             {"vendors: [\n", vendors.Syntax, 0},
		"two documents":        {"vendors: []\n---\nvendors: []\n", vendors.Syntax, 2},
		"a list":               {"- a\n", vendors.Syntax, 1},
		"no vendors":           {"{}\n", vendors.Value, 1},
		"unknown at the top":   {"vendors: []\nversion: 1\n", vendors.Syntax, 2},
		"vendors is nothing":   {"vendors:\n", vendors.Syntax, 1},
		"unknown in vendor":    {head + "    prodcuts: []\n", vendors.Syntax, 5},
		"case of a member":     {head + "    Products: []\n", vendors.Syntax, 5},
		"member twice":         {head + "    country: US\n", vendors.Syntax, 5},
		"alias":                {"vendors:\n  - &a {name: acme, declarant: Acme, country: DE}\n  - *a\n", vendors.Syntax, 2},
		"merge":                {"vendors:\n  - <<: {name: acme}\n    declarant: Acme\n    country: DE\n", vendors.Syntax, 2},
		"tag":                  {"vendors: !!seq []\n", vendors.Syntax, 1},
		"number as a name":     {"vendors:\n  - name: 12\n", vendors.Syntax, 2},
		"no name":              {"vendors:\n  - declarant: Acme\n    country: DE\n", vendors.Value, 2},
		"no declarant":         {"vendors:\n  - name: acme\n    country: DE\n", vendors.Value, 2},
		"no country":           {"vendors:\n  - name: acme\n    declarant: Acme\n", vendors.Value, 2},
		"name in capitals":     {"vendors:\n  - name: Acme\n", vendors.Value, 2},
		"name too long":        {"vendors:\n  - name: " + strings.Repeat("a", 65) + "\n", vendors.Value, 2},
		"empty declarant":      {"vendors:\n  - declarant: \"\"\n", vendors.Value, 2},
		"space after":          {"vendors:\n  - declarant: \"Acme \"\n", vendors.Value, 2},
		"control character":    {"vendors:\n  - declarant: \"Ac\\u202eme\"\n", vendors.Value, 2},
		"country in words":     {"vendors:\n  - country: Germany\n", vendors.Value, 2},
		"country in small":     {"vendors:\n  - country: de\n", vendors.Value, 2},
		"name twice":           {head + strings.TrimPrefix(head, "vendors:\n"), vendors.Duplicate, 5},
		"token itself":         {head + "    tokens: [avow_abc]\n", vendors.Value, 5},
		"token in capitals":    {head + "    tokens: [" + strings.ToUpper(digest) + "]\n", vendors.Value, 5},
		"token twice":          {head + "    tokens: [" + digest + ", " + digest + "]\n", vendors.Duplicate, 2},
		"certificate twice":    {head + "    clientCerts: [" + digest + ", " + digest + "]\n", vendors.Duplicate, 2},
		"product too wide":     {head + "    products:\n      - pkg:generic/acme\n      - \"pkg:generic\"\n", vendors.Value, 7},
		"P-384":                {key(newKey(t, elliptic.P384())), vendors.BadKey, 6},
		"ed25519":              {key(publicPEM(t, ed)), vendors.BadKey, 6},
		"private key":          {key("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), vendors.BadKey, 6},
		"two keys in one":      {key(good + good), vendors.BadKey, 6},
		"key is no PEM":        {head + "    keys:\n      - pem: hello\n", vendors.BadKey, 6},
		"key twice":            {key(good) + "      - file: good.pub\n", vendors.Duplicate, 11},
		"neither pem nor file": {head + "    keys:\n      - notBefore: 2026-01-01T00:00:00Z\n", vendors.Value, 6},
		"both":                 {key(good) + "        file: good.pub\n", vendors.Value, 6},
		"file missing":         {head + "    keys:\n      - file: none.pub\n", vendors.Unreadable, 6},
		"file too large":       {head + "    keys:\n      - file: large.pub\n", vendors.Unreadable, 6},
		"a directory":          {head + "    keys:\n      - file: .\n", vendors.Unreadable, 6},
		"a device":             {head + "    keys:\n      - file: /dev/zero\n", vendors.Unreadable, 6},
		"window backwards":     {head + "    keys:\n      - file: good.pub\n        notBefore: 2027-01-01T00:00:00Z\n        notAfter: 2026-01-01T00:00:00Z\n", vendors.Value, 6},
		"date without time":    {head + "    keys:\n      - file: good.pub\n        notBefore: 2027-01-01\n", vendors.Value, 7},
		"signing key alone":    {head + "    signingKey: {file: a.key}\n", vendors.Value, 5},
		"signing key, both":    {head + "    signingKey: {file: a.key, passwordFile: b, passwordEnv: C}\n", vendors.Value, 5},
		"signing key, no file": {head + "    signingKey: {passwordEnv: C}\n", vendors.Value, 5},
		"variable's name":      {head + "    signingKey: {file: a.key, passwordEnv: \"A=B\"}\n", vendors.Value, 5},
		"file and reference":   {head + "    signingKey: {file: a.key, reference: \"hashivault://a\", passwordEnv: C}\n", vendors.Value, 5},
		"no reference":         {head + "    signingKey: {reference: a.key}\n", vendors.Value, 5},
		"reference's password": {head + "    signingKey: {reference: \"hashivault://a\", passwordEnv: C}\n", vendors.Value, 5},
		"token, two PINs":      {head + "    signingKey: {reference: \"pkcs11:token=a;object=b\", passwordFile: b, passwordEnv: C}\n", vendors.Value, 5},
		"too many products":    {head + "    products: [" + strings.Repeat("x, ", vendors.MaxPerVendor+1) + "]\n", vendors.Value, 5},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := vendors.Parse([]byte(c.text), dir)
			wantError(t, err, c.code, c.line)
		})
	}
	_, err = vendors.Parse(make([]byte, vendors.MaxRegistryBytes+1), "")
	wantError(t, err, vendors.Value, 0)
	_, err = vendors.Load(filepath.Join(dir, "none.yaml"))
	wantError(t, err, vendors.Unreadable, 0)
}

// TestSharedByTwoVendors: one key, token or certificate must not make one vendor speak for another.
func TestSharedByTwoVendors(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key.pub"), newKey(t, elliptic.P256()))
	for member, line := range map[string]int{"keys: [{file: key.pub}]": 3, "tokens: [" + digestOf("x") + "]": 3, "clientCerts: [" + digestOf("x") + "]": 3} {
		text := "vendors:\n  - {name: a, declarant: A, country: DE, " + member + "}\n  - {name: b, declarant: B, country: DE, " + member + "}\n"
		_, err := vendors.Parse([]byte(text), dir)
		wantError(t, err, vendors.Duplicate, line)
		if !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%v does not name the first vendor", err)
		}
	}
}

func TestPermits(t *testing.T) {
	for _, c := range []struct {
		prefix string
		yes    []string
		no     []string
	}{
		{"pkg:generic/acme",
			[]string{"pkg:generic/acme", "pkg:generic/acme@1", "pkg:generic/acme/fw@1.2?arch=x#sub", "pkg:generic/acme?x=y", "pkg:generic/acme/a/b"},
			[]string{"pkg:generic/acme-evil@1", "pkg:generic/acme.x", "pkg:generic/acm", "pkg:generic/ACME", "PKG:generic/acme", "pkg:generic/acme%2Fevil",
				"pkg:generic/acme/../evil", "pkg:generic/acme/%2e%2e/evil", "pkg:generic/acme//x", "pkg:generic/acme/", "pkg:generic/acme@", "pkg:generic/acme@1@2",
				"pkg:generic/acme@1/evil", "pkg:generic/acme/x y", "pkg:generic/acme/x\n", "pkg:generic/acme/\xff", "pkg:npm/acme", "", "https://pkg:generic/acme"}},
		{"pkg:generic/acme/",
			[]string{"pkg:generic/acme/fw", "pkg:generic/acme/fw@2"},
			[]string{"pkg:generic/acme", "pkg:generic/acme/", "pkg:generic/acme@1", "pkg:generic/acme/@1"}},
		{"pkg:generic/acme/fw@1.2",
			[]string{"pkg:generic/acme/fw@1.2", "pkg:generic/acme/fw@1.2?os=x", "pkg:generic/acme/fw@1.2#s"},
			[]string{"pkg:generic/acme/fw@1.20", "pkg:generic/acme/fw@1.2.1", "pkg:generic/acme/fw@1.2/x", "pkg:generic/acme/fw"}},
		{"cpe:2.3:h:acme",
			[]string{"cpe:2.3:h:acme:fw:1:*:*:*:*:*:*:*", "cpe:2.3:h:acme"},
			[]string{"cpe:2.3:h:acme-evil:fw", `cpe:2.3:h:acme\:evil:fw`, "cpe:2.3:a:acme:fw", "cpe:/h:acme:fw"}},
		{"https://acme.example/fw",
			[]string{"https://acme.example/fw", "https://acme.example/fw/2", "https://acme.example/fw?v=2", "https://acme.example/fw#x", "https://acme.example/fw/"},
			[]string{"https://acme.example/fw2", "http://acme.example/fw", "https://acme.example/fw/../x", "https://acme.example/fw/%2E%2e/x", `https://acme.example/fw\..\x`}},
		{"https://acme.example",
			[]string{"https://acme.example", "https://acme.example/", "https://acme.example/x"},
			[]string{"https://acme.example.evil/", "https://acme.example@evil.example/", "https://acme.example:8443/", "https://ACME.example/", "https://acme.example//x"}},
		{"gtin:4012345",
			[]string{"4012345678901", "04012345678901", "14012345678908"},
			[]string{"4012346678901", "40123456", "gtin:4012345678901", "401234567890x", "140123456789012", "44012345678905x"}},
		{"gtin:4012345678901",
			[]string{"4012345678901", "04012345678901"},
			[]string{"14012345678901", "4012345678902"}},
		// Not prefixes: too wide, malformed, or of no scheme. They permit nothing, not even themselves.
		{"pkg:generic", nil, []string{"pkg:generic", "pkg:generic/x"}},
		{"pkg:generic/", nil, []string{"pkg:generic/x"}},
		{"pkg:", nil, []string{"pkg:generic/x"}},
		{"pkg:generic/acme?x=y", nil, []string{"pkg:generic/acme?x=y"}},
		{"cpe:2.3:h", nil, []string{"cpe:2.3:h:acme:x"}},
		{"cpe:2.3:*:acme", nil, []string{"cpe:2.3:*:acme:x"}},
		{"https://", nil, []string{"https://acme.example"}},
		{"https://user@acme.example", nil, []string{"https://user@acme.example/"}},
		{"https://acme.example?x", nil, []string{"https://acme.example?x"}},
		{"http://acme.example", nil, []string{"http://acme.example"}},
		{"gtin:401234", nil, []string{"4012345678901"}},
		{"gtin:", nil, []string{"4012345678901"}},
		{"", nil, []string{"", "x", "pkg:generic/acme"}},
		{"acme", nil, []string{"acme", "acme/x"}},
	} {
		v := vendors.Vendor{Products: []string{c.prefix}}
		for _, id := range c.yes {
			if !v.Permits(id) {
				t.Errorf("%q does not permit %q", c.prefix, id)
			}
		}
		for _, id := range c.no {
			if v.Permits(id) {
				t.Errorf("%q permits %q", c.prefix, id)
			}
		}
	}
}

// FuzzPermits: what is permitted begins with the prefix (or, for article
// numbers, holds its digits), and what follows begins at a border.
func FuzzPermits(f *testing.F) {
	for _, p := range []string{"pkg:generic/acme", "pkg:generic/acme/", "pkg:generic/a@1", "cpe:2.3:h:acme", "https://acme.example/x", "gtin:4012345"} {
		f.Add(p, p+"/x")
		f.Add(p, p+"-evil")
		f.Add(p, "4012345678901")
	}
	f.Fuzz(func(t *testing.T, prefix, id string) {
		v := vendors.Vendor{Products: []string{prefix}}
		if !v.Permits(id) {
			return
		}
		if digits, ok := strings.CutPrefix(prefix, "gtin:"); ok {
			if !strings.Contains("00"+id, digits) {
				t.Errorf("%q permits %q", prefix, id)
			}
			return
		}
		rest, ok := strings.CutPrefix(id, prefix)
		if !ok || rest != "" && !strings.HasSuffix(prefix, "/") && !strings.ContainsAny(rest[:1], "/@?#:") {
			t.Errorf("%q permits %q", prefix, id)
		}
		if strings.Contains(id, "/../") || strings.ContainsAny(id, " \n\x00") {
			t.Errorf("%q permits %q", prefix, id)
		}
	})
}

func TestMarshalAndAppend(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key.pub"), newKey(t, elliptic.P256()))
	r, err := vendors.Parse([]byte(`vendors:
  - name: acme
    declarant: "Acme: Systems & Söhne"
    country: "NO"
    contact: "on"
    keys: [{file: key.pub, notBefore: 2026-01-01T00:00:00Z}]
    products: ["pkg:generic/acme", "gtin:4012345"]
    tokens: [`+digestOf("t")+`]
    clientCerts: [`+digestOf("c")+`]
    signingKey: {file: /keys/acme.key, passwordFile: /keys/acme.pass}
`), dir)
	if err != nil {
		t.Fatal(err)
	}
	v := r.All()[0]
	for name, before := range map[string]string{
		"empty list":   "# keep this comment\nvendors: []\n",
		"with another": "# keep this comment\nvendors:\n  - name: first\n    declarant: First\n    country: US\n",
	} {
		text, err := vendors.Append([]byte(before), v, dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := vendors.Parse(text, dir)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if got, ok := again.ByName("acme"); !ok || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: got %+v, want %+v\n%s", name, got, v, text)
		}
		if !strings.Contains(string(text), "# keep this comment") {
			t.Errorf("%s: the comment is lost:\n%s", name, text)
		}
	}
	text, err := vendors.Append([]byte("vendors: []\n"), v, dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vendors.Append(text, v, dir); err == nil {
		t.Error("the same vendor is appended twice")
	}
	_, err = vendors.Append([]byte("vendors: []\n"), &vendors.Vendor{Name: "Bad Name", Declarant: "x", Country: "DE"}, dir)
	wantError(t, err, vendors.Value, 2)
	_, err = vendors.Append([]byte("{}\n"), v, dir)
	wantError(t, err, vendors.Value, 1)
}

// FuzzParse: a registry that parses survives being written and read again, and
// each of its vendors is found by what identifies it and by nothing else.
func FuzzParse(f *testing.F) {
	key := newKey(f, elliptic.P256())
	f.Add([]byte("vendors: []"))
	f.Add([]byte("vendors:\n  - name: acme\n    declarant: Acme\n    country: DE\n    keys:\n      - pem: " + inline(key) + "\n"))
	f.Add([]byte("vendors: [{name: a, declarant: A, country: DE, products: ['pkg:generic/a'], tokens: [" + digestOf("t") + "], signingKey: {file: k, passwordEnv: E}}]"))
	f.Add([]byte("vendors: &a [*a]"))
	f.Add([]byte("a: &a [x,x]\nb: &b [*a,*a]\nvendors: [*b,*b]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := vendors.Parse(data, "")
		if err != nil {
			var e *vendors.Error
			if !errors.As(err, &e) || r != nil {
				t.Fatalf("registry %v, error %T %v", r, err, err)
			}
			return
		}
		text := []byte("vendors: []\n")
		for _, v := range r.All() {
			if got, ok := r.ByName(v.Name); !ok || got != v || v.Declarant == "" {
				t.Errorf("vendor %q is not found by its name", v.Name)
			}
			for i := range v.Keys {
				if got, key, ok := r.ByKey(v.Keys[i].ID); !ok || got != v || key.PublicKey.Curve != elliptic.P256() {
					t.Errorf("key %s of %q is not found", v.Keys[i].ID, v.Name)
				}
			}
			if text, err = vendors.Append(text, v, ""); err != nil {
				t.Fatalf("appending %+v: %v", v, err)
			}
		}
		again, err := vendors.Parse(text, "")
		if err != nil || !reflect.DeepEqual(again.All(), r.All()) {
			t.Errorf("read %+v, written and read again %+v, %v", r.All(), again.All(), err)
		}
	})
}
