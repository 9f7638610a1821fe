package predicate

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLifecycleDrafts: a draft with everything filled in is issuable, and one without says where there is something to fill in.
func TestLifecycleDrafts(t *testing.T) {
	target := mustParse(t, "v1/data-flows/valid/minimal-data-flows.json")
	o := AboutOptions{Target: target, LogOrigin: "log.example.test", LogIndex: "7", Now: time.Date(2026, 9, 1, 9, 0, 0, 5, time.UTC)}
	lab := Party{Name: "Example Test Laboratory", Country: "DE"}
	make := func(data []byte, err error) *Statement {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if findings := Lint(data, nil).Errors(); len(findings) > 0 {
			t.Fatalf("%v in %s", findings, data)
		}
		s, err := Parse(data, Issuance)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	w := make(NewWithdrawalDraft(o, Withdrawal{Reason: "falseStatement", Effect: "neverValid"}))
	opened := make(NewDisputeDraft(o, Dispute{Event: "opened", Ground: "undeclaredFlow", Summary: "connects", Party: lab,
		Items: target.ItemIDs()[:1]}, nil))
	answer := make(NewDisputeDraft(o, Dispute{Event: "answered", Summary: "it does not"}, opened))
	settled := make(NewDisputeDraft(o, Dispute{Event: "settled", Summary: "agreed"}, opened))
	a := make(NewAssessmentDraft(o, Assessment{Assessor: lab, Independence: "thirdParty", Overall: "inconclusive", Limitations: "one device",
		Criteria: []ResourceDescriptor{{URI: "https://w3id.org/avow/criteria/flow-capture/v1"}}, PerformedFrom: "2026-08-01T00:00:00Z",
		PerformedTo: "2026-08-02T00:00:00Z", Findings: []AssessmentFinding{{Item: "completeness", Result: "notExamined"}}}, 30))
	for _, s := range []*Statement{w, opened, answer, settled, a} {
		if findings := s.CheckRelated([]*Statement{target, opened}).Errors(); len(findings) > 0 {
			t.Errorf("%s: %v", s.Type, findings)
		}
		if got := s.Target(); got.LogOrigin != "log.example.test" || got.LogIndex != "7" {
			t.Errorf("%s: target %+v", s.Type, got)
		}
	}
	if got := w.Withdrawal; got.EffectiveAt != "2026-09-01T09:00:00Z" || got.Declarant.Party.Name != target.Common().Declarant.Party.Name ||
		got.Declarant.SignatoryFunction == "" {
		t.Errorf("withdrawal %+v", got)
	}
	if answer.Dispute.Party.Name != target.Common().Declarant.Party.Name || answer.Dispute.Ground != "undeclaredFlow" ||
		!slices.Equal(answer.Dispute.Items, opened.Dispute.Items) || settled.Dispute.Party.Name != lab.Name {
		t.Errorf("answer %+v, settled by %+v", answer.Dispute, settled.Dispute.Party)
	}
	if a.Assessment.Validity.NotAfter != "2026-10-01T09:00:00Z" {
		t.Errorf("valid until %s", a.Assessment.Validity.NotAfter)
	}
	// Another party than the target's has not its signatory.
	data, err := NewWithdrawalDraft(o, Withdrawal{Reason: "falseStatement", Effect: "neverValid", Declarant: Declarant{Party: Party{Name: "Heirs Ltd"}}})
	if err != nil || !strings.Contains(string(data), `"signatoryFunction": "`+placeholderPrefix) {
		t.Errorf("a withdrawal by another party: %s, %v", data, err)
	}
}

func TestEmptyLifecycleDrafts(t *testing.T) {
	target := mustParse(t, "v1/data-flows/valid/minimal-data-flows.json")
	o := AboutOptions{Target: target, Now: time.Date(2026, 9, 1, 9, 0, 0, 0, time.UTC)}
	for name, draft := range map[string]func(AboutOptions) ([]byte, error){
		"withdrawal": func(o AboutOptions) ([]byte, error) { return NewWithdrawalDraft(o, Withdrawal{}) },
		"dispute":    func(o AboutOptions) ([]byte, error) { return NewDisputeDraft(o, Dispute{}, nil) },
		"assessment": func(o AboutOptions) ([]byte, error) { return NewAssessmentDraft(o, Assessment{}, 0) },
	} {
		data, err := draft(o)
		if err != nil {
			t.Fatal(err)
		}
		if codes := Lint(data, nil).Codes(); !slices.Contains(codes, "R02") {
			t.Errorf("%s: the empty draft is refused by %v, want R02 for the placeholders", name, codes)
		}
		if _, err := draft(AboutOptions{Target: target}); err == nil {
			t.Errorf("%s: a draft without a time", name)
		}
		if _, err := draft(AboutOptions{Now: o.Now}); err == nil {
			t.Errorf("%s: a draft without a target", name)
		}
	}
	if data, _ := NewAssessmentDraft(o, Assessment{}, 0); !strings.Contains(string(data), `"item": "`+target.ItemIDs()[0]+`"`) {
		t.Errorf("no place for a finding on each item: %s", data)
	}
	if _, err := NewAssessmentDraft(o, Assessment{}, -1); err == nil {
		t.Error("a negative validity")
	}
	if _, err := NewDisputeDraft(o, Dispute{}, target); err == nil {
		t.Error("a thread that is no dispute")
	}
}
