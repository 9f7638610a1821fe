package predicate

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"
)

func TestCountries(t *testing.T) {
	tables := EmbeddedTables()
	if len(countries) != 2*249 {
		t.Errorf("%d codes, ISO 3166-1 has 249", len(countries)/2)
	}
	var codes []string
	for i := 0; i < len(countries); i += 2 {
		codes = append(codes, countries[i:i+2])
	}
	if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
		t.Error("codes are not sorted, or stand twice")
	}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			code := string([]rune{a, b})
			if got := tables.Country(code); got != slices.Contains(codes, code) {
				t.Errorf("Country(%q) = %v", code, got)
			}
		}
	}
	for _, code := range []string{"", "D", "de", "DEU", "UK", "EU", "XX", "XK", "D ", "ADAE"} {
		if tables.Country(code) {
			t.Errorf("Country(%q)", code)
		}
	}
}

func TestJurisdictions(t *testing.T) {
	tables := EmbeddedTables()
	for token, want := range map[string]bool{
		"DE": true, "HK": true, "EU": true, "EEA": true, "anywhere": true, "FR-NC": true, "CN-44": true, "GB-ENG": true, "US-C": true,
		"": false, "D": false, "de": false, "UK": false, "Anywhere": false, "EU-DE": false, "FR-": false, "FR-nc": false,
		"FR-ABCD": false, "FR_NC": false, "FRNC": false, "DE-Ä": false, "EEA-NO": false, "global": false,
	} {
		if got := tables.Jurisdiction(token); got != want {
			t.Errorf("Jurisdiction(%q) = %v, want %v", token, got, want)
		}
	}
}

func TestZeroTablesKnowNothing(t *testing.T) {
	tables := &Tables{}
	if tables.Country("DE") || tables.Jurisdiction("DE") {
		t.Error("a country without a table")
	}
	if _, ok := tables.Definition(BackdoorDefinition().URI, BackdoorDefinition().SHA256); ok {
		t.Error("a definition without a table")
	}
	if got := mustParse(t, "v1/no-backdoor/valid/minimal-no-backdoor.json").Check(tables).Errors().Codes(); !slices.Equal(got, []string{"R06", "R14", "R25"}) {
		t.Errorf("codes %v, want R06, R14, R25", got)
	}
}

func TestPublicSuffixes(t *testing.T) {
	tables := EmbeddedTables()
	for _, test := range []struct {
		name    string
		section SuffixSection
		above   bool
	}{
		{"com", ICANNSuffix, true},
		{"example.com", NotSuffix, false},
		{"co.uk", ICANNSuffix, true}, // blogspot.co.uk was one
		{"uk", ICANNSuffix, true},
		{"amazonaws.com", NotSuffix, true},
		{"s3.amazonaws.com", PrivateSuffix, false},
		{"bucket.s3.amazonaws.com", NotSuffix, false},
		{"cloudfront.net", PrivateSuffix, false},
		{"d1.cloudfront.net", NotSuffix, false},
		{"github.io", PrivateSuffix, false},
		{"github.com", NotSuffix, false},
		{"ck", NotSuffix, true}, // only *.ck is a rule
		{"foo.ck", ICANNSuffix, false},
		{"a.foo.ck", NotSuffix, false},
		{"www.ck", NotSuffix, false}, // !www.ck
		{"a.www.ck", NotSuffix, false},
		{"kawasaki.jp", NotSuffix, true},
		{"x.kawasaki.jp", ICANNSuffix, false},
		{"city.kawasaki.jp", NotSuffix, false},
		{"jp", ICANNSuffix, true},
		{"xn--fiqs8s", ICANNSuffix, false}, // 中国
		{"xn--55qx5d.xn--fiqs8s", NotSuffix, false},
		{"xn--55qx5d.cn", ICANNSuffix, false}, // 公司.cn
		{"aaa", ICANNSuffix, false},           // the first rule
		{"xn--zfr164b", ICANNSuffix, false},   // near the end
		{"zuerich", ICANNSuffix, false},
		{"zw", ICANNSuffix, true},
		{"zzzz", NotSuffix, false}, // after the last rule
		{"0", NotSuffix, false},    // before the first
		{"co", ICANNSuffix, true},  // a prefix of com
		{"mazonaws.com", NotSuffix, false},
		{"", NotSuffix, false},
		{"publicsuffix", NotSuffix, false}, // a word of the header
	} {
		if got := tables.PublicSuffix(test.name); got != test.section {
			t.Errorf("PublicSuffix(%q) = %d, want %d", test.name, got, test.section)
		}
		if got := tables.AbovePublicSuffix(test.name); got != test.above {
			t.Errorf("AbovePublicSuffix(%q) = %v, want %v", test.name, got, test.above)
		}
	}
}

