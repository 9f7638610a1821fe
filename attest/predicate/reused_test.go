package predicate

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const reusedSubject = `"subject":[{"name":"agent","digest":{"sha256":"13f3353567ce3b66c7435388c1650469488611255c0fddf6128ca3a0deda8fe9"}}]`

func reusedStatement(predicateType, predicate string) string {
	return `{"_type":"` + StatementType + `",` + reusedSubject + `,"predicateType":"` + predicateType + `","predicate":` + predicate + `}`
}

func traceStatement() string {
	return reusedStatement(RuntimeTraceType, `{"monitor":{"type":"`+FlowSummaryMonitor+`","tracePolicy":{"vantage":"host"}},`+
		`"monitoredProcess":{"hostID":"urn:avow:host:unnamed"},"monitorLog":{"network":[{"destinationName":"a.example",`+
		`"bytesIn":9007199254740991,"process":"FILL IN"}]},"metadata":{"buildStartedOn":"2026-09-01T10:00:00Z"}}`)
}

func testResultStatement() string {
	return reusedStatement(TestResultType, `{"result":"FAILED","configuration":[{"name":"declared","digest":{"sha256":"00"}}],`+
		`"passedTests":["update"],"warnedTests":[],"failedTests":["metrics: noName"]}`)
}

// TestReused: both types parse in both modes, are never a declaration, and are in force without a period.
func TestReused(t *testing.T) {
	for _, payload := range []string{traceStatement(), testResultStatement()} {
		for _, mode := range []Mode{Issuance, Consumption} {
			s, err := Parse([]byte(payload), mode)
			if err != nil {
				t.Fatalf("mode %d: %v", mode, err)
			}
			if !s.IsEvidence() || s.Common() != nil || s.Target() != nil || len(s.References()) > 0 || len(s.ItemIDs()) > 0 || s.Ignored() ||
				string(s.Payload()) != payload || s.ID() != idOf([]byte(payload)) {
				t.Errorf("%s: %+v", s.Type, s)
			}
			if in, why := s.InForce(time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)); !in {
				t.Errorf("%s: not in force: %s", s.Type, why)
			}
			if f := append(s.Check(nil), s.CheckReceipt(time.Now())...); len(f) > 0 {
				t.Errorf("%s: %v", s.Type, f)
			}
			if f := s.CheckRelated([]*Statement{s, mustParse(t, minimalFlows)}); len(f) > 0 {
				t.Errorf("%s: %v", s.Type, f)
			}
			if (s.TestResult != nil) != (s.Type == TestResultType) {
				t.Errorf("%s: test result %+v", s.Type, s.TestResult)
			}
			if r := s.TestResult; r != nil && (r.Result != "FAILED" || len(r.Passed) != 1 || r.Warned == nil || r.Failed[0] != "metrics: noName") {
				t.Errorf("%+v", r)
			}
		}
	}
	if s := mustParse(t, minimalFlows); s.IsEvidence() {
		t.Error("a declaration is evidence")
	}
}

// TestReusedRefused: one change each, with its rule and its place.
func TestReusedRefused(t *testing.T) {
	trace, result := traceStatement(), testResultStatement()
	many := `["x"` + strings.Repeat(`,"x"`, MaxTests) + `]`
	for _, test := range []struct {
		in, old, new, code, pointer, message string
	}{
		{trace, FlowSummaryMonitor, "https://other.example/monitor/v1", "R03", "/predicate/monitor/type", "not the type of a monitor"},
		{trace, `"type":"` + FlowSummaryMonitor + `",`, "", "R02", "/predicate/monitor/type", "mandatory member type is absent"},
		{trace, `"network":[`, `"net":[`, "R02", "/predicate/monitorLog/network", "mandatory member network is absent"},
		{trace, `[{"destinationName"`, `[1,{"destinationName"`, "R02", "/predicate/monitorLog/network/0", "an object is expected"},
		{trace, `"metadata":`, `"meta":`, "R02", "/predicate/meta", `unknown member "meta"`},
		{trace, "9007199254740991", "9007199254740992", "R01", "/predicate/monitorLog/network/0/bytesIn", "number is not an integer"},
		{trace, "9007199254740991", "1.5", "R01", "/predicate/monitorLog/network/0/bytesIn", "number is not an integer"},
		{trace, "9007199254740991", "-1", "R01", "/predicate/monitorLog/network/0/bytesIn", "number is not an integer"},
		{trace, "a.example", strings.Repeat("a", MaxStringBytes+1), "R02", "/predicate/monitorLog/network/0/destinationName", "string of 4097 bytes"},
		{trace, `"vantage"`, `"` + strings.Repeat("v", maxKeyBytes+1) + `"`, "R02", "/predicate/monitor/tracePolicy", "member name of 257 bytes"},
		{trace, "a.example", strings.Repeat("a", MaxStatementBytes), "R01", "", "the limit is 262144"},
		{trace, `"subject":`, `"subjects":`, "R02", "/subjects", "unknown member"},
		{result, "FAILED", "failed", "R03", "/predicate/result", "not the outcome of a test"},
		{result, `"result":"FAILED",`, "", "R02", "/predicate/result", "mandatory member result is absent"},
		{result, `["update"]`, `"update"`, "R02", "/predicate/passedTests", "a list is expected"},
		{result, `["update"]`, `[" "]`, "R02", "/predicate/passedTests/0", "name of a test is empty"},
		{result, `["update"]`, `[1]`, "R02", "/predicate/passedTests/0", "a string is expected"},
		{result, `["update"]`, many, "R02", "/predicate/passedTests", "list of 4097 elements, the limit is 4096"},
		{result, `[{"name":"declared","digest":{"sha256":"00"}}]`, `["declared"]`, "R02", "/predicate/configuration/0", "an object is expected"},
		{result, `"result"`, `"extra":1,"result"`, "R02", "/predicate/extra", `unknown member "extra"`},
		{trace, `"tracePolicy"`, `"TYPE":"x","tracePolicy"`, "R02", "/predicate/monitor/TYPE", "another spelling of the member type"},
		{result, `"result"`, `"url":1,"result"`, "R02", "/predicate/url", "a string is expected"},
		{result, `"predicate":{`, `"predicate":[{`, "R01", "", "',' or ']' is expected"},
	} {
		payload := strings.Replace(test.in, test.old, test.new, 1)
		if payload == test.in {
			t.Fatalf("%q is not in the statement", test.old)
		}
		_, err := Parse([]byte(payload), Issuance)
		var rules *RulesError
		if !errors.As(err, &rules) {
			t.Errorf("%.60q: got %v", test.new, err)
			continue
		}
		found := false
		for _, f := range rules.Findings {
			found = found || f.Code == test.code && strings.HasPrefix(f.Pointer, test.pointer) && strings.Contains(f.Message, test.message)
		}
		if !found {
			t.Errorf("%.60q: want %s at %s: %s; got %v", test.new, test.code, test.pointer, test.message, err)
		}
	}
}

