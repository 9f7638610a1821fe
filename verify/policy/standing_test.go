package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// shown are the facts of the minimal data-flows statement with a status, of which nothing else is given.
func shown(t testing.TB, change func(*verify.StandingResult)) verify.Facts {
	t.Helper()
	f := set{DataFlows: "minimal-data-flows"}.facts(t)
	r := &verify.StandingResult{Standing: verify.StandingInForce, Reason: "NOTHING_SAID", AsOf: at.Add(-time.Hour), NotAfter: at.Add(23 * time.Hour),
		Witnessed: true, TreeSize: 20480}
	if change != nil {
		change(r)
	}
	f.Evidence[0].Standing = r
	return f
}

func said(t testing.TB, name string, signer string, edits ...edit) verify.SaidStatement {
	t.Helper()
	s, err := predicate.Parse(edited(t, vector(t, name), edits...), predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	return verify.SaidStatement{LogIndex: 30, StatementID: s.ID(), Statement: s, Signer: signer, SignedBy: at.Add(-2 * time.Hour)}
}

// TestStatusForP09: only a fresh status that says in force, without an open dispute, meets P09.
func TestStatusForP09(t *testing.T) {
	p := builtin(t, "P09", nil)
	stand := func(s verify.Standing) func(*verify.StandingResult) {
		return func(r *verify.StandingResult) { r.Standing = s }
	}
	for name, c := range map[string]struct {
		change func(*verify.StandingResult)
		want   bool
	}{
		"in force": {nil, true}, "withdrawn": {stand(verify.StandingWithdrawn), false}, "partly": {stand(verify.StandingPartlyWithdrawn), false},
		"superseded": {stand(verify.StandingSuperseded), false}, "expired": {stand(verify.StandingExpired), false}, "stale": {stand(verify.StandingStale), false},
		"unknown": {stand(verify.StandingUnknown), false}, "zero": {func(r *verify.StandingResult) { *r = verify.StandingResult{} }, false},
		"another":        {stand(99), false},
		"without a time": {func(r *verify.StandingResult) { r.AsOf, r.NotAfter = time.Time{}, time.Time{} }, false},
		"old":            {func(r *verify.StandingResult) { r.AsOf = at.Add(-169 * time.Hour) }, false},
		"past its time":  {func(r *verify.StandingResult) { r.NotAfter = at }, false},
		"disputed": {func(r *verify.StandingResult) {
			r.OpenDisputes = []verify.SaidStatement{said(t, "minimal-dispute", "sha256:01")}
		}, false},
	} {
		if got := only(t, p, shown(t, c.change)); got.Passed != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := only(t, p, set{DataFlows: "minimal-data-flows"}.facts(t)); got.Passed || !strings.Contains(got.Message+got.Error, "no verified standing") {
		t.Errorf("without a status: %+v", got)
	}
}

// TestShownMembers: what a status shows, and what is not known has no value.
func TestShownMembers(t *testing.T) {
	complete := `standing.reason == "NOTHING_SAID" && standing.witnessed && standing.treeSize == "20480" && standing.logOrigin == "log.example.test" &&
        timestamp(standing.asOf) == now - duration("1h") && timestamp(standing.notAfter) == now + duration("23h")`
	for name, c := range map[string]struct {
		expression string
		change     func(*verify.StandingResult)
		want       bool
	}{
		"all": {complete, nil, true},
		"items": {`standing.withdrawnItems == ["F1"] && size(standing.withdrawals) == 1`, func(r *verify.StandingResult) {
			r.Standing, r.Items, r.Said = verify.StandingPartlyWithdrawn, []string{"F1"}, []verify.SaidStatement{said(t, "minimal-withdrawal", "sha256:01")}
		}, true},
		"no items":             {`size(standing.withdrawnItems) == 0`, nil, true},
		"items of an unknown":  {`size(standing.withdrawnItems) == 0`, func(r *verify.StandingResult) { r.Standing = verify.StandingUnknown }, false},
		"items of a stale one": {`size(standing.withdrawnItems) == 0`, func(r *verify.StandingResult) { r.Standing = verify.StandingStale }, false},
		"not witnessed":        {`standing.witnessed`, func(r *verify.StandingResult) { r.Witnessed = false }, false},
		"no time":              {`standing.asOf != ""`, func(r *verify.StandingResult) { r.AsOf = time.Time{} }, false},
		"of each statement":    {`statements.all(s, s.standing.status == "inForce")`, nil, true},
		"of each, withdrawn":   {`statements.all(s, s.standing.status == "inForce")`, func(r *verify.StandingResult) { r.Standing = verify.StandingWithdrawn }, false},
	} {
		got := only(t, written(t, oneRule("    expression: |\n      "+c.expression+"\n")), shown(t, c.change))
		if got.Passed != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	// A standing statement has none of what a status shows, whatever it holds, and a status that nobody gave has no value.
	signed := set{DataFlows: "minimal-data-flows", Standing: "minimal-standing"}.facts(t)
	for _, expression := range []string{`standing.reason != ""`, `standing.witnessed || true`, `size(standing.withdrawnItems) == 0`, `standing.asOf != ""`,
		`statements.all(s, s.standing.status == "inForce")`} {
		if got := only(t, written(t, oneRule("    expression: |\n      "+expression+"\n")), signed); got.Passed && !strings.Contains(expression, "|| true") {
			t.Errorf("%s: %+v", expression, got)
		}
	}
}

// TestStatusBesideStandingStatement: the status counts, unless the statement says something worse.
func TestStatusBesideStandingStatement(t *testing.T) {
	p := written(t, oneRule("    expression: standing.status == \"inForce\" && standing.treeSize == \"20480\"\n"))
	for status, c := range map[string]struct {
		shown verify.Standing
		want  bool
	}{"inForce": {verify.StandingInForce, true}, "withdrawn": {verify.StandingInForce, false}, "unknown": {verify.StandingInForce, false}} {
		f := set{DataFlows: "minimal-data-flows", Standing: "minimal-standing"}.facts(t, edit{"standing", "/predicate/status", status})
		f.Evidence[0].Standing = shown(t, nil).Evidence[0].Standing
		f.Evidence[0].Standing.Standing = c.shown
		if got := only(t, p, f); got.Passed != c.want {
			t.Errorf("%s: %+v", status, got)
		}
	}
	f := set{DataFlows: "minimal-data-flows", Standing: "minimal-standing"}.facts(t)
	f.Evidence[0].Standing = shown(t, func(r *verify.StandingResult) { r.Standing = verify.StandingStale }).Evidence[0].Standing
	if got := only(t, p, f); got.Passed {
		t.Errorf("a statement in force beside a stale status: %+v", got)
	}
}

// TestDisputes: the open ones with their members, and no value where it is not known that these are all.
func TestDisputes(t *testing.T) {
	open := func(edits ...edit) func(*verify.StandingResult) {
		return func(r *verify.StandingResult) {
			r.Said = []verify.SaidStatement{said(t, "minimal-dispute", "sha256:01", edits...)}
			r.OpenDisputes = r.Said
		}
	}
	items := edit{Pointer: "/predicate/items", Value: []any{"update"}}
	for name, c := range map[string]struct {
		expression string
		facts      verify.Facts
		want       bool
	}{
		"none":                                 {`size(disputes) == 0`, shown(t, nil), true},
		"one":                                  {`size(disputes) == 0`, shown(t, open()), false},
		"its members":                          {`disputes.all(d, d.ground == "undeclaredFlow" && d.about == "data-flows" && d.signer == "sha256:01" && d.party.country == "DE" && d.summary != "" && d.id.startsWith("sha256:"))`, shown(t, open()), true},
		"its items":                            {`disputes.exists(d, "update" in d.items)`, shown(t, open(items)), true},
		"the whole has no list":                {`!disputes.exists(d, "update" in d.items)`, shown(t, open()), false},
		"no status":                            {`size(disputes) == 0`, set{DataFlows: "minimal-data-flows"}.facts(t), false},
		"unknown":                              {`size(disputes) == 0`, shown(t, func(r *verify.StandingResult) { r.Standing = verify.StandingUnknown }), false},
		"stale":                                {`size(disputes) == 0`, shown(t, func(r *verify.StandingResult) { r.Standing = verify.StandingStale }), false},
		"a standing statement that lists none": {`size(disputes) == 0`, set{DataFlows: "minimal-data-flows", Standing: "minimal-standing"}.facts(t), true},
		"one that lists some": {`size(disputes) == 0`, set{DataFlows: "minimal-data-flows", Standing: "minimal-standing"}.facts(t, edit{"standing",
			"/predicate/openDisputes", []any{map[string]any{"digest": map[string]any{"sha256": strings.Repeat("0", 64)}, "predicateType": predicate.DisputeType}}}), false},
		"another statement without a status": {`size(disputes) == 0`, func() verify.Facts {
			f := set{DataFlows: "minimal-data-flows", NoBackdoor: "minimal-no-backdoor"}.facts(t)
			f.Evidence[0].Standing = shown(t, nil).Evidence[0].Standing
			return f
		}(), false},
	} {
		got := only(t, written(t, oneRule("    needs: [disputes]\n    expression: |\n      "+c.expression+"\n")), c.facts)
		if got.Passed != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDisputeBesideStatus: a dispute that is given as a bundle counts, unless the status knows it and that it is closed.
func TestDisputeBesideStatus(t *testing.T) {
	p := written(t, oneRule("    expression: size(disputes) == 0\n"))
	f := shown(t, nil)
	id := strings.TrimPrefix(f.Evidence[0].StatementID, "sha256:")
	about := edit{Pointer: "/predicate/target/digest/sha256", Value: id}
	d := said(t, "minimal-dispute", "sha256:01", about)
	f.Evidence = append(f.Evidence, verify.Evidence{StatementID: d.StatementID, Statement: d.Statement, KeyID: d.Signer})
	if got := only(t, p, f); got.Passed {
		t.Errorf("open: %+v", got)
	}
	f.Evidence[0].Standing.Said = []verify.SaidStatement{d}
	if got := only(t, p, f); !got.Passed {
		t.Errorf("closed: %+v", got)
	}
}

// TestAssessmentsOfStatus: those that the status shows count if they are by an accepted assessor, once.
func TestAssessmentsOfStatus(t *testing.T) {
	rule := "rules:\n  - id: r\n    title: t\n    description: d\n    message: m\n    expression: size(assessments) == 1 && assessments[0].overall == \"noContradictionFound\"\n"
	head := "apiVersion: avow.dev/policy/v1\nmetadata: {name: x, version: \"1\", title: t}\n"
	named := written(t, head+"assessors:\n  - {name: lab, identities: [{san: lab@example.test, issuer: \"https://issuer.example\"}]}\n"+rule)
	a := said(t, "minimal-assessment", "sha256:77")
	a.Identity = &verify.Identity{SAN: "lab@example.test", Issuer: "https://issuer.example"}
	f := shown(t, func(r *verify.StandingResult) { r.Said = []verify.SaidStatement{a} })
	if got := only(t, named, f); !got.Passed {
		t.Errorf("by the named assessor: %+v", got)
	}
	given := f
	given.Evidence = append(given.Evidence[:1:1], verify.Evidence{StatementID: a.StatementID, Statement: a.Statement, Signer: verify.Signer{Identity: a.Identity}})
	if got := only(t, named, given); !got.Passed {
		t.Errorf("given too: %+v", got)
	}
	for name, change := range map[string]func(*verify.SaidStatement){
		"another issuer": func(s *verify.SaidStatement) {
			s.Identity = &verify.Identity{SAN: "lab@example.test", Issuer: "https://other.example"}
		},
		"a key": func(s *verify.SaidStatement) { s.Identity = nil },
	} {
		other := a
		change(&other)
		if got := only(t, named, shown(t, func(r *verify.StandingResult) { r.Said = []verify.SaidStatement{other} })); got.Passed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := only(t, written(t, head+rule), f); got.Passed {
		t.Errorf("without accepted assessors: %+v", got)
	}
}

// TestLintFindsHolesInStanding: leaving the standing out, or a member of it, opens a hole only where has() made one.
func TestLintFindsHolesInStanding(t *testing.T) {
	withdrawn := shown(t, func(r *verify.StandingResult) { r.Standing = verify.StandingWithdrawn })
	for expression, want := range map[string]string{
		`standing.status == "inForce"`:                                  "",
		`!has(standing.status) || standing.status == "inForce"`:         "/predicate/status",
		`standing.status != "withdrawn"`:                                "",
		`!has(standing.witnessed) || standing.status == "inForce"`:      "/predicate/witnessed",
		`!has(standing.withdrawnItems) || standing.status == "inForce"`: "/predicate/withdrawnItems",
	} {
		report, err := policy.Lint(t.Context(), written(t, oneRule("    expression: |\n      "+expression+"\n")), withdrawn)
		if err != nil {
			t.Fatal(err)
		}
		found := ""
		for _, h := range report.Holes {
			if h.Statement == "standing" && h.Pointer != "" && found == "" {
				found = h.Pointer
			}
		}
		if found != want {
			t.Errorf("%s: %+v, want a hole at %q", expression, report.Holes, want)
		}
	}
}
