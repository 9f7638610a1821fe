package predicate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRules(t *testing.T) {
	var codes []string
	for _, r := range Rules() {
		codes = append(codes, r.Code)
		if (r.Severity == SeverityWarning) != strings.HasPrefix(r.Code, "W") || r.When == "" || r.Why == "" || r.Fix == "" || r.Needs == "" {
			t.Errorf("rule %s is not complete", r.Code)
		}
	}
	// The list is that of the specification: no code is added, lost or reused
	// by accident.
	want := strings.Fields("R01 R02 R03 R04 R05 R06 R07 R08 R10 R11 R12 R13 R14 R15 R16 R17 R18 R20 R21 R22 R23 R24 R25 R26 R27 R28 " +
		"R29 R30 R31 R32 R33 R34 R40 R41 R42 W01 W02 W03 W04 W05 W06 W07 W08 W09 W10")
	if !slices.Equal(codes, want) {
		t.Errorf("got %v, want %v", codes, want)
	}
}

// TestEveryRuleIsNeeded runs each vector without its rule: it must pass then.
// So no vector is refused for another reason than the one in its name.
func TestEveryRuleIsNeeded(t *testing.T) {
	for _, v := range loadVectors(t) {
		if len(v.Errors) == 0 {
			continue
		}
		s, err := Parse(v.data, Issuance)
		if err != nil {
			continue // R01, R02
		}
		var c checker
		c.s, c.t = s, EmbeddedTables()
		for _, r := range Rules() {
			if c.rule = &r; r.check != nil && r.Code != v.Errors[0].Code {
				r.check(&c)
			}
		}
		if errs := c.findings.Errors(); len(errs) > 0 {
			t.Errorf("%s: refused by %v too", v.File, errs)
		}
	}
}

// TestContradictions is the table of R12, cell by cell.
func TestContradictions(t *testing.T) {
	harmless := Mechanism{Kind: "recoveryMode", Operator: "user", Capabilities: []string{"readData"}, IntegrityCheck: "signature"}
	kinds := map[string][]string{
		ClaimAccess:    {"defaultCredential", "debugInterface", "builtInKey"},
		ClaimControl:   {"remoteDisable", "remoteWipe"},
		ClaimIntercept: {"lawfulInterception"},
		ClaimCrypto:    {"keyEscrow", "builtInKey"},
		ClaimCollect:   {"contentScanning"},
	}
	for _, claim := range IDs("claim") {
		if contradicts(claim, &harmless) {
			t.Errorf("%s: a harmless mechanism contradicts it", claim)
		}
		for _, kind := range IDs("mechanismKind") {
			m := harmless
			m.Kind = kind
			if got, want := contradicts(claim, &m), slices.Contains(kinds[claim], kind); got != want {
				t.Errorf("%s and kind %s: %v, want %v", claim, kind, got, want)
			}
		}
		for _, operator := range IDs("operator") {
			for _, capability := range IDs("capability") {
				m := harmless
				m.Operator, m.Capabilities = operator, []string{"readData", capability}
				foreign := operator == "vendor" || operator == "thirdParty"
				want := claim == ClaimControl && foreign && capability != "readData" && capability != "resetCredentials"
				if got := contradicts(claim, &m); got != want {
					t.Errorf("%s, %s by %s: %v, want %v", claim, capability, operator, got, want)
				}
			}
		}
		for _, capability := range IDs("capability") {
			m := harmless
			m.IntegrityCheck, m.Capabilities = "none", []string{capability}
			want := claim == ClaimUpdate && slices.Contains([]string{"executeCode", "replaceSoftware", "changeSettings"}, capability)
			if got := contradicts(claim, &m); got != want {
				t.Errorf("%s, %s unchecked: %v, want %v", claim, capability, got, want)
			}
		}
	}
}

func TestPackageURLs(t *testing.T) {
	for purl, want := range map[string]string{
		"pkg:generic/a@1.2.3":                         "1.2.3",
		"pkg:npm/%40scope/a@1.2.3":                    "1.2.3",
		"pkg:github/o/r@v1?arch=x@y#sub@z":            "v1",
		"pkg:deb/debian/curl@7.50.3-1%2Bb1?arch=i386": "7.50.3-1+b1",
		"pkg:generic/a":                               "",
		"pkg:npm/@scope/a":                            "",
		"pkg:generic/a?version=1":                     "",
	} {
		if got, ok := purlVersion(purl); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", purl, got, ok, want)
		}
	}
	for _, purl := range []string{"", "pkg:", "pkg:generic", "pkg:generic/", "pkg:/a@1", "pkg:1x/a@1", "PKG:generic/a@1", "generic/a@1", "pkg:generic/a@%zz"} {
		if version, ok := purlVersion(purl); ok {
			t.Errorf("%q is taken for a package URL of version %q", purl, version)
		}
	}
}

