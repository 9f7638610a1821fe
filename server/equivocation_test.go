package server

import (
	"slices"
	"testing"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/predicate"
)

// TestEquivocation: two statements of one signer that contradict each other are both issued, the second with a warning.
func TestEquivocation(t *testing.T) {
	w := newLifeWorld(t)
	flows := func(title string, change func(common map[string]any)) []byte {
		return statement(t, "data-flows", func(common, p, _ map[string]any) {
			p["flows"].([]any)[0].(map[string]any)["necessity"] = title
			if change != nil {
				change(common)
			}
		})
	}
	first := flows("core", nil)
	w.issue(first, w.acme)
	same := w.issue(flows("core", nil), w.acme)
	if codes := codesOf(same.GetWarnings()); len(codes) != 0 {
		t.Errorf("the same again is warned about: %v", codes)
	}
	want := func(payload []byte, key *attest.KeyFile, others ...string) {
		t.Helper()
		var got []string
		for _, f := range w.issue(payload, key).GetWarnings() {
			if f.GetCode() == "W09" {
				got = append(got, f.GetFound())
			}
		}
		if !slices.Equal(got, others) {
			t.Errorf("warned about %v, want %v", got, others)
		}
	}
	second := flows("vendorBenefit", nil)
	want(second, w.acmeSecond) // another signer
	want(second, w.acme, "sha256:"+digestOf(first), same.GetStatementId())
	// Withdrawn ones do not count, wholly or in the items that differ; superseded ones neither.
	w.issue(withdrawal(t, first), w.acme)
	third := flows("feature", func(common map[string]any) { common["supersedes"] = []any{reference(parsed(t, second))} })
	want(third, w.acme, same.GetStatementId())
	fourth := flows("core", nil)
	want(fourth, w.acme, "sha256:"+digestOf(third))
	w.issue(withdrawal(t, third, parsed(t, third).ItemIDs()[0]), w.acme)
	want(flows("core", nil), w.acme)
}

// TestEquivocationWithinABatch: statements of one declaration are compared too.
func TestEquivocationWithinABatch(t *testing.T) {
	w := newLifeWorld(t)
	flows := func(necessity string) []byte {
		return statement(t, "data-flows", func(_, p, _ map[string]any) {
			p["flows"].([]any)[0].(map[string]any)["necessity"] = necessity
		})
	}
	resp := must(w.attestation().IssueBatch(t.Context(), &avowv1.IssueBatchRequest{Requests: []*avowv1.IssueRequest{
		signed(t, flows("core"), w.acme), signed(t, flows("feature"), w.acme)}}))(t)
	for n, r := range resp.GetResponses() {
		if got := codesOf(r.GetWarnings()); !slices.Equal(got, []string{"W09"}) {
			t.Errorf("statement %d: got %v, want W09", n, got)
		}
	}
}

func TestOverlap(t *testing.T) {
	of := func(from, notBefore, to string) *predicate.Statement {
		return &predicate.Statement{DataFlows: &predicate.DataFlows{Common: predicate.Common{
			Validity: predicate.Validity{IssuedAt: from, NotBefore: notBefore, NotAfter: to}}}}
	}
	year := of("2026-01-01T00:00:00Z", "", "2027-01-01T00:00:00Z")
	for name, c := range map[string]struct {
		other *predicate.Statement
		want  bool
	}{
		"itself":      {year, true},
		"within":      {of("2026-02-01T00:00:00Z", "", "2026-03-01T00:00:00Z"), true},
		"after":       {of("2027-01-01T00:00:00Z", "", "2028-01-01T00:00:00Z"), false},
		"before":      {of("2025-01-01T00:00:00Z", "", "2026-01-01T00:00:00Z"), false},
		"begins late": {of("2026-06-01T00:00:00Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"), false},
	} {
		if got := overlap(year, c.other); got != c.want || overlap(c.other, year) != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
