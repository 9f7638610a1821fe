package server

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/compare"
	"github.com/avow-dev/avow/verify/standing"
)

// observed is an observation of the files of a statement, with more octets than any number of a declaration.
func observed(t testing.TB, of []byte, event string) []byte {
	t.Helper()
	many := int64(5 << 40)
	o := &observation.Observation{Subjects: parsed(t, of).Subjects, Vantage: observation.VantageNamespace, Event: event,
		Start: issuedAt, End: issuedAt.Add(time.Hour),
		Peers: []observation.Peer{{Name: "metrics.example.net", Port: 443, Transport: "tcp", Connections: 9, BytesOut: &many,
			Naming: observation.NamingSNI, Direction: observation.Outbound}}}
	return must(o.Payload())(t)
}

// compared is the result of comparing an observation with the declaration.
func compared(t testing.TB, flows, trace []byte) []byte {
	t.Helper()
	in := compare.Inputs{Declared: parsed(t, flows), Observed: []*observation.Observation{must(observation.Parse(trace))(t)},
		Files: []compare.Input{{Name: "run.json", SHA256: sha256.Sum256(trace)}}}
	report := compare.Compare(in.Declared.DataFlows, in.Observed, in.Options)
	return must(compare.Compose(report, in))(t).Payload()
}

// TestIssueEvidence: both types are issued for every registered vendor, listed by artifact, and stand beside declarations without
// changing how these stand.
func TestIssueEvidence(t *testing.T) {
	w := newLifeWorld(t)
	flows := dataFlows(t)
	issued := w.issue(flows, w.acme)
	trace := observed(t, flows, "first start")
	result := compared(t, flows, trace)
	own, tests := w.issue(trace, w.acme), w.issue(result, w.acme)
	if own.GetStatementId() != "sha256:"+digestOf(trace) || w.issue(trace, w.acme).GetLogIndex() != own.GetLogIndex() {
		t.Errorf("issued again: %v", own)
	}
	others := []uint64{own.GetLogIndex(), tests.GetLogIndex()}
	for _, key := range []*attest.KeyFile{w.plain, w.assessor, w.disputer} { // whose product it is does not matter
		others = append(others, w.issue(observed(t, flows, idOf(t, key)), key).GetLogIndex())
	}

	r := w.one(issued, w.acme).GetResult()
	if r.GetStanding() != avowv1.Standing_STANDING_IN_FORCE || r.GetReason() != string(standing.ReasonNothing) || len(r.GetSaid()) != 0 {
		t.Errorf("the declaration stands as %v", r)
	}
	request := &avowv1.ListStatementsRequest{SubjectSha256: subjectOf(t, flows)}
	list := must(w.attestation().ListStatements(t.Context(), request))(t).GetStatements()
	want := append([]uint64{issued.GetLogIndex()}, others...)
	got := indicesOf(list)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("listed are %v, want %v", got, want)
	}
	if proof, all := w.proved(request, "subject:sha256:"+subjectOf(t, flows)); len(all) != len(want) || proof == nil {
		t.Errorf("proved are %v, want %v", indicesOf(all), want)
	}
	typed := must(w.attestation().ListStatements(t.Context(), &avowv1.ListStatementsRequest{SubjectSha256: subjectOf(t, flows),
		PredicateType: predicate.TestResultType}))(t).GetStatements()
	if len(typed) != 1 || typed[0].GetLogIndex() != tests.GetLogIndex() {
		t.Errorf("test results: %v", typed)
	}
	standings := must(w.standing().GetStanding(t.Context(), byArtifact(subjectOf(t, flows))))(t).GetStandings()
	if len(standings) != 1 || standings[0].GetPredicateType() != predicate.DataFlowsType {
		t.Errorf("of the artifact stand %v, want the declaration alone", standings)
	}

	verdict := w.buyer(flows, w.acme, issued.GetBundle(), own.GetBundle(), tests.GetBundle())
	if verdict.Outcome != verify.Accepted || len(verdict.Evidence) != 3 {
		t.Errorf("%d statements count: %v", len(verdict.Evidence), verdict.Failures())
	}
	alone := w.buyer(flows, w.acme, own.GetBundle(), tests.GetBundle())
	if alone.Outcome != verify.Rejected || alone.Failures()[0].ID != verify.CheckRequiredTypes {
		t.Errorf("evidence alone is %v: %v", alone.Outcome, alone.Failures())
	}
	w.restart()
	if r := w.one(issued, w.acme).GetResult(); r.GetStanding() != avowv1.Standing_STANDING_IN_FORCE {
		t.Errorf("after a restart: %v", r)
	}
}

