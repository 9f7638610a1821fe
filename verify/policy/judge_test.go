package policy_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// What is absent is an error, and an error denies: neither a default nor an empty
// list, whatever the rule asks.
func TestAbsentDenies(t *testing.T) {
	grafana := set{DataFlows: "grafana-data-flows"}
	minimal := set{DataFlows: "minimal-data-flows", NoBackdoor: "minimal-no-backdoor"}
	for name, c := range map[string]struct {
		rule  string
		facts verify.Facts
		err   string
	}{
		"list": {"expression: dataFlows.flows.all(f, f.receives.all(d, true))", grafana.facts(t), "Flow has no member receives"},
		"text": {`expression: dataFlows.flows.all(f, f.recipients.all(r, r.party.contact == ""))`, minimal.facts(t),
			"Party has no member contact"},
		"number": {"expression: dataFlows.flows.all(f, f.activation.intervalSeconds == 0)",
			minimal.facts(t, edit{"dataFlows", "/predicate/flows/0/activation/intervalSeconds", nil}),
			"Activation has no member intervalSeconds"},
		"size": {"expression: size(dataFlows.extensions) == 0", minimal.facts(t), "DataFlows has no member extensions"},
		"map":  {`expression: dataFlows.common.related[0].digest["sha512"] == ""`, minimal.facts(t), "no member related"},
		"key": {`expression: noBackdoor.common.related[0].digest["sha512"] == ""`, minimal.facts(t),
			"no such key: sha512"},
		"statement":  {`expression: undertakings.undertakings.all(u, false)`, minimal.facts(t), "no verified undertakings statement"},
		"standing":   {`expression: standing.status != "withdrawn"`, minimal.facts(t), "no verified standing"},
		"needs":      {"needs: [undertakings]\n    expression: 'true'", minimal.facts(t), "no verified undertakings statement"},
		"approved":   {"needs: [approved]\n    expression: 'true'", minimal.facts(t), "no approved release"},
		"of release": {"expression: size(approved.dataFlows.flows) == 0", minimal.facts(t), "no approved data-flows statement"},
		"signer":     {`expression: statements.all(s, s.signer.san == "")`, minimal.facts(t), "signer has no member san"},
		"element": {"forEach: dataFlows.flows\n    expression: size(x.receives) >= 0", grafana.facts(t),
			"usage-stats: Flow has no member receives"},
	} {
		t.Run(name, func(t *testing.T) {
			got := only(t, written(t, oneRule("    "+c.rule+"\n")), c.facts)
			if got.Passed || !strings.Contains(got.Error, c.err) || got.Message != "it is not so" {
				t.Errorf("passed %t, error %q, message %q, want error %q", got.Passed, got.Error, got.Message, c.err)
			}
		})
	}
}

