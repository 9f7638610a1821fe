package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// example is a ready-made policy with facts that it allows and single changes
// that it denies. Those of P01 to P13 are in expected.json.
type example struct {
	policy     string
	parameters map[string]string
	approved   string // the data-flows statement of the approved release
	denials    [][]edit
	failing    []string // of the first denial
}

// facts are those of the strict profile, which every policy allows.
func (x example) facts(t testing.TB, edits ...edit) verify.Facts {
	t.Helper()
	f := strictFacts(t, edits...)
	if x.approved != "" {
		s, err := predicate.Parse(vector(t, x.approved), predicate.Consumption)
		if err != nil {
			t.Fatal(err)
		}
		f.Approved = append(f.Approved, s)
	}
	return f
}

func examples() []example {
	flows := func(pointer string, value any) []edit { return []edit{{"dataFlows", "/predicate/" + pointer, value}} }
	claims := func(pointer string, value any) []edit { return []edit{{"noBackdoor", "/predicate/" + pointer, value}} }
	promises := func(pointer string, value any) []edit {
		return []edit{{"undertakings", "/predicate/undertakings/" + pointer, value}}
	}
	one := map[string]string{"MANUFACTURERS": "Example Devices GmbH"}
	return []example{
		{policy: "P14", parameters: one, failing: []string{"no-backdoor"}, denials: [][]edit{
			claims("common/declarant/role", "importer"), flows("common/declarant/party/name", "Example Trading Ltd")}},
		{policy: "P15", denials: [][]edit{promises("1/hours", 73), promises("2/days", 91),
			promises("1/qualification", "bestOfKnowledge"), promises("2/id", "U-NO-LOCKIN")}},
		{policy: "P16", parameters: map[string]string{"CONTRACT_END": "2028-12-31"}, denials: [][]edit{
			promises("3/until", "2028-12-30T00:00:00Z"), promises("3/qualification", "bestOfKnowledge")}},
		{policy: "P17", denials: [][]edit{promises("4/id", "U-NO-LOCKIN"), promises("4/qualification", "bestOfKnowledge")}},
		{policy: "P18", failing: []string{"auto-update"}, denials: [][]edit{
			claims("mechanisms/0/kind", "lawfulInterception"), claims("mechanisms/0/kind", "keyEscrow"),
			claims("mechanisms/0/kind", "other"), claims("claims/6/answer", "assertedExceptDisclosed"),
			claims("claims/7/id", "NB-CHANNEL"), claims("mechanismsCompleteness/level", "partial")}},
		{policy: "P19", approved: "minimal-data-flows", failing: []string{"telemetry"}, denials: [][]edit{
			flows("flows/0/id", "telemetry"), flows("flows/0/recipients/0/party/name", "Example Analytics Inc."),
			flows("flows/0/recipients/0/role", "processor"), flows("flows/0/sends/0/category", "usageEvents"),
			flows("flows/0/sends/0/personal", "personal")}},
		{policy: "P20", failing: []string{"update"}, denials: [][]edit{
			flows("evidence/0/supports/0", "other"), flows("evidence/0/kind", "document"),
			flows("completeness/methods/1", "staticAnalysis")}},
		{policy: "P21", failing: []string{"update"}, denials: [][]edit{
			flows("flows/0/recipients/0/accessFrom/0", "anywhere"), flows("flows/0/recipients/0/storage", []any{}),
			flows("flows/0/recipients/0/party/country", "anywhere"), flows("flows/0/recipients/0/party/controlledFrom", nil)}},
	}
}

func TestExamples(t *testing.T) {
	for _, x := range examples() {
		t.Run(x.policy, func(t *testing.T) {
			p := builtin(t, x.policy, x.parameters)
			if got := only(t, p, x.facts(t)); !got.Passed {
				t.Errorf("the passing example is denied: %v %s", got, got.Error)
			}
			for i, edits := range x.denials {
				got := only(t, p, x.facts(t, edits...))
				if got.Passed || got.Message == "" {
					t.Errorf("%v is allowed", edits)
				}
				if i == 0 && !slices.Equal(got.Failing, x.failing) {
					t.Errorf("failing %q, want %q", got.Failing, x.failing)
				}
			}
		})
	}
}

// Every ready-made policy has an example here or in expected.json, its name is
// its file's, and its rule has its id.
func TestBuiltins(t *testing.T) {
	covered := map[string]bool{}
	for name := range expectations(t).Verdicts {
		covered[name] = true
	}
	for _, x := range examples() {
		covered[x.policy] = true
	}
	names := policy.Names()
	if len(names) != 24 {
		t.Errorf("%d names, want P01 to P21 and three profiles", len(names))
	}
	for _, name := range names {
		p := builtin(t, name, nil)
		if p.Metadata().Name != name {
			t.Errorf("%s calls itself %s", name, p.Metadata().Name)
		}
		if !strings.HasPrefix(name, "P") {
			if p.Metadata().Description == "" {
				t.Errorf("the profile %s has no description", name)
			}
			continue
		}
		if rules := p.Rules(); len(rules) != 1 || rules[0].ID != name || rules[0].Severity != verify.SeverityDeny || !covered[name] {
			t.Errorf("%s: rules %+v, covered %t", name, rules, covered[name])
		}
	}
}

func TestProfiles(t *testing.T) {
	tender := map[string]string{"MANUFACTURERS": "Example Devices GmbH", "CONTRACT_END": "2028-12-31"}
	for name, c := range map[string]struct {
		parameters map[string]string
		facts      verify.Facts
		denials    []string
		warnings   []string
	}{
		"baseline": {facts: set{DataFlows: "grafana-data-flows"}.facts(t), denials: []string{"P04"}, warnings: []string{"P06", "P21"}},
		"strict":   {facts: strictFacts(t)},
		"procurement-eu": {facts: strictFacts(t, edit{"assessments/0", "/predicate/independence", "secondParty"}),
			parameters: tender, warnings: []string{"P10"}},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := builtin(t, name, c.parameters).Judge(t.Context(), c.facts)
			if err != nil {
				t.Fatal(err)
			}
			if got := ids(result.Denials()); !slices.Equal(got, c.denials) {
				t.Errorf("denials %v, want %v", got, c.denials)
			}
			if got := ids(result.Warnings()); !slices.Equal(got, c.warnings) {
				t.Errorf("warnings %v, want %v", got, c.warnings)
			}
		})
	}
}

// Without its parameters a tender is refused, and the reason names them.
func TestUnsetParameters(t *testing.T) {
	result, err := builtin(t, "procurement-eu", nil).Judge(t.Context(), strictFacts(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range result.Denials() {
		want := map[string]string{"P14": "the parameter MANUFACTURERS has no value", "P16": "the parameter CONTRACT_END has no value"}[r.ID]
		if want == "" || !strings.Contains(r.Error, want) {
			t.Errorf("%s: %q, want %q", r.ID, r.Error, want)
		}
	}
	if len(result.Denials()) != 2 {
		t.Errorf("denials %v", ids(result.Denials()))
	}
}

func ids(rules []verify.RuleResult) []string {
	var list []string
	for _, r := range rules {
		list = append(list, r.ID)
	}
	return list
}
