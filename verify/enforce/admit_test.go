package enforce_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/enforce"
)

func bundleOfNone(tb testing.TB) *verify.Verdict {
	return verdict(tb, bundletest.NewWorld(tb), nil, bundletest.Statement(tb, "data-flows-none"))
}

func update443() flow {
	return flow{id: "update", endpoints: []obj{endpoint("host", "updates.example.com", "tcp", 443)}}
}

// TestUnverifiedNeverCompiles: what a verifier did not give, or did not accept, for every target.
func TestUnverifiedNeverCompiles(t *testing.T) {
	w := bundletest.NewWorld(t)
	good := verdict(t, w, nil, payload(t, []flow{update443()}))
	parsed, err := predicate.Parse(payload(t, []flow{update443()}), predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	copied := verify.Verdict{Outcome: good.Outcome, Checks: good.Checks, Bundles: good.Bundles, Evidence: good.Evidence}
	stranger := verdict(t, w, func(in *verify.Input) { in.Signers[0].Key = &verify.Key{PublicKey: &bundletest.NewKey(t).PublicKey} }, payload(t, []flow{update443()}))
	turned := *stranger
	turned.Outcome = verify.Accepted
	revoked := *good
	revoked.Outcome = verify.Rejected
	for name, c := range map[string]struct {
		v    *verify.Verdict
		code enforce.Code
	}{
		"nil":                 {nil, enforce.CodeUnverified},
		"zero":                {&verify.Verdict{}, enforce.CodeRejected},
		"written by hand":     {&verify.Verdict{Outcome: verify.Accepted, Evidence: []verify.Evidence{{Statement: parsed, StatementID: parsed.ID()}}}, enforce.CodeUnverified},
		"copied by hand":      {&copied, enforce.CodeUnverified},
		"another's signature": {stranger, enforce.CodeRejected},
		"turned to accepted":  {&turned, enforce.CodeUnverified},
		"turned to rejected":  {&revoked, enforce.CodeRejected},
		"no data flows":       {verdict(t, w, nil, bundletest.Statement(t, "undertakings")), enforce.CodeNoDataFlows},
	} {
		for _, target := range enforced() {
			t.Run(name+"/"+string(target), func(t *testing.T) { refused(t, c.v, optionsFor(target), c.code) })
		}
	}
	compile(t, good, optionsFor(enforce.Cilium))
}

// TestExpiredNeverCompiles: the statement was in force when it was verified, and is not at the time of compilation.
func TestExpiredNeverCompiles(t *testing.T) {
	v := accepted(t, update443())
	for at, want := range map[string]string{
		"2027-09-01T09:00:00Z": "expired at 2027-09-01T09:00:00Z", "2026-09-01T08:59:59Z": "not in force before 2026-09-01T09:00:00Z",
	} {
		for _, target := range []enforce.Target{enforce.Cilium, enforce.NFTables, enforce.Envoy, enforce.Squid, enforce.Docker} {
			o := optionsFor(target)
			o.Now, _ = time.Parse(time.RFC3339, at)
			if r := refused(t, v, o, enforce.CodeNotInForce); !strings.Contains(r.Detail, want) {
				t.Errorf("%s: %s, want %s", target, r.Detail, want)
			}
		}
	}
	o := optionsFor(enforce.Cilium)
	o.Now = time.Date(2027, 9, 1, 8, 59, 59, 0, time.UTC)
	if p := compile(t, v, o); !p.Until.Equal(time.Date(2027, 9, 1, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("until %s, want the end of the validity", p.Until)
	}
}

// standing asks for a standing that answers what is given.
func standing(s verify.StandingResult) func(*verify.Input) {
	return func(in *verify.Input) {
		in.Standing = func(context.Context, *verify.Evidence) (*verify.StandingResult, error) { return &s, nil }
	}
}

// TestStandingDecides: only what is in force compiles, and only as long as that is known.
func TestStandingDecides(t *testing.T) {
	w := bundletest.NewWorld(t)
	of := func(s verify.StandingResult) *verify.Verdict {
		return verdict(t, w, standing(s), payload(t, []flow{update443()}))
	}
	o := optionsFor(enforce.Cilium)
	for _, bad := range []verify.Standing{verify.StandingUnknown, verify.StandingWithdrawn, verify.StandingSuperseded, verify.StandingExpired, verify.StandingStale} {
		v := of(verify.StandingResult{Standing: bad, AsOf: now, NotAfter: now.Add(time.Hour)})
		if r := refused(t, v, o, enforce.CodeRejected); !strings.Contains(r.Detail, "standing") {
			t.Errorf("%s: %s", bad, r.Detail)
		}
		// Whoever has the evidence of an accepted verdict can change what it points to: the standing is looked at again.
		v = of(verify.StandingResult{Standing: verify.StandingInForce, AsOf: now, NotAfter: now.Add(time.Hour)})
		v.Evidence[0].Standing.Standing = bad
		refused(t, v, o, enforce.CodeStanding)
	}
	good := of(verify.StandingResult{Standing: verify.StandingInForce, AsOf: now, NotAfter: now.Add(time.Hour)})
	if p := compile(t, good, o); !p.Until.Equal(now.Add(time.Hour)) || !strings.Contains(string(p.Content), "# standing: in force as of 2026-09-01T11:00:00Z") {
		t.Errorf("until %s:\n%s", p.Until, p.Content)
	}
	o.Now = now.Add(time.Hour + time.Second)
	refused(t, good, o, enforce.CodeStanding)
	o.Now, o.RequireStanding = now, true
	compile(t, good, o)
	refused(t, verdict(t, w, nil, payload(t, []flow{update443()})), o, enforce.CodeNoStanding)
}

// TestWithdrawnFlow: a flow that was withdrawn is not compiled, and is told.
func TestWithdrawnFlow(t *testing.T) {
	flows := []flow{update443(), {id: "extra", endpoints: []obj{endpoint("host", "extra.example.com", "tcp", 443)}}}
	v := verdict(t, bundletest.NewWorld(t), standing(verify.StandingResult{Standing: verify.StandingPartlyWithdrawn, AsOf: now, NotAfter: now.Add(time.Hour),
		Items: []string{"extra", "completeness"}}), payload(t, flows))
	o := optionsFor(enforce.Squid)
	if r := refused(t, v, o, enforce.CodeUncompiled); len(r.Items) != 1 || r.Items[0].Why != enforce.WhyWithdrawn || r.Items[0].Flow != "extra" {
		t.Errorf("%+v", r.Items)
	}
	o.AllowUncompiled = true
	got := string(compile(t, v, o).Content)
	if strings.Contains(got, "dstdomain -n extra") || !strings.Contains(got, "dstdomain -n updates") || !strings.Contains(got, `# note: withdrawn of the statement: "completeness"`) {
		t.Error(got)
	}
}

// TestHosts: a hosts file enforces nothing, whatever the verdict.
func TestHosts(t *testing.T) {
	refused(t, accepted(t, update443()), optionsFor(enforce.Hosts), enforce.CodeCannotEnforce)
}
