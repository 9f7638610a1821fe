package server

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/verify"
)

// rulesOf is a policy made of a Go function.
type rulesOf func(context.Context, verify.Facts) (*verify.PolicyResult, error)

// Judge implements verify.Policy.
func (f rulesOf) Judge(ctx context.Context, facts verify.Facts) (*verify.PolicyResult, error) {
	return f(ctx, facts)
}

// oneRule is the result of a policy with one rule.
func oneRule(passed bool) *verify.PolicyResult {
	return &verify.PolicyResult{Name: "test", Version: "1", Rules: []verify.RuleResult{{ID: "T1", Passed: passed, Message: "it does not hold"}}}
}

// withPolicy makes a world that compiles every policy to p.
func withPolicy(p verify.Policy, asks PolicyRequirements) option {
	return func(w *world) {
		w.change = func(c *Config) {
			c.CompilePolicy = func(context.Context, []byte) (verify.Policy, PolicyRequirements, error) { return p, asks, nil }
		}
	}
}

// TestVerifyWithPolicy: the policy's rules decide, what it asks of the input is added, and a policy that cannot be used
// is an error of its own.
func TestVerifyWithPolicy(t *testing.T) {
	compiled := 0
	var asks PolicyRequirements
	w := newWorld(t, func(w *world) {
		w.change = func(c *Config) {
			c.CompilePolicy = func(_ context.Context, yaml []byte) (verify.Policy, PolicyRequirements, error) {
				compiled++
				if string(yaml) == "nothing" {
					return nil, PolicyRequirements{}, nil
				}
				if strings.HasPrefix(string(yaml), "bad") {
					return nil, PolicyRequirements{}, errors.New("line 1: bad is not a member of a policy")
				}
				return rulesOf(func(context.Context, verify.Facts) (*verify.PolicyResult, error) {
					return oneRule(strings.HasPrefix(string(yaml), "good")), nil
				}), asks, nil
			}
		}
	})
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	ask := func(yaml string, change func(*avowv1.VerifyRequest)) (*avowv1.Verdict, error) {
		req := w.verifyRequest(bundle)
		req.Policy = []byte(yaml)
		if change != nil {
			change(req)
		}
		resp, err := w.verification().Verify(t.Context(), req)
		return resp.GetVerdict(), err
	}
	wantFailures := func(v *avowv1.Verdict, err error, want string) {
		t.Helper()
		var failed []string
		for _, c := range v.GetChecks() {
			if c.GetStatus() == avowv1.CheckStatus_CHECK_STATUS_FAIL {
				failed = append(failed, c.GetId())
			}
		}
		if got := strings.Join(failed, " "); err != nil || got != want || (want == "") != (v.GetOutcome() == avowv1.Outcome_OUTCOME_ACCEPTED) {
			t.Errorf("got %v with failures %q and error %v, want %q", v.GetOutcome(), got, err, want)
		}
	}
	v, err := ask("good", nil)
	wantFailures(v, err, "")
	if v.GetPolicy().GetName() != "test" {
		t.Errorf("the verdict names policy %v", v.GetPolicy())
	}
	v, err = ask("denies", nil)
	wantFailures(v, err, "policy")
	before := compiled
	if _, err := ask("good", nil); err != nil || compiled != before {
		t.Errorf("a policy that came before was compiled again: %v", err)
	}

	// What the policy asks for is added, and never takes away.
	asks = PolicyRequirements{RequiredTypes: []string{"https://w3id.org/avow/no-backdoor/v1", "https://w3id.org/avow/data-flows/v1"}}
	v, err = ask("good, types", nil)
	wantFailures(v, err, "required-types")
	asks = PolicyRequirements{MinTimestamps: 2}
	v, err = ask("good, times", nil)
	wantFailures(v, err, "timestamp-count bundles-given required-types")
	asks = PolicyRequirements{Signers: []verify.Signer{{Name: "by policy", Key: &verify.Key{PublicKey: w.acme.PublicKey()}}}}
	v, err = ask("good, signers", func(r *avowv1.VerifyRequest) { r.Signers = nil })
	wantFailures(v, err, "")
	asks = PolicyRequirements{Signers: []verify.Signer{{Name: "by policy", Key: &verify.Key{PublicKey: w.held.PublicKey()}}}}
	v, err = ask("good, other signers", func(r *avowv1.VerifyRequest) { r.Signers = nil })
	wantFailures(v, err, "signer bundles-given required-types")
	asks = PolicyRequirements{}
	_, err = ask("good, no signers", func(r *avowv1.VerifyRequest) { r.Signers = nil })
	wantReason(t, err, reasonVerificationInput)

	_, err = ask("bad", nil)
	if st := wantReason(t, err, reasonPolicyInvalid); !strings.Contains(st.Message(), "line 1") {
		t.Errorf("the place is not said: %s", st.Message())
	}
	_, err = ask("nothing", nil)
	wantReason(t, err, reasonPolicyInvalid)
	_, err = ask(strings.Repeat("#", MaxPolicyBytes+1), nil)
	wantReason(t, err, reasonRequestInvalid)
}

