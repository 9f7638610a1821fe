package policy_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// written loads a policy from its text.
func written(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, err := load(t, map[string]string{"policy.yaml": text})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// load loads policy.yaml from a directory of files.
func load(t testing.TB, files map[string]string) (*policy.Policy, error) {
	t.Helper()
	dir := fstest.MapFS{}
	for name, text := range files {
		dir[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return policy.Load(t.Context(), "policy.yaml", dir, policy.Options{})
}

// oneRule is a policy of one rule.
func oneRule(body string) string {
	return `apiVersion: avow.dev/policy/v1
metadata: {name: test, version: "1", title: a test}
rules:
  - id: R
    title: a rule
    description: asks for something
    message: it is not so
` + body
}

func lint(t *testing.T, p *policy.Policy, f verify.Facts) *policy.LintReport {
	t.Helper()
	report, err := policy.Lint(t.Context(), p, f)
	if err != nil {
		t.Fatal(err)
	}
	if report.Incomplete || report.Cases == 0 {
		t.Fatalf("%d cases, incomplete %t", report.Cases, report.Incomplete)
	}
	return report
}

// The hole that the first writing of P01 had: without sends it allowed.
func TestLintFindsTheHole(t *testing.T) {
	for name, guard := range map[string]string{
		"skipped if absent": `(!has(x.sends) || x.sends.all(d, d.personal == "none"))`,
		"absent is good":    `!(has(x.sends) && x.sends.exists(d, d.personal != "none"))`,
	} {
		t.Run(name, func(t *testing.T) {
			p := written(t, oneRule(`    needs: [dataFlows]
    forEach: dataFlows.flows
    expression: |
      `+guard+` ||
      (size(x.recipients) > 0 && x.recipients.all(r,
        r.role == "customer" || (within(r.storage, region("EEA")) && within(r.accessFrom, region("EEA")))))
`))
			for given, edits := range map[string][]edit{
				"one failure":  {{"dataFlows", "/predicate/flows/0/recipients/0/storage/0", "US"}},
				"as it passes": nil,
			} {
				report := lint(t, p, set{DataFlows: "minimal-data-flows"}.facts(t, edits...))
				i := slices.IndexFunc(report.Holes, func(h policy.Hole) bool { return h.Pointer == "/predicate/flows/0/sends" })
				if i < 0 {
					t.Fatalf("%s: holes %+v: the one of sends is not among them", given, report.Holes)
				}
				h := report.Holes[i]
				if h.Rule != "R" || h.Statement != "data-flows" || !slices.Contains(h.Stopped, "R24") {
					t.Errorf("%s: %+v, want rule R, data-flows, stopped by R24", given, h)
				}
				if len(report.Untested) > 0 {
					t.Errorf("%s: untested %v", given, report.Untested)
				}
			}
		})
	}
}

// A whole statement can be left out too.
func TestLintFindsStatementsLeftOut(t *testing.T) {
	p := written(t, oneRule(`    expression: size(assessments) == 0 || assessments.all(a, a.overall == "noContradictionFound")
`))
	f := set{DataFlows: "minimal-data-flows", Assessments: []string{"minimal-assessment"}}.facts(t,
		edit{"assessments/0", "/predicate/overall", "contradictionFound"})
	report := lint(t, p, f)
	if len(report.Holes) != 1 || report.Holes[0].Statement != "assessment 1" || report.Holes[0].Pointer != "" {
		t.Errorf("holes %+v, want the assessment as a whole", report.Holes)
	}
}

// TestShippedPoliciesHaveNoHole leaves members out where a policy fails in one
// place alone: the changes of expected.json, those of the examples, and every
// value in turn.
func TestShippedPoliciesHaveNoHole(t *testing.T) {
	seen := map[string]bool{}
	check := func(name string, parameters map[string]string, f verify.Facts, mustDeny bool) {
		t.Helper()
		report := lint(t, builtin(t, name, parameters), f)
		for _, h := range report.Holes {
			t.Errorf("%s: %+v", name, h)
		}
		if len(report.Untested) == 0 {
			seen[name] = true
		} else if mustDeny {
			t.Errorf("%s denied nothing", name)
		}
	}
	e := expectations(t)
	for _, d := range e.Denials {
		check(d.Policy, nil, e.Sets[d.Set].facts(t, d.Edits...), true)
	}
	for _, x := range examples() {
		check(x.policy, x.parameters, x.facts(t), false)
		for _, edits := range x.denials {
			check(x.policy, x.parameters, x.facts(t, edits...), true)
		}
	}
	for _, name := range policy.Names() {
		if strings.HasPrefix(name, "P") && !seen[name] {
			t.Errorf("%s was never seen to deny", name)
		}
	}
}
