package verify_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// policyFunc is a policy in Go.
type policyFunc func(verify.Facts) (*verify.PolicyResult, error)

func (f policyFunc) Judge(_ context.Context, facts verify.Facts) (*verify.PolicyResult, error) {
	return f(facts)
}

// rules is a policy that answers with fixed rules.
func rules(list ...verify.RuleResult) policyFunc {
	return func(verify.Facts) (*verify.PolicyResult, error) {
		return &verify.PolicyResult{Name: "test", Version: "1", Rules: list}, nil
	}
}

func policyLine(t *testing.T, v *verify.Verdict) verify.Check {
	t.Helper()
	last := v.Checks[len(v.Checks)-1]
	if last.ID != verify.CheckPolicy {
		t.Fatalf("the last line is %s", last)
	}
	return last
}

func TestPolicy(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	bundle := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")})
	met := verify.RuleResult{ID: "met", Passed: true}
	failed := verify.RuleResult{ID: "failed", Message: "a flow is wrong", Failing: []string{"update", "telemetry"}}
	broken := verify.RuleResult{ID: "broken", Error: "no such key"}
	warned := verify.RuleResult{ID: "warned", Severity: verify.SeverityWarn}
	for name, c := range map[string]struct {
		policy verify.Policy
		status verify.Status
		says   string
	}{
		"none":                    {nil, verify.StatusSkipped, "no policy was given"},
		"met":                     {rules(met), verify.StatusPass, "1 rule of policy test 1"},
		"one of two failed":       {rules(met, failed), verify.StatusFail, "failed: a flow is wrong"},
		"a rule that is broken":   {rules(broken), verify.StatusFail, "broken: could not be evaluated: no such key"},
		"only a warning":          {rules(met, warned), verify.StatusWarning, "warnings: warned"},
		"no rule at all":          {rules(), verify.StatusFail, "nothing was evaluated"},
		"a rule with zero values": {rules(verify.RuleResult{}), verify.StatusFail, ""},
		"no answer": {policyFunc(func(verify.Facts) (*verify.PolicyResult, error) { return nil, nil }),
			verify.StatusFail, "nothing was evaluated"},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(w, bundle)
			in.Policy = c.policy
			verdict := verdictOf(t, v, in)
			line := policyLine(t, verdict)
			if line.Status != c.status || !strings.Contains(line.Detail, c.says) {
				t.Errorf("got %s", line)
			}
			if accepted := verdict.Outcome == verify.Accepted; accepted != (c.status != verify.StatusFail) {
				t.Errorf("%s with %s", verdict.Outcome, line)
			}
			if c.status == verify.StatusFail && (line.Expected == "" || line.Got == "" && name == "one of two failed" || line.Hint == "") {
				t.Errorf("the failure explains nothing: %+v", line)
			}
		})
	}
}

// TestPolicySeesVerifiedFactsAlone: a policy is not asked about what was not accepted, and sees what counts.
func TestPolicySeesVerifiedFactsAlone(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	asked := 0
	var seen verify.Facts
	p := policyFunc(func(f verify.Facts) (*verify.PolicyResult, error) {
		asked, seen = asked+1, f
		return &verify.PolicyResult{Rules: []verify.RuleResult{{ID: "x", Passed: true}}}, nil
	})
	good := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 1)})
	newer := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 2)})
	foreign := w.IssueJSON(t, bundletest.Spec{Payload: flows(t, 3), Key: bundletest.NewKey(t)})
	in := input(w, good, foreign)
	in.Policy = p
	verdict := verdictOf(t, v, in)
	if asked != 0 || verdict.Outcome != verify.Rejected || verdict.Policy != nil || policyLine(t, verdict).Status != verify.StatusSkipped {
		t.Errorf("asked %d times about a forged bundle: %s", asked, policyLine(t, verdict))
	}
	in = input(w)
	in.Policy = p
	if verdict := verdictOf(t, v, in); asked != 0 || verdict.Outcome != verify.Rejected {
		t.Errorf("asked %d times about nothing", asked)
	}
	in = input(w, good, newer)
	in.Policy = p
	verdict = verdictOf(t, v, in)
	if asked != 1 || verdict.Outcome != verify.Accepted || len(seen.Evidence) != 1 || seen.Evidence[0].Bundle != "#2" ||
		!seen.At.Equal(clock()) || seen.ArtifactSHA256 != bundletest.ArtifactSHA256 {
		t.Errorf("asked %d times, saw %+v", asked, seen)
	}
}

// TestPolicyError: an error of a policy is an error of the verification, never a verdict.
func TestPolicyError(t *testing.T) {
	w := bundletest.NewWorld(t)
	in := input(w, w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")}))
	broken := errors.New("ended")
	in.Policy = policyFunc(func(verify.Facts) (*verify.PolicyResult, error) { return nil, broken })
	if verdict, err := newVerifier(t, w.TrustedRoot()).Verify(t.Context(), in); !errors.Is(err, broken) || verdict != nil {
		t.Errorf("got %v, %v", verdict, err)
	}
}

// TestSignerTypes: a signer that is there for one type of statement cannot make another.
func TestSignerTypes(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	assessor := bundletest.NewKey(t)
	signers := append(pinned(w), verify.Signer{Name: "assessor", Key: &verify.Key{PublicKey: &assessor.PublicKey},
		Types: []string{predicate.AssessmentType}})
	declared := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")})
	for name, c := range map[string]struct {
		spec bundletest.Spec
		want verify.CheckID
	}{
		"an assessment by the assessor":   {bundletest.Spec{Payload: bundletest.Statement(t, "assessment"), Key: assessor}, ""},
		"a declaration by the assessor":   {bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor"), Key: assessor}, verify.CheckPredicateType},
		"an assessment by the vendor":     {bundletest.Spec{Payload: bundletest.Statement(t, "assessment")}, verify.CheckPredicateType},
		"a declaration by the vendor too": {bundletest.Spec{Payload: bundletest.Statement(t, "no-backdoor")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := input(w, declared, w.IssueJSON(t, c.spec))
			in.Signers = signers
			in.At = bundletest.Epoch.AddDate(0, 1, 0) // the assessment came later
			verdict := verdictOf(t, v, in)
			var reasons []verify.CheckID
			for _, f := range verdict.Failures() {
				reasons = append(reasons, f.ID)
			}
			if (c.want == "") != (verdict.Outcome == verify.Accepted) || (c.want != "" && !slices.Equal(reasons, []verify.CheckID{c.want})) {
				t.Errorf("got %s %v, want %q", verdict.Outcome, reasons, c.want)
			}
		})
	}
}