// TestSignedVerdict: the verdict is signed as it was asked for, rejections too, and what cannot be signed is an error.
func TestSignedVerdict(t *testing.T) {
	type call struct {
		v        *verify.Verdict
		q        verdictpb.Question
		form     avowv1.SignedVerdictForm
		lifetime time.Duration
	}
	var got call
	var fault error
	w := newWorld(t, func(w *world) {
		w.change = func(c *Config) {
			c.SignVerdict = func(_ context.Context, v *verify.Verdict, q verdictpb.Question, form avowv1.SignedVerdictForm, lifetime time.Duration) ([]byte, error) {
				got = call{v, q, form, lifetime}
				return []byte("signed " + v.Outcome.String()), fault
			}
		}
	})
	bundle := w.issue(dataFlows(t), w.acme).GetBundle()
	const svr = avowv1.SignedVerdictForm_SIGNED_VERDICT_FORM_SVR
	ask := func(change func(*avowv1.VerifyRequest)) (*avowv1.VerifyResponse, error) {
		req := w.verifyRequest(bundle)
		req.SignedVerdictForm, req.At = svr, nil
		change(req)
		return w.verification().Verify(t.Context(), req)
	}
	resp, err := ask(func(*avowv1.VerifyRequest) {})
	if err != nil || string(resp.GetSignedVerdict()) != "signed accepted" || got.form != svr || got.lifetime != 24*time.Hour ||
		!got.q.At.Equal(w.clock.Now()) || got.q.Trust == nil || got.q.ArtifactSHA256 != subjectOf(t, dataFlows(t)) {
		t.Errorf("got %q from %+v, %v", resp.GetSignedVerdict(), got, err)
	}
	resp, err = ask(func(r *avowv1.VerifyRequest) {
		r.Bundles, r.SignedVerdictLifetime = nil, durationpb.New(MaxVerdictLifetime)
	})
	if err != nil || string(resp.GetSignedVerdict()) != "signed rejected" || got.lifetime != MaxVerdictLifetime {
		t.Errorf("got %q with lifetime %v, %v", resp.GetSignedVerdict(), got.lifetime, err)
	}
	resp, err = ask(func(r *avowv1.VerifyRequest) { r.SignedVerdictForm = 0 })
	if err != nil || resp.GetSignedVerdict() != nil {
		t.Errorf("unasked: %q, %v", resp.GetSignedVerdict(), err)
	}
	for name, change := range map[string]func(*avowv1.VerifyRequest){
		"of the past":  func(r *avowv1.VerifyRequest) { r.At = timestamppb.New(w.clock.Now().Add(-time.Hour)) },
		"unknown form": func(r *avowv1.VerifyRequest) { r.SignedVerdictForm = 99 },
		"too long":     func(r *avowv1.VerifyRequest) { r.SignedVerdictLifetime = durationpb.New(MaxVerdictLifetime + 1) },
		"zero":         func(r *avowv1.VerifyRequest) { r.SignedVerdictLifetime = durationpb.New(0) },
		"no duration":  func(r *avowv1.VerifyRequest) { r.SignedVerdictLifetime = &durationpb.Duration{Nanos: -1, Seconds: 1} },
	} {
		_, err := ask(change)
		if err == nil {
			t.Errorf("%s was taken", name)
			continue
		}
		wantReason(t, err, reasonRequestInvalid)
	}
	fault = errors.New("hsm is off")
	_, err = ask(func(*avowv1.VerifyRequest) {})
	wantReason(t, err, reasonSignerUnavailable)
}

// TestDigestCache: what was made is kept, what could not be made is not, and the oldest goes first.
func TestDigestCache(t *testing.T) {
	c := newDigestCache[int](2)
	made := 0
	get := func(document string) int {
		t.Helper()
		v, err := c.get([]byte(document), func() (int, error) { made++; return made, nil })
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if _, err := c.get([]byte("x"), func() (int, error) { return 0, errors.New("no") }); err == nil || len(c.known) != 0 {
		t.Errorf("%d kept, %v", len(c.known), err)
	}
	if get("a") != 1 || get("b") != 2 || get("a") != 1 || get("c") != 3 || get("b") != 2 {
		t.Errorf("%d were made", made)
	}
	if get("a") != 4 || len(c.known) != 2 || len(c.order) != 2 {
		t.Errorf("%d kept in order of %d", len(c.known), len(c.order))
	}
}