// TestEvidenceInBatch: a declaration and its evidence are issued together, in any order.
func TestEvidenceInBatch(t *testing.T) {
	w := newWorld(t)
	flows := dataFlows(t)
	trace := observed(t, flows, "first start")
	batch := &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{signed(t, compared(t, flows, trace), w.acme),
		signed(t, trace, w.acme), signed(t, flows, w.acme)}}
	if got := must(w.attestation().IssueBatch(t.Context(), batch))(t).GetResponses(); len(got) != 3 {
		t.Errorf("%d answers", len(got))
	}
}

// TestEvidenceRefused: with the reason and the rule.
func TestEvidenceRefused(t *testing.T) {
	w := newLifeWorld(t)
	flows := dataFlows(t)
	trace := string(observed(t, flows, "first start"))
	result := string(compared(t, flows, []byte(trace)))
	for what, c := range map[string]struct{ in, old, new, rule, message string }{
		"another monitor":  {trace, observation.MonitorType, "https://other.example/monitor/v1", "R03", "type of a monitor"},
		"another version":  {result, "test-result/v0.1", "test-result/v0.2", "R03", "not a predicate type"},
		"no such result":   {result, `"FAILED"`, `"failed"`, "R03", "outcome of a test"},
		"tests as text":    {result, `"passedTests": []`, `"passedTests": "none"`, "R02", "a list is expected"},
		"too large":        {trace, "first start", strings.Repeat("x", predicate.MaxStatementBytes+1-len(trace)+len("first start")), "R01", "too large to be logged"},
		"too many octets":  {trace, "5497558138880", "54975581388800000000", "R01", "not an integer"},
		"no subject":       {trace, subjectOf(t, flows), strings.ToUpper(subjectOf(t, flows)), "R04", "lower-case"},
		"a number too big": {result, `"configuration": [`, `"configuration": [{"n": 1.5},`, "R01", "not an integer"},
	} {
		bad := strings.Replace(c.in, c.old, c.new, 1)
		if bad == c.in {
			t.Fatalf("%s: %q is not in\n%s", what, c.old, c.in)
		}
		st := wantReason(t, w.try([]byte(bad), w.acme), reasonStatementInvalid)
		rules, _ := violations(st)
		if !slices.Contains(rules, c.rule) || !strings.Contains(fmt.Sprint(st.Details()), c.message) {
			t.Errorf("%s: got %v %s, want %s: %s", what, rules, st.Details(), c.rule, c.message)
		}
	}
	wantReason(t, w.try([]byte(trace), w.recovery[0]), reasonKeyUnknown)
	stranger := must(attest.GenerateKey())(t)
	wantReason(t, w.try([]byte(trace), stranger), reasonKeyUnknown)
}

// TestWithdrawEvidence: by its signer like any other statement, by nobody else; an assessment is of declarations only.
func TestWithdrawEvidence(t *testing.T) {
	w := newLifeWorld(t)
	trace := observed(t, dataFlows(t), "first start")
	issued := w.issue(trace, w.acme)
	wantReason(t, w.try(withdrawal(t, trace), w.acmeSecond), reasonTargetNotYours)
	st := wantReason(t, w.try(assessment(t, trace, assessorName, "thirdParty"), w.assessor), reasonStatementInvalid)
	if rules, _ := violations(st); !slices.Contains(rules, "R40") {
		t.Errorf("an assessment: %v", rules)
	}
	if r := w.one(issued, w.acme).GetResult(); r.GetStanding() != avowv1.Standing_STANDING_IN_FORCE {
		t.Errorf("before: %v", r)
	}
	w.issue(withdrawal(t, trace), w.acme)
	if r := w.one(issued, w.acme).GetResult(); r.GetStanding() != avowv1.Standing_STANDING_WITHDRAWN {
		t.Errorf("after: %v", r)
	}
}
