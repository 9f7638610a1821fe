package command

import (
	"crypto/ecdsa"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// purchase is what a buyer holds about the minimal release, in a directory.
type purchase struct {
	dir  string
	args []string // of verify, without a policy and a signer
}

// minimalSHA256 is what the statements of the minimal release are about.
const minimalSHA256 = "13f3353567ce3b66c7435388c1650469488611255c0fddf6128ca3a0deda8fe9"

// newPurchase issues the minimal data-flows statement by the vendor, and a standing and an assessment of it by keys of
// the service and of a laboratory, unless other signers are given for them.
func newPurchase(t *testing.T, signers map[string]string) *purchase {
	t.Helper()
	p := &purchase{dir: t.TempDir()}
	write := func(name string, data []byte) string {
		path := filepath.Join(p.dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	world := bundletest.NewWorld(t)
	keys := map[string]*ecdsa.PrivateKey{"vendor": world.Vendor, "service": bundletest.NewKey(t), "laboratory": bundletest.NewKey(t)}
	for name, key := range keys {
		public, err := attest.MarshalPublicKey(&key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		write(name+".pub", public)
	}
	p.args = []string{"verify", "sha256:" + minimalSHA256, "--at", "2026-11-23T12:00:00Z",
		"--trusted-root", write("root.json", world.TrustedRoot())}
	for kind, signer := range map[string]string{"data-flows": "vendor", "standing": "service", "assessment": "laboratory"} {
		if s, ok := signers[kind]; ok {
			signer = s
		}
		payload := readFile(t, filepath.Join("..", "..", "..", "..", "testdata", "vectors", "v1", kind, "valid", "minimal-"+kind+".json"))
		bundle := world.IssueJSON(t, bundletest.Spec{Payload: payload, Key: keys[signer],
			At: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)})
		p.args = append(p.args, "--bundle", write(kind+".sigstore.json", bundle))
	}
	return p
}

// verify runs verify under a policy and returns the exit code and everything printed.
func (p *purchase) verify(t *testing.T, text string, more ...string) (int, string) {
	t.Helper()
	path := filepath.Join(p.dir, "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := runAvow(t, append(append(p.args, "--policy", path), more...)...)
	return code, out + errOut
}

const pinned = `apiVersion: avow.dev/policy/v1
metadata: {name: pinned, version: "1", title: Everybody is pinned}
vendors:
  - {name: Example Devices GmbH, products: ["pkg:generic/example-gateway@*"], keys: [vendor.pub]}
assessors:
  - {name: Laboratory, keys: [laboratory.pub]}
standing:
  - {name: Service, keys: [service.pub]}
include: [P09, P10]
`

// TestThirdPartiesOfAPolicy: standings and assessments count if they are by those whom the policy names for them, whoever
// is named on the command line.
func TestThirdPartiesOfAPolicy(t *testing.T) {
	p := newPurchase(t, nil)
	for _, more := range [][]string{nil, {"--key", filepath.Join(p.dir, "vendor.pub")}} {
		code, out := p.verify(t, pinned, more...)
		for _, want := range []string{"\n  ok    vendor ", "\n  ok    P09 ", "\n  ok    P10 ", "Bundle " + filepath.Join(p.dir, "standing.sigstore.json") + ": accepted"} {
			if code != exitYes || !strings.Contains(out, want) {
				t.Errorf("%q: exit code %d, want %q in\n%s", more, code, want, out)
			}
		}
	}
	// Nobody is named who may assess: the bundle is by a signer that is not required.
	code, out := p.verify(t, regexp.MustCompile(`(?m)^assessors:\n.*\n`).ReplaceAllString(pinned, ""))
	if code != exitNo || !strings.Contains(out, "\n  FAIL  signer ") {
		t.Errorf("exit code %d, want the assessment to be refused:\n%s", code, out)
	}
	// A vendor says itself that its statement stands, or that it was assessed.
	for _, kind := range []string{"standing", "assessment"} {
		code, out := newPurchase(t, map[string]string{kind: "vendor"}).verify(t, pinned)
		if code != exitNo || !strings.Contains(out, "\n  FAIL  predicate-type ") {
			t.Errorf("exit code %d, want the vendor's %s to be refused:\n%s", code, kind, out)
		}
	}
	// The laboratory declares.
	code, out = newPurchase(t, map[string]string{"data-flows": "laboratory"}).verify(t, pinned)
	if code != exitNo || !strings.Contains(out, "\n  FAIL  predicate-type ") {
		t.Errorf("exit code %d, want the laboratory's declaration to be refused:\n%s", code, out)
	}
}

func TestRestrict(t *testing.T) {
	key := func() verify.Signer {
		return verify.Signer{Key: &verify.Key{PublicKey: &bundletest.NewKey(t).PublicKey}}
	}
	as := func(s verify.Signer, name string, types ...string) verify.Signer {
		s.Name, s.Types = name, types
		return s
	}
	mine, theirs, lab := key(), key(), key()
	identity := verify.Signer{Identity: &verify.Identity{SAN: "a", Issuer: "b"}}
	policy := []verify.Signer{as(mine, "vendor", predicate.DataFlowsType), as(identity, "ci", predicate.NoBackdoorType),
		as(lab, "lab", predicate.AssessmentType)}
	for name, c := range map[string]struct {
		given []verify.Signer
		want  string
	}{
		"nobody given":         {nil, "vendor ci lab"},
		"one of the policy":    {[]verify.Signer{as(mine, "file")}, "vendor lab"},
		"an identity of it":    {[]verify.Signer{as(identity, "flag")}, "ci lab"},
		"somebody else":        {[]verify.Signer{as(theirs, "file")}, "file lab"},
		"both":                 {[]verify.Signer{as(theirs, "file"), as(mine, "file2")}, "file vendor lab"},
		"an assessor by --key": {[]verify.Signer{as(lab, "file")}, "file lab"},
	} {
		var names []string
		for _, s := range restrict(policy, c.given) {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestExcerpt: the caret stands below the character, and no line is wider than the terminal.
func TestExcerpt(t *testing.T) {
	long := strings.Repeat("ab", 400)
	for _, c := range []struct {
		line        string
		column      int
		want, caret string
	}{
		{"  x.recipient", 5, "  x.recipient", "    ^"},
		{"ü\tz", 3, `ü\tz`, "   ^"},
		{"\x1b[2Kq", 5, `\x1b[2Kq`, "       ^"},
		{"abc", 99, "abc", "   ^"},
		{"abc", 0, "abc", "^"},
		{"", 1, "", "^"},
		{long, 401, "...", "^"},
		{"世界x" + long, 3, "世界x", "    ^"},
	} {
		line, caret := excerpt(c.line, c.column, 60)
		if text.Width(line) > 60 || text.Width(caret) > 61 || !strings.HasPrefix(line, c.want) {
			t.Errorf("excerpt(%.20q, %d) = %q of %d columns", c.line, c.column, line, text.Width(line))
		}
		if len(c.line) < 100 && caret != c.caret || !strings.HasSuffix(caret, "^") {
			t.Errorf("excerpt(%.20q, %d): caret %q, want %q", c.line, c.column, caret, c.caret)
		}
	}
	if line, caret := excerpt(long+"Q"+long, 801, 60); line[len(caret)-1] != 'Q' {
		t.Errorf("the caret of %q is at %q", line, line[len(caret)-1])
	}
}

// FuzzExcerpt: whatever a line holds, what is printed is printable, fits, and the caret is inside.
func FuzzExcerpt(f *testing.F) {
	f.Add("  expression: x.foo", 8, 80)
	f.Add("\u202e\x9b世", 2, 40)
	f.Fuzz(func(t *testing.T, line string, column, width int) {
		if width < leastWidth || width > 500 {
			return
		}
		shown, caret := excerpt(line, column, width)
		if text.Width(shown) > width || text.Width(caret) > text.Width(shown)+1 {
			t.Fatalf("%q and %q in %d columns", shown, caret, width)
		}
		for _, r := range shown + caret {
			if !unicode.IsPrint(r) {
				t.Fatalf("%U in %q", r, shown)
			}
		}
	})
}

// TestInitWritesPoliciesThatLoad: for every ready-made policy, with the rule of one's own too, once the key is there. Until
// then it does not load.
func TestInitWritesPoliciesThatLoad(t *testing.T) {
	world := bundletest.NewWorld(t)
	for _, name := range policy.Names() {
		dir := t.TempDir()
		path := filepath.Join(dir, "policy.yaml")
		if code, _, errOut := runAvow(t, "policy", "init", "--profile", name, "-o", path); code != exitYes {
			t.Fatalf("%s: exit code %d: %s", name, code, errOut)
		}
		if code, out, _ := runAvow(t, "policy", "check", path); code != exitNo || !strings.Contains(out, `"vendor.pub"`) {
			t.Errorf("%s without the key: exit code %d\n%s", name, code, out)
		}
		if err := os.WriteFile(filepath.Join(dir, "vendor.pub"), pemOf(t, world), 0o600); err != nil {
			t.Fatal(err)
		}
		written, own, found := strings.Cut(string(readFile(t, path)), "\n# rules:")
		if !found {
			t.Fatalf("%s: no rules of one's own in\n%s", name, written)
		}
		whole := written + "\nrules:" + strings.ReplaceAll(own, "\n# ", "\n")
		if err := os.WriteFile(filepath.Join(dir, "whole.yaml"), []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, _ := runAvow(t, "policy", "check", path, filepath.Join(dir, "whole.yaml"))
		if code != exitYes {
			t.Errorf("%s: exit code %d\n%s", name, code, out)
		}
	}
}

// TestExamplesAreVectors: the statements that lint brings along are those that the rest of the project is tested with, and
// they put every ready-made rule to the test.
func TestExamplesAreVectors(t *testing.T) {
	releases, err := exampleReleases()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range releases {
		name := strings.TrimPrefix(r.name, "example ")
		statements, err := r.statements()
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range statements {
			kind := plain.TypeName(st.Type)
			vector := filepath.Join("..", "..", "..", "..", "testdata", "vectors", "v1", kind, "valid", name+"-"+kind+".json")
			if string(st.Payload()) != string(readFile(t, vector)) {
				t.Errorf("%s of %s is not %s", kind, r.name, vector)
			}
			if ok, why := st.InForce(examplesAt); !ok {
				t.Errorf("%s of %s: %s", kind, r.name, why)
			}
		}
	}
}

// TestReadyMadeRulesHaveNoHole, and each was made to deny by the examples.
func TestReadyMadeRulesHaveNoHole(t *testing.T) {
	for _, name := range policy.Names() {
		args := []string{"policy", "lint", name}
		switch name {
		case "P14":
			args = append(args, "--policy-param", "MANUFACTURERS=Example Devices GmbH")
		case "P16":
			args = append(args, "--policy-param", "CONTRACT_END=2028-12-31")
		case "baseline", "strict", "procurement-eu":
			continue // the same rules
		}
		code, out, errOut := runAvow(t, args...)
		if code != exitYes || strings.Contains(out, "not tested") || strings.Contains(out, "without a value") {
			t.Errorf("%s: exit code %d\n%s%s", name, code, out, errOut)
		}
	}
}

// TestDigestOfAComparison: what a policy compares with is part of what it is, in any order.
func TestDigestOfAComparison(t *testing.T) {
	p, err := policy.Builtin(t.Context(), "P19", policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	releases, err := exampleReleases()
	if err != nil {
		t.Fatal(err)
	}
	statements, err := releases[0].statements()
	if err != nil {
		t.Fatal(err)
	}
	both := againstApproved{p, statements[:2]}
	digests := map[[32]byte]bool{p.Digest(): true}
	for _, other := range []againstApproved{{p, nil}, {p, statements[:1]}, {p, statements[1:2]}, both} {
		if digests[other.Digest()] {
			t.Errorf("compared with %d statements it has the digest of another", len(other.approved))
		}
		digests[other.Digest()] = true
	}
	if (againstApproved{p, []*predicate.Statement{statements[1], statements[0]}}).Digest() != both.Digest() {
		t.Error("the order of --approved changes the digest")
	}
	result, err := both.Judge(t.Context(), verify.Facts{At: examplesAt})
	if err != nil || result.Digest != both.Digest() {
		t.Errorf("got %+v, %v, want the digest of the comparison", result, err)
	}
}
