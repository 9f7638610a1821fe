package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// stands answers the same for every statement, and counts the questions.
func stands(asked *int, r *verify.StandingResult) verify.StandingFunc {
	return func(context.Context, *verify.Evidence) (*verify.StandingResult, error) {
		*asked++
		return r, nil
	}
}

func standingLine(t *testing.T, v *verify.Verdict) verify.Check {
	t.Helper()
	i := slices.IndexFunc(v.Checks, func(c verify.Check) bool { return c.ID == verify.CheckStanding })
	if i != len(v.Checks)-2 || v.Checks[i+1].ID != verify.CheckPolicy {
		t.Fatalf("standing is line %d of %d, want the one before the policy", i, len(v.Checks))
	}
	return v.Checks[i]
}

// TestStanding: what each standing does to a verdict, and what it says.
func TestStanding(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	bundle := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")})
	asOf := bundletest.Epoch
	said := []verify.SaidStatement{{LogIndex: 7}}
	result := func(s verify.Standing, reason verify.StandingReason) *verify.StandingResult {
		return &verify.StandingResult{Standing: s, Reason: reason, Detail: "the detail", AsOf: asOf}
	}
	in, out := verify.StatusPass, verify.StatusFail
	for name, c := range map[string]struct {
		result *verify.StandingResult
		status verify.Status
		says   string
		hint   string
	}{
		"in force": {result(verify.StandingInForce, "NOTHING_SAID"), in, "1 statement in force as of 2026-09-01T10:00:00Z, the time that you gave; the operator is trusted for it", ""},
		"witnessed": {&verify.StandingResult{Standing: verify.StandingInForce, AsOf: asOf, Witnessed: true, Cosignatures: make([]verify.Cosignature, 2)}, in,
			"by the word of 2 witnesses", ""},
		"partly withdrawn": {&verify.StandingResult{Standing: verify.StandingPartlyWithdrawn, AsOf: asOf, Items: []string{"F1", "F2"}}, verify.StatusWarning,
			"partly withdrawn: F1, F2 of #1", ""},
		"disputed":           {&verify.StandingResult{Standing: verify.StandingInForce, AsOf: asOf, OpenDisputes: said}, verify.StatusWarning, "1 open dispute of #1", ""},
		"withdrawn":          {result(verify.StandingWithdrawn, "WITHDRAWAL"), out, "#1 is withdrawn: the detail (as of ", "ask the vendor"},
		"superseded":         {result(verify.StandingSuperseded, "SUCCESSOR"), out, "#1 is superseded: the detail", "the newer statement"},
		"expired":            {result(verify.StandingExpired, "PERIOD"), out, "#1 is expired", "in force"},
		"stale":              {result(verify.StandingStale, "OLD"), out, "#1 is stale: the detail", "--max-staleness"},
		"unknown":            {result(verify.StandingUnknown, "UNRESOLVED"), out, "#1 is of unknown standing", "ask the operator why"},
		"without a time":     {&verify.StandingResult{Reason: "NO_TIME", Detail: "x"}, out, "of unknown standing: x", "--status-time"},
		"foreign withdrawal": {result(verify.StandingUnknown, "FOREIGN_WITHDRAWAL"), out, "of unknown standing", "--withdrawer"},
		"not in the file":    {&verify.StandingResult{Reason: "STATUS_ABSENT"}, out, "of unknown standing", "avow status"},
		"no answer":          {nil, out, "of unknown standing", "ask the operator why"},
		"an unknown number":  {&verify.StandingResult{Standing: 99}, out, "unknown", "ask the operator why"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			in := input(w, bundle)
			in.Standing = stands(&asked, c.result)
			verdict := verdictOf(t, v, in)
			line := standingLine(t, verdict)
			if line.Status != c.status || !strings.Contains(line.Detail, c.says) || asked != 1 || line.Bundle != "" {
				t.Errorf("asked %d times, got %s", asked, line)
			}
			rejected := c.status == verify.StatusFail
			if rejected == (verdict.Outcome == verify.Accepted) || rejected != strings.Contains(line.Hint, c.hint) && c.hint != "" || rejected == (line.Expected == "") {
				t.Errorf("%s: %+v", verdict.Outcome, line)
			}
			if e := verdict.Evidence; len(e) != 1 || e[0].Standing == nil || c.result != nil && e[0].Standing != c.result {
				t.Errorf("evidence: %+v", e)
			}
		})
	}
	verdict := verdictOf(t, v, input(w, bundle))
	if line := standingLine(t, verdict); line.Status != verify.StatusSkipped || !strings.Contains(line.Detail, "not shown") ||
		verdict.Outcome != verify.Accepted || verdict.Evidence[0].Standing != nil {
		t.Errorf("nobody asked: %s, %s", verdict.Outcome, line)
	}
}

