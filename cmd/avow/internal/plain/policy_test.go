package plain

import (
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// judged is a verdict with a policy in which every kind of result occurs.
func judged() *verify.Verdict {
	v := verdict(verify.Rejected)
	v.Bundles[0].Use, v.Bundles[0].SupersededBy = verify.UseSuperseded, "newer\n"
	v.Policy = &verify.PolicyResult{Name: "our\x1b", Version: "1", Rules: []verify.RuleResult{
		{ID: "met", Description: "All is well. More to say.\n", Passed: true, Message: "not said"},
		{ID: "denies", Description: "d", Message: "a flow is wrong", Failing: []string{"one", "two\u202e"}},
		{ID: "warns", Severity: verify.SeverityWarn, Message: "look\nhere"},
		{ID: "breaks", Message: "m", Error: "no such key\x07"},
		{},
	}}
	return v
}

func TestPolicyOfAVerdict(t *testing.T) {
	var b strings.Builder
	Verdict(text.NewWriter(&b, false, 100), "app", judged())
	want := `
Policy our\x1b 1
  ok    met     All is well.
  FAIL  denies  a flow is wrong
                failing: one, two\u202e
  warn  warns   look\nhere
  FAIL  breaks  m
                could not be evaluated: no such key\a
  FAIL          not stated

What the bundles declare is not shown, because the verdict is a rejection.
`
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("got\n%s\nwant at the end\n%s", b.String(), want)
	}
	if want := "Bundle b: rejected\n  ----  not counted: superseded by newer\\n\n"; !strings.Contains(b.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNotCounted(t *testing.T) {
	for _, c := range []struct {
		result verify.BundleResult
		want   string
	}{
		{verify.BundleResult{Use: verify.UseSuperseded, SupersededBy: "b"}, "not counted: superseded by b"},
		{verify.BundleResult{Use: verify.UseNotInForce, SupersededBy: "b"}, "not counted: not in force; b counts instead"},
		{verify.BundleResult{Use: verify.UseNotInForce}, "not counted: not in force"},
	} {
		if got := notCounted(c.result); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestEveryReadyMadeRuleIsExplained: what it asks, how it is met, and no line is wider than the terminal.
func TestEveryReadyMadeRuleIsExplained(t *testing.T) {
	said := map[string]bool{}
	for _, name := range policy.Names() {
		p, err := policy.Builtin(t.Context(), name, policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Rules() {
			said[r.ID] = true
			if satisfied[r.ID] == "" {
				t.Errorf("%s: nothing says how a vendor meets %s", name, r.ID)
			}
			for _, width := range []int{60, 120} {
				var b strings.Builder
				ExplainRule(text.NewWriter(&b, false, width), ExplainedRule{Rule: r, Policy: p.Metadata(), ReadyMade: true,
					Parameters: p.Parameters(), Profiles: []string{"strict (deny)"}})
				if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), satisfied[r.ID]) || strings.Contains(b.String(), `\n`) {
					t.Errorf("%s is explained as\n%s", r.ID, b.String())
				}
				for line := range strings.Lines(b.String()) {
					if got := text.Width(strings.TrimRight(line, "\n")); got > width {
						t.Errorf("%d columns instead of %d: %q", got, width, line)
					}
				}
			}
		}
	}
	for id := range satisfied {
		if !said[id] && !slices.Contains([]string{policy.RuleVendor, policy.RuleMaxAge, policy.RuleTimestamps}, id) {
			t.Errorf("%s is explained and is no rule", id)
		}
	}
}

func TestMentions(t *testing.T) {
	r := policy.Rule{Expression: `x.a in LISTED && x.b == "EEA" && x.c == 'O\'NE' && TWO_MORE > 1`}
	for name, want := range map[string]bool{"LISTED": true, "EEA": false, "LIST": false, "NE": false, "TWO": false, "TWO_MORE": true} {
		if got := Mentions(r, name); got != want {
			t.Errorf("Mentions(%q) = %t, want %t", name, got, want)
		}
	}
}
