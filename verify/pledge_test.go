package verify_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// pledging is an undertakings statement that pledges a log.
func pledging(t *testing.T, origin, qualification string) []byte {
	t.Helper()
	return bundletest.Statement(t, "undertakings", `"undertakings": [`, `"undertakings": [{"id": "U-LOG-ONLY", "qualification": "`+qualification+
		`", "channels": [{"scheme": "url", "value": "https://`+origin+`"}]},`)
}

// TestLogPledge: a pledge of the signer is in the evidence of all its statements, and one that names other logs only is warned of.
func TestLogPledge(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	flows := w.IssueJSON(t, bundletest.Spec{Payload: bundletest.Statement(t, "data-flows")})
	stranger := bundletest.NewKey(t)
	other := "other.example.com"
	own := func(origin string) *verify.LogPledge {
		return &verify.LogPledge{Logs: []string{origin}, Kept: origin == w.Log.Origin}
	}
	for name, c := range map[string]struct {
		bundles [][]byte
		want    *verify.LogPledge // of the data flows
		status  verify.Status
		said    []byte
		items   []string
	}{
		"none":            {bundles: [][]byte{flows}, status: verify.StatusPass},
		"this log":        {bundles: [][]byte{flows, w.IssueJSON(t, bundletest.Spec{Payload: pledging(t, w.Log.Origin, "unqualified")})}, want: own(w.Log.Origin), status: verify.StatusPass},
		"another log":     {bundles: [][]byte{flows, w.IssueJSON(t, bundletest.Spec{Payload: pledging(t, other, "unqualified")})}, want: own(other), status: verify.StatusWarning},
		"a reservation":   {bundles: [][]byte{flows, w.IssueJSON(t, bundletest.Spec{Payload: pledging(t, other, "bestOfKnowledge")})}, status: verify.StatusPass},
		"somebody else's": {bundles: [][]byte{flows, w.IssueJSON(t, bundletest.Spec{Payload: pledging(t, other, "unqualified"), Key: stranger})}, status: verify.StatusWarning},
		"in the status":   {bundles: [][]byte{flows}, said: pledging(t, other, "unqualified"), want: own(other), status: verify.StatusWarning},
		"taken back": {bundles: [][]byte{flows, w.IssueJSON(t, bundletest.Spec{Payload: pledging(t, other, "unqualified")})}, items: []string{"U-LOG-ONLY"},
			status: verify.StatusPass},
	} {
		t.Run(name, func(t *testing.T) {
			in := verify.Input{ArtifactSHA256: bundletest.ArtifactSHA256, At: bundletest.Epoch,
				Signers: []verify.Signer{{Name: "vendor", Key: &verify.Key{PublicKey: &w.Vendor.PublicKey}}, {Name: "other", Key: &verify.Key{PublicKey: &stranger.PublicKey}}}}
			for _, b := range c.bundles {
				in.Bundles = append(in.Bundles, verify.NamedBundle{Data: b})
			}
			if c.said != nil || c.items != nil {
				r := &verify.StandingResult{Standing: verify.StandingInForce, AsOf: bundletest.Epoch, Items: c.items}
				if c.said != nil {
					st, err := predicate.Parse(c.said, predicate.Consumption)
					if err != nil {
						t.Fatal(err)
					}
					r.Said = []verify.SaidStatement{{Statement: st, Own: true}}
				}
				asked := 0
				in.Standing = stands(&asked, r)
			}
			verdict, err := v.Verify(t.Context(), in)
			if err != nil || verdict.Outcome != verify.Accepted {
				t.Fatal(err, verdict.Failures())
			}
			at := slices.IndexFunc(verdict.Evidence, func(e verify.Evidence) bool { return e.Statement.DataFlows != nil })
			got := verdict.Evidence[at].LogPledge
			if (got == nil) != (c.want == nil) || got != nil && (!slices.Equal(got.Logs, c.want.Logs) || got.Kept != c.want.Kept || got.StatementID == "") {
				t.Errorf("pledge %+v, want %+v", got, c.want)
			}
			i := slices.IndexFunc(verdict.Checks, func(c verify.Check) bool { return c.ID == verify.CheckStatementsAgree })
			line := verdict.Checks[i]
			if line.Status != c.status || c.status == verify.StatusWarning && !strings.Contains(line.Detail, "its signer pledged to publish in "+other+" only") {
				t.Errorf("check: %s", line)
			}
		})
	}
}