func TestSubjectNames(t *testing.T) {
	for _, name := range []string{"a.img", "dir/a.img", "a..b", "..a", "a b", "ä", ".hidden", "a:b"} {
		if problem := nameProblem(name); problem != "" && name != "a:b" {
			t.Errorf("%q: %s", name, problem)
		}
	}
	for _, name := range []string{"", " ", "/a", `\a`, `\\host\a`, "C:a", `c:\a`, "..", "../a", "a/..", "a/../b", `a\..\b`, "a\x00b", "a\nb", "a\x7f", "a\u202eb"} {
		if nameProblem(name) == "" {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestEndpointValues(t *testing.T) {
	tables := EmbeddedTables()
	for _, test := range []struct {
		kind, value string
		ok          bool
	}{
		{"host", "a.example.com", true}, {"host", "a-b.example.com", true}, {"host", "s3.amazonaws.com", true}, {"host", "4.example.com", true},
		{"host", strings.Repeat("a", 63) + ".example.com", true}, {"host", strings.Repeat("a.", 127) + "com", false},
		{"host", "example.com.", false}, {"host", " example.com", false}, {"host", "example.com\x00", false}, {"host", "1.2.3.4", false},
		{"host", "0x7f.1", false}, {"host", "[2001:db8::1]", false}, {"host", "::1", false}, {"host", "user@example.com", false},
		{"host", "local", false}, {"host", "localhost", false}, {"host", "a.local", false}, {"host", "a.home.arpa", false}, {"host", "local.example.com", true},
		{"host", "com", false}, {"host", "co.uk", false}, {"host", "xn--bcher-kva.example", true}, {"host", "XN--bcher-kva.example", false},
		{"suffix", "example.com", true}, {"suffix", "co.uk", false}, {"suffix", "s3.amazonaws.com", false}, {"suffix", "amazonaws.com", false},
		{"suffix", "x.s3.amazonaws.com", true}, {"suffix", "foo.ck", false}, {"suffix", "a.foo.ck", true}, {"suffix", "www.ck", true},
		{"cidr", "192.0.2.0/24", true}, {"cidr", "192.0.2.1/32", true}, {"cidr", "198.51.0.0/16", true}, {"cidr", "198.0.0.0/15", false},
		{"cidr", "2001:db8::/32", true}, {"cidr", "2001:db8::/31", false}, {"cidr", "2001:db8::1/64", false}, {"cidr", "fe80::%eth0/64", false},
		{"cidr", "192.0.2.0", false}, {"cidr", "192.0.2.0/33", false}, {"cidr", "192.0.2.0/024", false}, {"cidr", "", false},
		{"configured", "", true}, {"configured", "*.example.com", false}, {"localNetwork", "", true}, {"userDirected", "", true},
	} {
		problem, hint := tables.endpointProblem(&Endpoint{Kind: test.kind, Value: test.value})
		if (problem == "") != test.ok || (problem == "") != (hint == "") {
			t.Errorf("%s %q: %q (%q), want ok %v", test.kind, test.value, problem, hint, test.ok)
		}
	}
}

// TestFoldKey: what the most lenient reader takes for a member of the statement.
func TestFoldKey(t *testing.T) {
	for _, key := range []string{"type", "_TYPE", "_Type", "__type", "subject_", "ſubject", "predicate_type", "predicate-type", "PREDICATETYPE", "Predicate"} {
		if !slices.ContainsFunc(frameMembers(), func(name string) bool { return foldKey(name) == foldKey(key) }) {
			t.Errorf("%q is not seen as another spelling", key)
		}
	}
	for _, key := range []string{"subjects", "types", "extensions", ""} {
		if slices.ContainsFunc(frameMembers(), func(name string) bool { return foldKey(name) == foldKey(key) }) {
			t.Errorf("%q is seen as another spelling", key)
		}
	}
}

func ExampleLint() {
	payload := []byte(`{"_type": "https://in-toto.io/Statement/v1", "subject": [], "predicateType": "https://w3id.org/avow/data-flow/v1", "predicate": {}}`)
	for _, finding := range Lint(payload, EmbeddedTables()) {
		fmt.Println(finding.Code, finding.Pointer)
		fmt.Println(finding.Message)
	}
	// Output:
	// R03 /predicateType
	// is not a predicate type of avow
}
