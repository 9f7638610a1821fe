package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// nothingWidened is the rule of docs/policies.md.
const nothingWidened = `    needs: [dataFlows, approved]
    forEach: changes(approved.dataFlows, dataFlows)
    expression: x.direction in ["narrowing", "neutral"]
`

// approving are the facts about an artifact, against an approved data-flows statement.
func approving(t *testing.T, edits ...edit) verify.Facts {
	t.Helper()
	s := set{DataFlows: "minimal-data-flows", NoBackdoor: "minimal-no-backdoor"}
	f := s.facts(t, edits...)
	approved, err := predicate.Parse(vector(t, "minimal-data-flows"), predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	f.Approved = []*predicate.Statement{approved}
	return f
}

func TestChanges(t *testing.T) {
	p := written(t, oneRule(nothingWidened))
	flows := func(pointer string, value any) edit { return edit{"dataFlows", "/predicate/" + pointer, value} }
	for name, c := range map[string]struct {
		edits   []edit
		failing []string // nil: allowed
	}{
		"the same":                        {nil, nil},
		"another title":                   {[]edit{flows("flows/0/title", "Updates, anew")}, nil},
		"a flow that is gone":             {[]edit{flows("flows", []any{}), flows("networkUse", "none")}, nil},
		"a kind of data that is worse":    {[]edit{flows("flows/0/sends/0/personal", "personal")}, []string{"update"}},
		"a place that was not there":      {[]edit{flows("flows/0/recipients/0/storage/0", "US")}, []string{"update"}},
		"a list that is complete no more": {[]edit{flows("completeness/level", "partial")}, []string{"completeness"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := only(t, p, approving(t, c.edits...))
			if got.Passed != (c.failing == nil) || !slices.Equal(got.Failing, c.failing) || got.Error != "" {
				t.Errorf("passed %t, failing %q, %s; want failing %q", got.Passed, got.Failing, got.Error, c.failing)
			}
		})
	}
}

// TestChangesWithoutApproved: what cannot be compared is not unchanged.
func TestChangesWithoutApproved(t *testing.T) {
	p := written(t, oneRule(nothingWidened))
	f := approving(t)
	f.Approved = nil
	if got := only(t, p, f); got.Passed || !strings.Contains(got.Error, "no approved release") {
		t.Errorf("without an approved release: %+v", got)
	}
	claims := written(t, oneRule(strings.ReplaceAll(nothingWidened, "dataFlows", "noBackdoor")))
	if got := only(t, claims, approving(t)); got.Passed || !strings.Contains(got.Error, "no approved no-backdoor statement") {
		t.Errorf("without an approved statement of the type: %+v", got)
	}
}

// TestChangesAreTyped: statements of two types, or what is no statement, are an error when the policy is loaded.
func TestChangesAreTyped(t *testing.T) {
	for _, arguments := range []string{"approved.noBackdoor, dataFlows", "1, 2", "dataFlows.flows, dataFlows.flows"} {
		_, err := load(t, map[string]string{"policy.yaml": oneRule("    expression: changes(" + arguments + ").size() == 0\n")})
		var all policy.Errors
		if !errors.As(err, &all) || all[0].Code != policy.CodeType || all[0].Line != 8 {
			t.Errorf("changes(%s): %v", arguments, err)
		}
	}
}

// TestChangesCost: a rule cannot make the verifier compare for ever.
func TestChangesCost(t *testing.T) {
	p := written(t, oneRule(`    expression: |
      [1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, changes(approved.dataFlows, dataFlows).size() == 0))
`))
	if got := only(t, p, approving(t)); got.Passed || !strings.Contains(got.Error, "units") {
		t.Errorf("a hundred comparisons: %+v", got)
	}
}

// TestChangesHoles: leaving a member out widens, or ends in an error; what the lint finds, the issuance rules stop.
func TestChangesHoles(t *testing.T) {
	report := lint(t, written(t, oneRule(nothingWidened)), approving(t, edit{"dataFlows", "/predicate/flows/0/sends/0/personal", "personal"}))
	for _, h := range report.Holes {
		if len(h.Stopped) == 0 {
			t.Errorf("%s of the %s can be left out", h.Pointer, h.Statement)
		}
	}
}
