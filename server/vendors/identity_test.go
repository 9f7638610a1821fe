package vendors_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/vendors"
)

const (
	ciIssuer = "https://token.actions.githubusercontent.com"
	ciSAN    = "https://github.com/acme/fw/.github/workflows/release.yml@refs/heads/main"
)

// withIdentities is a registry of one vendor; each value is a YAML mapping in flow form.
func withIdentities(entries ...string) string {
	var b strings.Builder
	b.WriteString("vendors:\n  - name: acme\n    declarant: Acme\n    country: DE\n    identities:\n")
	for _, e := range entries {
		b.WriteString("      - " + e + "\n")
	}
	return b.String()
}

func identity(issuer, san string) string { return fmt.Sprintf("{issuer: %q, san: %q}", issuer, san) }

func TestIdentities(t *testing.T) {
	text := withIdentities(
		fmt.Sprintf("{issuer: %q, san: %q, notBefore: 2026-01-01T00:00:00Z, notAfter: 2027-01-01T00:00:00Z}", ciIssuer, ciSAN),
		identity("https://accounts.example.test", "jürgen@example.test"), identity("http://127.0.0.1:5556/dex", "jane!example.test"))
	r, err := vendors.Parse([]byte(text), "")
	if err != nil {
		t.Fatal(err)
	}
	v, i, ok := r.ByIdentity(ciIssuer, ciSAN)
	if !ok || v.Name != "acme" || i.SAN != ciSAN || i.Issuer != ciIssuer {
		t.Fatalf("got %+v, %v", i, ok)
	}
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for at, want := range map[time.Time]bool{from: true, to: true, from.Add(-1): false, to.Add(1): false} {
		if i.ValidAt(at) != want {
			t.Errorf("valid at %v: %v", at, !want)
		}
	}
	// Byte for byte: what looks alike, or is the same to some reader, is another identity.
	for _, san := range []string{
		"", strings.ToUpper(ciSAN), strings.Replace(ciSAN, "github.com", "GitHub.com", 1), ciSAN + ".", ciSAN + "/", ciSAN + "\x00",
		strings.Replace(ciSAN, "acme", "асme", 1), strings.Replace(ciSAN, "github.com", "github.com.", 1), ciSAN + "-evil",
		strings.Replace(ciSAN, "/fw/", "/./fw/", 1), strings.Replace(ciSAN, "fw", "%66w", 1), ciSAN + "\u200b", " " + ciSAN, ciSAN[:len(ciSAN)-1],
	} {
		if _, _, ok := r.ByIdentity(ciIssuer, san); ok {
			t.Errorf("%q is taken for the registered identity", san)
		}
	}
	for _, issuer := range []string{"", ciIssuer + "/", strings.Replace(ciIssuer, "https", "http", 1), "https://accounts.example.test",
		strings.ToUpper(ciIssuer)} {
		if _, _, ok := r.ByIdentity(issuer, ciSAN); ok {
			t.Errorf("%q is taken for the issuer", issuer)
		}
	}
	if _, _, ok := r.ByIdentity(ciSAN, ciIssuer); ok {
		t.Error("issuer and SAN can be swapped")
	}
	for name, r := range map[string]*vendors.Registry{"nil": nil, "zero": {}} {
		if _, _, ok := r.ByIdentity(ciIssuer, ciSAN); ok {
			t.Errorf("the %s registry admits somebody", name)
		}
	}
}

func TestIdentityRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		entries []string
		code    string
		line    int
	}{
		"no issuer":       {[]string{"{san: a}"}, vendors.Value, 6},
		"no san":          {[]string{"{issuer: https://a.example}"}, vendors.Value, 6},
		"empty san":       {[]string{identity(ciIssuer, "")}, vendors.Value, 6},
		"unknown member":  {[]string{"{issuer: https://a.example, sanRegexp: .*}"}, vendors.Syntax, 6},
		"not text":        {[]string{"{issuer: https://a.example, san: 12}"}, vendors.Syntax, 6},
		"too long":        {[]string{identity(ciIssuer, strings.Repeat("a", vendors.MaxIdentityBytes+1))}, vendors.Value, 6},
		"NUL":             {[]string{identity(ciIssuer, "a\x00b")}, vendors.Value, 6},
		"line break":      {[]string{identity(ciIssuer, "a\nb")}, vendors.Value, 6},
		"space":           {[]string{identity(ciIssuer, "a b")}, vendors.Value, 6},
		"no-break space":  {[]string{identity(ciIssuer, "a\u00a0b")}, vendors.Value, 6},
		"zero width":      {[]string{identity(ciIssuer, "a\u200bb")}, vendors.Value, 6},
		"right to left":   {[]string{identity(ciIssuer, "a\u202eb")}, vendors.Value, 6},
		"Hangul filler":   {[]string{identity(ciIssuer, "a\u3164b")}, vendors.Value, 6},
		"braille blank":   {[]string{identity(ciIssuer, "a\u2800b")}, vendors.Value, 6},
		"selector":        {[]string{identity(ciIssuer, "a\ufe0fb")}, vendors.Value, 6},
		"grapheme joiner": {[]string{identity(ciIssuer, "a\u034fb")}, vendors.Value, 6},
		"not NFC":         {[]string{identity(ciIssuer, "ju\u0308rgen@example.test")}, vendors.Value, 6},
		"issuer not NFC":  {[]string{identity("https://ju\u0308rgen.example", "a")}, vendors.Value, 6},
		"issuer no URL":   {[]string{identity("accounts.example.test", "a")}, vendors.Value, 6},
		"issuer http":     {[]string{identity("http://accounts.example.test", "a")}, vendors.Value, 6},
		"issuer query":    {[]string{identity("https://accounts.example.test?x=y", "a")}, vendors.Value, 6},
		"issuer fragment": {[]string{identity("https://accounts.example.test#", "a")}, vendors.Value, 6},
		"issuer user":     {[]string{identity("https://u@accounts.example.test", "a")}, vendors.Value, 6},
		"window":          {[]string{"{issuer: https://a.example, san: a, notBefore: 2027-01-01T00:00:00Z, notAfter: 2026-01-01T00:00:00Z}"}, vendors.Value, 6},
		"twice":           {[]string{identity(ciIssuer, ciSAN), identity(ciIssuer, ciSAN)}, vendors.Duplicate, 7},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := vendors.Parse([]byte(withIdentities(c.entries...)), "")
			wantError(t, err, c.code, c.line)
		})
	}
	_, err := vendors.Parse([]byte(withIdentities("{"+strings.Repeat("x, ", 3)+"}")+strings.Repeat("      - a\n", vendors.MaxPerVendor)), "")
	wantError(t, err, vendors.Value, 6)
	two := "vendors:\n  - {name: a, declarant: A, country: DE, identities: [" + identity(ciIssuer, ciSAN) + "]}\n" +
		"  - {name: b, declarant: B, country: DE, identities: [" + identity(ciIssuer, ciSAN) + "]}\n"
	_, err = vendors.Parse([]byte(two), "")
	wantError(t, err, vendors.Duplicate, 3)
	if !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("%v does not name the first vendor", err)
	}
}

// TestAppendIdentity: what is written is what is read.
func TestAppendIdentity(t *testing.T) {
	v := &vendors.Vendor{Name: "acme", Declarant: "Acme", Country: "DE", Identities: []vendors.Identity{
		{Issuer: ciIssuer, SAN: ciSAN, NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}}}
	text, err := vendors.Append([]byte("vendors: []\n"), v, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := vendors.Parse(text, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, i, ok := r.ByIdentity(ciIssuer, ciSAN); !ok || !reflect.DeepEqual(*i, v.Identities[0]) {
		t.Errorf("got %+v from\n%s", i, text)
	}
	v.Name, v.Identities[0].SAN = "b", "a\u200bb"
	_, err = vendors.Append(text, v, "")
	wantError(t, err, vendors.Value, 14)
}
