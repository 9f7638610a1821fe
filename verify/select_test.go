package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// flows is a data-flows statement with another id, changed by pairs of old and new text.
func flows(t *testing.T, n int, oldNew ...string) []byte {
	t.Helper()
	base := string(bundletest.Statement(t, "data-flows"))
	_, rest, ok := strings.Cut(base, `"statementId": "`)
	id, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		t.Fatal("the statement has no statementId")
	}
	other := fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", n)
	return bundletest.Statement(t, "data-flows", append([]string{id, other}, oldNew...)...)
}

// supersedes adds common.supersedes to a statement.
func supersedes(t *testing.T, payload []byte, old []byte) []byte {
	t.Helper()
	ref := fmt.Sprintf(`"supersedes": [{"digest": {"sha256": %q}, "predicateType": %q}], "validity": {`,
		strings.TrimPrefix(idOf(t, old), "sha256:"), predicate.DataFlowsType)
	changed := strings.Replace(string(payload), `"validity": {`, ref, 1)
	if changed == string(payload) {
		t.Fatal("the statement has no validity")
	}
	return []byte(changed)
}

func idOf(t *testing.T, payload []byte) string {
	t.Helper()
	s, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	return s.ID()
}

// TestWhichCounts gives several statements of one type and looks at which of them the verdict builds on.
func TestWhichCounts(t *testing.T) {
	const (
		expired = "2026-09-02T09:00:00Z" // before the clock of the tests
		later   = "2026-12-01T00:00:00Z" // after it
		end     = "2027-09-01T09:00:00Z"
		start   = `"issuedAt": "2026-09-01T09:00:00Z",`
	)
	first := flows(t, 1)
	again := flows(t, 2)
	other := flows(t, 3, `"Update`, `"Other update`)
	differs := flows(t, 5, `"necessity": "feature"`, `"necessity": "vendorBenefit"`)
	replaced := supersedes(t, differs, first)
	old := flows(t, 6, end, expired)
	future := flows(t, 7, start, start+` "notBefore": "`+later+`",`, `"necessity": "feature"`, `"necessity": "vendorBenefit"`)
	futureReplaces := supersedes(t, future, first)
	expiredReplaces := supersedes(t, flows(t, 8, end, expired, `"necessity": "feature"`, `"necessity": "vendorBenefit"`), first)
	for name, c := range map[string]struct {
		payloads [][]byte
		want     []string // of each bundle: its use, and by which bundle
		reason   verify.CheckID
	}{
		"one":                              {[][]byte{first}, []string{"counts"}, ""},
		"the newer of two that agree":      {[][]byte{first, again}, []string{"superseded by #2", "counts"}, ""},
		"free text makes no contradiction": {[][]byte{first, other}, []string{"superseded by #2", "counts"}, ""},
		"order of the input is nothing":    {[][]byte{replaced, first}, []string{"counts", "superseded by #1"}, ""},
		"one statement twice":              {[][]byte{first, first}, []string{"counts", "counts"}, ""},
		"two that contradict each other":   {[][]byte{first, differs}, []string{"counts", "counts"}, verify.CheckStatementsAgree},
		"replaced by name":                 {[][]byte{first, replaced}, []string{"superseded by #2", "counts"}, ""},
		"an expired one beside":            {[][]byte{old, first}, []string{"not in force by #2", "counts"}, ""},
		"an expired one that was replaced": {[][]byte{old, supersedes(t, differs, old)}, []string{"superseded by #2", "counts"}, ""},
		"only an expired one":              {[][]byte{old}, []string{"none"}, verify.CheckValidity},
		"not yet in force beside":          {[][]byte{first, future}, []string{"counts", "not in force by #1"}, ""},
		"a replacement not yet in force":   {[][]byte{first, futureReplaces}, []string{"counts", "not in force by #1"}, ""},
		"a replacement that has expired":   {[][]byte{first, expiredReplaces}, []string{"superseded by #2", "none"}, verify.CheckValidity},
	} {
		t.Run(name, func(t *testing.T) {
			w := bundletest.NewWorld(t)
			var bundles [][]byte
			for _, p := range c.payloads {
				bundles = append(bundles, w.IssueJSON(t, bundletest.Spec{Payload: p}))
			}
			verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), input(w, bundles...))
			var got []string
			counts := 0
			for _, b := range verdict.Bundles {
				s := b.Use.String()
				if b.SupersededBy != "" {
					s += " by " + b.SupersededBy
				}
				got = append(got, s)
				if b.Use == verify.UseCounts {
					counts++
				}
			}
			if !slices.Equal(got, c.want) || len(verdict.Evidence) != counts {
				t.Errorf("got %q with %d pieces of evidence, want %q", got, len(verdict.Evidence), c.want)
			}
			var reason verify.CheckID
			if f := verdict.Failures(); len(f) > 0 {
				reason = f[0].ID
			}
			if reason != c.reason || (verdict.Outcome == verify.Accepted) != (c.reason == "") {
				t.Errorf("got %s for %q, want the reason %q", verdict.Outcome, reason, c.reason)
			}
		})
	}
}

// TestContradictionNamesBoth: a buyer can see which two, and about what.
func TestContradictionNamesBoth(t *testing.T) {
	w := bundletest.NewWorld(t)
	a, b := flows(t, 1), flows(t, 2, `"necessity": "feature"`, `"necessity": "vendorBenefit"`)
	in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: a}), w.IssueJSON(t, bundletest.Spec{Payload: b}))
	in.Bundles[0].Name, in.Bundles[1].Name = "a.json", "b.json"
	verdict := verdictOf(t, newVerifier(t, w.TrustedRoot()), in)
	for _, f := range verdict.Failures() {
		if f.ID != verify.CheckStatementsAgree {
			continue
		}
		for _, want := range []string{"a.json", "b.json", idOf(t, a), idOf(t, b), "necessity"} {
			if !strings.Contains(f.Got, want) {
				t.Errorf("the failure does not name %s: %s", want, f.Got)
			}
		}
		return
	}
	t.Error("no failure of ", verify.CheckStatementsAgree)
}

// TestNewestAcrossLogs: indices of different logs are not comparable, times of signature are.
func TestNewestAcrossLogs(t *testing.T) {
	w := bundletest.NewWorld(t)
	second := bundletest.NewLog(t, "second.example.test", bundletest.Start)
	root := bundletest.TrustedRoot(t, []*bundletest.Log{w.Log, second}, []*bundletest.TSA{w.TSA}, nil, nil)
	early := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 1), After: 0, At: bundletest.Epoch})
	late := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 2), Log: second, At: bundletest.Epoch.Add(time.Hour)})
	w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 3)}) // moves the first log's index past the second's
	verdict := verdictOf(t, newVerifier(t, root), input(w, late, early))
	if got := verdict.Bundles[1]; verdict.Outcome != verify.Accepted || got.Use != verify.UseSuperseded || got.SupersededBy != "#1" {
		t.Errorf("%s, %+v", verdict.Outcome, verdict.Bundles)
	}
}