// The names of what made a rule fail: ids, texts, positions.
func TestFailingElements(t *testing.T) {
	f := set{DataFlows: "grafana-data-flows", NoBackdoor: "minimal-no-backdoor"}.facts(t)
	for name, c := range map[string]struct {
		rule string
		want []string
	}{
		"ids":        {"forEach: noBackdoor.claims\n    expression: x.id != \"NB-MALICE\"", []string{"NB-MALICE"}},
		"texts":      {"forEach: '[\"NB-ACCESS\", \"NB-CHANNEL\"]'\n    expression: noBackdoor.claims.exists(c, c.id == x)", []string{"NB-CHANNEL"}},
		"positions":  {"forEach: noBackdoor.common.related\n    expression: \"false\"", []string{"#1"}},
		"numbers":    {"forEach: '[4, 5, 6]'\n    expression: x == 5", []string{"#1", "#3"}},
		"statements": {"forEach: statements\n    expression: x.id == \"data-flows\"", []string{"no-backdoor"}},
		"none":       {"forEach: noBackdoor.claims\n    require: \"false\"\n    expression: \"true\"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := only(t, written(t, oneRule("    "+c.rule+"\n")), f); got.Passed || !slices.Equal(got.Failing, c.want) {
				t.Errorf("passed %t, failing %q, want %q (%s)", got.Passed, got.Failing, c.want, got.Error)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	f := strictFacts(t)
	f.Approved = []*predicate.Statement{f.Evidence[0].Statement}
	f.Evidence[1].Signer = verify.Signer{Name: "Example Devices GmbH",
		Identity: &verify.Identity{SAN: "release@example.com", Issuer: "https://accounts.example.com"}}
	for _, expression := range []string{
		`statements.all(dataFlows, .dataFlows.networkUse == "some")`,
		`.now == now && statements.all(now, .now > now.signedBy)`,
		`now == timestamp("2026-11-23T12:00:00Z")`,
		`artifact.sha256.startsWith("13f335") && artifact.name == "example-gateway-1.2.3.img"`,
		`size(statements) == 3 && statements.exists_one(s, s.id == "undertakings")`,
		`statements.all(s, s.signer.name == "Example Devices GmbH" && s.log.origin == "log.example.test" && s.log.index == 7)`,
		`statements.all(s, s.signedBy < now && now - s.signedBy == days(1) && s.digest.startsWith("sha256:"))`,
		`byId(statements, "no-backdoor").signer.san == "release@example.com"`,
		`byId(statements, "no-backdoor").signer.issuer == "https://accounts.example.com"`,
		`byId(statements, "data-flows").common.product.version == "1.2.3"`,
		`approved.dataFlows.flows[0].id == dataFlows.flows[0].id && approved.dataFlows == dataFlows`,
		`standing.treeSize == "20480" && standing.target.digest["sha256"].startsWith("ae337ac1")`,
		`assessments[0].assessor.country == "DE" && "DE" in [assessments[0].assessor.country]`,
		`dataFlows.flows[0].endpoints[0].ports == [443] && 443 in dataFlows.flows[0].endpoints[0].ports`,
		`has(dataFlows.flows) && !has(dataFlows.extensions) && !has(dataFlows.flows[0].receives[0].dpv)`,
		`dataFlows.flows.map(f, f.id) == ["update"] && dataFlows.flows.filter(f, f.id == "x") == []`,
		`has(approved.dataFlows) && !has(approved.noBackdoor) && !has(approved.noBackdoor.claims)`,
		`type(dataFlows.flows[0]) == avow.predicate.v1.Flow`,
	} {
		// In YAML's block style nothing needs quotes.
		if got := only(t, written(t, oneRule("    expression: |\n      "+expression+"\n")), f); !got.Passed {
			t.Errorf("%s: %s", expression, got.Error)
		}
	}
}

// Only a signer for standings makes a standing, and only of the statement that it
// names; the newest counts.
func TestStandingAndAssessments(t *testing.T) {
	base := set{DataFlows: "minimal-data-flows", Standing: "minimal-standing", Assessments: []string{"minimal-assessment"}}
	p := written(t, oneRule("    needs: [standing, assessments]\n    expression: standing.status == \"inForce\"\n"))
	for name, c := range map[string]struct {
		change func(f *verify.Facts)
		err    string
		pass   bool
	}{
		"as it is":           {change: func(*verify.Facts) {}, pass: true},
		"standing by vendor": {func(f *verify.Facts) { f.Evidence[1].Signer = f.Evidence[0].Signer }, "no verified standing", false},
		"assessment by vendor": {func(f *verify.Facts) { f.Evidence[2].Signer = f.Evidence[0].Signer },
			"no verified assessment", false},
		"standing by assessor": {func(f *verify.Facts) { f.Evidence[1].Signer = f.Evidence[2].Signer }, "no verified standing", false},
		"standing of another": {func(f *verify.Facts) { f.Evidence[1] = evidence(t, vector(t, "grafana-standing")) },
			"no verified standing", false},
		"a newer one": {func(f *verify.Facts) {
			f.Evidence = append(f.Evidence, evidence(t, edited(t, vector(t, "minimal-standing"),
				edit{Pointer: "/predicate/checkedAt", Value: "2026-11-21T00:00:00Z"}, edit{Pointer: "/predicate/status", Value: "withdrawn"})))
		}, "", false},
		"an older one": {func(f *verify.Facts) {
			f.Evidence = append(f.Evidence, evidence(t, edited(t, vector(t, "minimal-standing"),
				edit{Pointer: "/predicate/checkedAt", Value: "2026-11-19T00:00:00Z"}, edit{Pointer: "/predicate/status", Value: "withdrawn"})))
		}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			f := base.facts(t)
			c.change(&f)
			if got := only(t, p, f); got.Passed != c.pass || !strings.Contains(got.Error, c.err) {
				t.Errorf("passed %t, error %q, want %t, %q", got.Passed, got.Error, c.pass, c.err)
			}
		})
	}
}

// Facts that verification never yields are the caller's mistake, not a verdict.
func TestImpossibleFacts(t *testing.T) {
	p := builtin(t, "P06", nil)
	f := set{DataFlows: "minimal-data-flows"}.facts(t)
	twice := verify.Facts{At: at, Evidence: append(f.Evidence, strictFacts(t, edit{"dataFlows", "/predicate/networkUse", "none"}).Evidence[0])}
	none := verify.Facts{At: at, Evidence: []verify.Evidence{{}}}
	approved := verify.Facts{At: at, Approved: []*predicate.Statement{nil}}
	for name, facts := range map[string]verify.Facts{"two of a type": twice, "no statement": none, "nothing approved": approved} {
		if result, err := p.Judge(t.Context(), facts); err == nil || result != nil {
			t.Errorf("%s: %v, %v", name, result, err)
		}
	}
	// No evidence at all is a verdict: nothing is stated.
	if got := only(t, p, verify.Facts{At: at}); got.Passed {
		t.Error("nothing is stated, and that passes")
	}
}

func TestCostLimit(t *testing.T) {
	costly := `forEach: dataFlows.flows
    expression: |
      dataFlows.flows.all(a, dataFlows.flows.all(b, dataFlows.flows.all(c, a.id + b.id + c.id != "")))`
	for name, c := range map[string]struct {
		rule string
		pass bool
	}{
		"of one evaluation": {"expression: |\n      " + costly[strings.Index(costly, "dataFlows.flows.all"):], false},
		"of all elements":   {costly, false},
		// 65 536 pairs are more than may be walked without CEL's accounting, and
		// less than its limit.
		"of pairs":   {"forEach: dataFlows.flows\n    expression: \"dataFlows.flows.all(f, f.id != '' || x.id != '')\"", true},
		"of triples": {"forEach: dataFlows.flows\n    expression: dataFlows.flows.all(f, dataFlows.flows.all(g, size(f.sends) + size(g.sends) > 0))", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := only(t, written(t, oneRule("    "+c.rule+"\n")), largeFacts(t, 256))
			if got.Passed != c.pass || !c.pass && !strings.Contains(got.Error, "costs more than 1000000 units") {
				t.Errorf("passed %t, error %q", got.Passed, got.Error)
			}
		})
	}
}

