package policy_test

import (
	"testing"

	"github.com/avow-dev/avow/verify"
)

// TestPledgeMembers: a policy sees the pledge of a statement's signer, and whether it is kept; without one a rule that asks for it fails.
func TestPledgeMembers(t *testing.T) {
	kept, none := `statements.all(s, has(s.pledgeKept) && s.pledgeKept)`, `statements.all(s, size(s.pledgedLogs) == 0)`
	for name, c := range map[string]struct {
		expression string
		pledge     *verify.LogPledge
		want       bool
	}{
		"kept":       {kept, &verify.LogPledge{Logs: []string{"log.example.test"}, Kept: true}, true},
		"broken":     {kept, &verify.LogPledge{Logs: []string{"other.example.test"}}, false},
		"none":       {kept, nil, false},
		"no logs":    {none, nil, true},
		"some logs":  {none, &verify.LogPledge{Logs: []string{"other.example.test"}}, false},
		"which logs": {`statements.all(s, s.pledgedLogs == ["a.example.test"])`, &verify.LogPledge{Logs: []string{"a.example.test"}}, true},
	} {
		f := set{DataFlows: "minimal-data-flows"}.facts(t)
		f.Evidence[0].LogPledge = c.pledge
		if got := only(t, written(t, oneRule("    expression: |\n      "+c.expression+"\n")), f); got.Passed != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