// TestPublicSuffixTable checks the form of the table, its licence's notice, and
// every rule of it by the lookups.
func TestPublicSuffixTable(t *testing.T) {
	tables := EmbeddedTables()
	rules, header := 0, 0
	previous := ""
	for line := range strings.Lines(publicSuffixes) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			header++
			continue
		}
		rules++
		if line <= previous {
			t.Fatalf("%q stands after %q", line, previous)
		}
		previous = line
		reversed, kind, _ := strings.Cut(line, " ")
		name := reverseLabels(reversed)
		want := map[string]SuffixSection{"i": ICANNSuffix, "p": PrivateSuffix, "!": NotSuffix}[kind]
		if base, ok := strings.CutPrefix(name, "*."); ok {
			if !tables.AbovePublicSuffix(base) || tables.PublicSuffix("some-name."+base) != want {
				t.Errorf("wildcard rule %q is not found", line)
			}
			continue
		}
		if got := tables.PublicSuffix(name); got != want {
			t.Errorf("PublicSuffix(%q) = %d, want %d", name, got, want)
		}
	}
	if rules < 9000 || !strings.Contains(publicSuffixes, "Mozilla Public License, v. 2.0") || !strings.Contains(publicSuffixes, publicSuffixesDate) {
		t.Errorf("%d rules, %d lines of header: the table is cut, or without licence or date", rules, header)
	}
}

// TestPublicSuffixAgainstAnotherReader compares the ICANN section with that of
// golang.org/x/net/publicsuffix. The lists are of different days, so a few names
// may differ, but not many.
func TestPublicSuffixAgainstAnotherReader(t *testing.T) {
	tables := EmbeddedTables()
	same, other := 0, 0
	for line := range strings.Lines(publicSuffixes) {
		reversed, kind, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "i" || strings.HasPrefix(line, "#") || strings.Contains(reversed, "*") {
			continue
		}
		name := reverseLabels(reversed)
		for _, n := range []string{name, "x." + name} {
			suffix, icann := publicsuffix.PublicSuffix(n)
			if (suffix == n && icann) == (tables.PublicSuffix(n) == ICANNSuffix) {
				same++
			} else {
				other++
			}
		}
	}
	if same < 10_000 || other > same/20 {
		t.Errorf("%d names are read alike, %d are not", same, other)
	}
}

func TestDefinition(t *testing.T) {
	d := BackdoorDefinition()
	sum := sha256.Sum256([]byte(d.Text))
	if hex.EncodeToString(sum[:]) != d.SHA256 {
		t.Errorf("the text has the digest %x, the registry says %s", sum, d.SHA256)
	}
	if got, ok := EmbeddedTables().Definition(d.URI, d.SHA256); !ok || got != d {
		t.Error("the definition is not registered")
	}
	if _, ok := EmbeddedTables().Definition(d.URI, strings.Repeat("0", 64)); ok {
		t.Error("another text is registered")
	}
}

func TestContentDeliveryNetworks(t *testing.T) {
	tables := EmbeddedTables()
	for party, want := range map[string]string{
		"Cloudflare, Inc.": "cloudflare", "Akamai Technologies GmbH": "akamai", "Amazon Web Services (CloudFront)": "cloudfront",
		"fastly": "fastly", "Breakfastly Ltd": "", "Example Devices GmbH": "", "": "",
	} {
		if got := tables.ContentDeliveryNetwork(party); got != want {
			t.Errorf("ContentDeliveryNetwork(%q) = %q, want %q", party, got, want)
		}
	}
}