// TestReusedNewer: a member that a newer minor version added is passed over by readers, and said to be.
func TestReusedNewer(t *testing.T) {
	payload := strings.Replace(testResultStatement(), `"result"`, `"later":1,"result"`, 1)
	s, err := Parse([]byte(payload), Consumption)
	if err != nil || !s.Ignored() {
		t.Fatalf("%v, ignored %v", err, err == nil && s.Ignored())
	}
}

// TestReusedSpelling: a reader that takes names in any case must not see another outcome, not even of a newer version.
func TestReusedSpelling(t *testing.T) {
	payload := strings.Replace(testResultStatement(), `"configuration"`, `"Result":"PASSED","configuration"`, 1)
	for _, mode := range []Mode{Issuance, Consumption} {
		if _, err := Parse([]byte(payload), mode); err == nil || !strings.Contains(err.Error(), "another spelling of the member result") {
			t.Errorf("mode %d: %v", mode, err)
		}
	}
}

// TestWideNumbers: what evidence may hold no declaration may, whatever the order of its members.
func TestWideNumbers(t *testing.T) {
	wide := strings.Replace(string(readVector(t, minimalFlows)), `"ports": [`, `"ports": [4294967296, `, 1)
	if !strings.Contains(wide, "4294967296") {
		t.Fatal("no ports")
	}
	_, err := Parse([]byte(wide), Consumption)
	if err == nil || !strings.Contains(err.Error(), "number is not an integer from 0 to 2147483647") || !strings.Contains(err.Error(), "R01") {
		t.Errorf("got %v", err)
	}
	if err := StrictJSON([]byte(traceStatement()), JSONLimits{}); err == nil {
		t.Error("StrictJSON takes a wide number")
	}
	for _, lone := range []string{`{"predicateType":1,"predicate":4294967296}`, `[4294967296]`} {
		if _, err := Parse([]byte(lone), Consumption); err == nil || !strings.Contains(err.Error(), "R01") {
			t.Errorf("%s: got %v", lone, err)
		}
	}
}

// TestReusedTargets: a withdrawal of evidence is by the rules; it is no statement that is assessed.
func TestReusedTargets(t *testing.T) {
	target, err := Parse([]byte(traceStatement()), Issuance)
	if err != nil {
		t.Fatal(err)
	}
	about := AboutOptions{Target: target, Now: time.Date(2026, 9, 1, 9, 0, 0, 0, time.UTC)}
	draft, err := NewWithdrawalDraft(about, Withdrawal{Reason: "issuedInError", Effect: "neverValid", Declarant: Declarant{
		Party: Party{Name: "Lab", Country: "DE"}, Role: "manufacturer", SignatoryFunction: "Head", Authority: "delegatedInWriting",
		Responsibility: "soleResponsibility"}})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Parse(draft, Issuance)
	if err != nil {
		t.Fatalf("%v\n%s", err, draft)
	}
	if f := append(w.Check(nil), w.CheckRelated([]*Statement{target})...).Errors(); len(f) > 0 {
		t.Errorf("withdrawal: %v", f)
	}
	assessment := mustParse(t, "v1/assessment/valid/minimal-assessment.json")
	if hint := unfitTarget(assessment, target); !strings.Contains(hint, "assess a no-backdoor") {
		t.Errorf("an assessment of evidence: %q", hint)
	}
}

// TestTooManyValues: an observation with too many peers is told that it cannot be logged.
func TestTooManyValues(t *testing.T) {
	payload := strings.Replace(traceStatement(), `"network":[`, `"network":[`+strings.Repeat("{},", MaxValues), 1)
	_, err := Parse([]byte(payload), Issuance)
	var rules *RulesError
	if !errors.As(err, &rules) || !strings.Contains(rules.Findings[0].Hint, "too large to be logged") {
		t.Errorf("got %s", fmt.Sprint(err))
	}
}