// TestStandingIsAskedOfWhatCounts: one that rejects is enough, what does not count is not asked for, and nothing is asked of
// what was not accepted. The policy is asked after it.
func TestStandingIsAskedOfWhatCounts(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	first, newer := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 1)}), w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 2)})
	claims := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")})
	foreign := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 3), Key: bundletest.NewKey(t)})
	asked := 0
	fine := &verify.StandingResult{Standing: verify.StandingInForce, AsOf: bundletest.Epoch.Add(time.Hour)}
	in := input(w, first, newer, claims)
	in.Standing = stands(&asked, fine)
	if verdict := verdictOf(t, v, in); asked != 2 || verdict.Outcome != verify.Accepted {
		t.Errorf("asked %d times: %s", asked, standingLine(t, verdict))
	}
	in.Standing = func(_ context.Context, e *verify.Evidence) (*verify.StandingResult, error) {
		if e.Bundle == "#3" {
			return &verify.StandingResult{Standing: verify.StandingWithdrawn, Reason: "WITHDRAWAL"}, nil
		}
		return fine, nil
	}
	judged := 0
	in.Policy = policyFunc(func(verify.Facts) (*verify.PolicyResult, error) {
		judged++
		return &verify.PolicyResult{Rules: []verify.RuleResult{{ID: "x", Passed: true}}}, nil
	})
	verdict := verdictOf(t, v, in)
	if line := standingLine(t, verdict); verdict.Outcome != verify.Rejected || judged != 0 || line.Got != "withdrawn (WITHDRAWAL): #3" {
		t.Errorf("%s, the policy judged %d times: %+v", verdict.Outcome, judged, line)
	}
	asked = 0
	in = input(w, newer, foreign)
	in.Standing = stands(&asked, fine)
	if verdict := verdictOf(t, v, in); asked != 0 || standingLine(t, verdict).Status != verify.StatusSkipped || verdict.Outcome != verify.Rejected {
		t.Errorf("asked %d times beside a forged bundle", asked)
	}
	broken := errors.New("ended")
	in = input(w, newer)
	in.Standing = func(context.Context, *verify.Evidence) (*verify.StandingResult, error) { return nil, broken }
	if verdict, err := v.Verify(t.Context(), in); !errors.Is(err, broken) || verdict != nil {
		t.Errorf("got %v, %v", verdict, err)
	}
}

// TestTrustLogKey: a log is found by its id, with the window of its key.
func TestTrustLogKey(t *testing.T) {
	w := bundletest.NewWorld(t)
	trust, err := verify.ParseTrust(w.TrustedRoot())
	if err != nil {
		t.Fatal(err)
	}
	e := verdictOf(t, newVerifier(t, w.TrustedRoot()), input(w, w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 1)}))).Evidence[0]
	key := trust.LogKey(e.LogID)
	if key == nil || key.Origin() != e.LogOrigin || !key.ValidAt(bundletest.Epoch) || key.ValidAt(bundletest.Start.Add(-time.Second)) {
		t.Errorf("%+v", key)
	}
	if trust.LogKey(nil) != nil || trust.LogKey([]byte{1}) != nil {
		t.Error("a log that is not listed")
	}
}
