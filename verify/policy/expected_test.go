package policy_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/avow-dev/avow/verify"
)

// expectation is testdata/expected.json: the verdicts that P01 to P13 must give
// on the test vectors, failing ids included.
type expectation struct {
	Now      time.Time                      `json:"now"`
	Sets     map[string]set                 `json:"sets"`
	Verdicts map[string]map[string]expected `json:"verdicts"`
	Denials  []struct {
		Policy string `json:"policy"`
		Set    string `json:"set"`
		Edits  []edit `json:"edits"`
		expected
	} `json:"denials"`
	Later struct {
		Now  time.Time `json:"now"`
		Set  string    `json:"set"`
		Deny []string  `json:"deny"`
	} `json:"later"`
}

type expected struct {
	Verdict string   `json:"verdict"`
	Failing []string `json:"failing"`
}

func (e expected) check(t *testing.T, got verify.RuleResult) {
	t.Helper()
	if got.Passed != (e.Verdict == "allow") || !slices.Equal(got.Failing, e.Failing) {
		t.Errorf("passed %t, failing %q (%s), want %s, failing %q", got.Passed, got.Failing, got.Error, e.Verdict, e.Failing)
	}
	if !got.Passed && got.Message == "" {
		t.Error("denied without a message")
	}
}

func expectations(t *testing.T) expectation {
	t.Helper()
	data, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var e expectation
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	if !e.Now.Equal(at) || len(e.Verdicts) != 13 || len(e.Denials) != 20 {
		t.Fatalf("now %s, %d policies, %d denials: not the table that this test knows", e.Now, len(e.Verdicts), len(e.Denials))
	}
	return e
}

func TestExpectedVerdicts(t *testing.T) {
	e := expectations(t)
	for name, sets := range e.Verdicts {
		p := builtin(t, name, nil)
		for setName, want := range sets {
			t.Run(name+"/"+setName, func(t *testing.T) { want.check(t, only(t, p, e.Sets[setName].facts(t))) })
		}
	}
	for _, d := range e.Denials {
		t.Run(d.Policy+"/"+d.Edits[0].Pointer, func(t *testing.T) {
			d.check(t, only(t, builtin(t, d.Policy, nil), e.Sets[d.Set].facts(t, d.Edits...)))
		})
	}
	for name := range e.Verdicts {
		t.Run("later/"+name, func(t *testing.T) {
			f := e.Sets[e.Later.Set].facts(t)
			f.At = e.Later.Now
			if got := only(t, builtin(t, name, nil), f); got.Passed == slices.Contains(e.Later.Deny, name) {
				t.Errorf("passed %t (%s)", got.Passed, got.Error)
			}
		})
	}
}