func TestJudgeEndsWithTheContext(t *testing.T) {
	p := written(t, oneRule(`    forEach: dataFlows.flows
    expression: dataFlows.flows.all(a, dataFlows.flows.all(b, a.id != b.id || a == b))
`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if result, err := p.Judge(ctx, largeFacts(t, 200)); !errors.Is(err, context.Canceled) || result != nil {
		t.Errorf("%v, %v", result, err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if result, err := p.Judge(ctx, largeFacts(t, 200)); !errors.Is(err, context.DeadlineExceeded) || result != nil {
		t.Errorf("%v, %v", result, err)
	}
}

// One policy judges many artifacts at once.
func TestConcurrentUse(t *testing.T) {
	p := builtin(t, "strict", nil)
	e := expectations(t)
	want := map[string][]string{}
	for name, s := range e.Sets {
		result, err := p.Judge(t.Context(), s.facts(t))
		if err != nil {
			t.Fatal(err)
		}
		want[name] = ids(result.Denials())
	}
	var wait sync.WaitGroup
	for range 4 {
		for name, s := range e.Sets {
			f := s.facts(t)
			wait.Go(func() {
				result, err := p.Judge(t.Context(), f)
				if err != nil || !slices.Equal(ids(result.Denials()), want[name]) {
					t.Errorf("%s: %v, %v, want %v", name, result, err, want[name])
				}
			})
		}
	}
	wait.Wait()
}

func TestSeverity(t *testing.T) {
	header := "apiVersion: avow.dev/policy/v1\nmetadata: {name: x, version: \"1\", title: t}\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  verify.Severity
	}{
		"as written":            {map[string]string{"policy.yaml": header + "include: [P06]"}, verify.SeverityDeny},
		"of the inclusion":      {map[string]string{"policy.yaml": header + "include: [{policy: P06, severity: warn}]"}, verify.SeverityWarn},
		"the stricter of two":   {map[string]string{"policy.yaml": header + "include: [{policy: P06, severity: warn}, P06]"}, verify.SeverityDeny},
		"whichever comes first": {map[string]string{"policy.yaml": header + "include: [P06, {policy: P06, severity: warn}]"}, verify.SeverityDeny},
		"of the outermost": {map[string]string{"policy.yaml": header + "include: [{policy: b.yaml, severity: warn}]",
			"b.yaml": header + "include: [{policy: P06, severity: deny}]"}, verify.SeverityWarn},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := load(t, c.files)
			if err != nil {
				t.Fatal(err)
			}
			if rules := p.Rules(); len(rules) != 1 || rules[0].Severity != c.want {
				t.Errorf("%+v, want %s", rules, c.want)
			}
			if got := only(t, p, set{DataFlows: "grafana-data-flows"}.facts(t)); got.Passed || got.Severity != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

var _ verify.Policy = (*policy.Policy)(nil)

// TestEvidenceIsNoInput: what was observed, whoever observed it, neither meets a rule nor breaks one.
func TestEvidenceIsNoInput(t *testing.T) {
	trace := []byte(`{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "a", "digest": {"sha256": "` +
		strings.Repeat("ab", 32) + `"}}], "predicateType": "` + predicate.TestResultType +
		`", "predicate": {"result": "FAILED", "configuration": []}}`)
	p := builtin(t, "strict", nil)
	for name, facts := range map[string]verify.Facts{"with declarations": strictFacts(t), "alone": {At: at}} {
		want, err := p.Judge(t.Context(), facts)
		if err != nil {
			t.Fatal(err)
		}
		facts.Evidence = append(facts.Evidence, evidence(t, trace), evidence(t, trace))
		got, err := p.Judge(t.Context(), facts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
		if denied := len(got.Denials()) > 0; denied != (name == "alone") {
			t.Errorf("%s: denied %v", name, denied)
		}
	}
}
