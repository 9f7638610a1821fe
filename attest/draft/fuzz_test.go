package draft

import (
	"regexp"
	"testing"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

var goodID = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// draftable checks what must hold of every file that is read: it becomes a draft
// of which nothing is wrong but what is still to be filled in.
func draftable(t *testing.T, data []byte) {
	t.Helper()
	f, err := Read(data)
	if err != nil {
		return
	}
	flows, err := Compose([]*Findings{f})
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for _, flow := range flows {
		if !goodID.MatchString(flow.ID) || seen[flow.ID] || flow.ID == "completeness" {
			t.Errorf("id %q", flow.ID)
		}
		seen[flow.ID] = true
		for _, e := range flow.Endpoints {
			if problem := predicate.EmbeddedTables().EndpointProblem(&e); problem != "" && !predicate.IsPlaceholder(e.Value) {
				t.Errorf("endpoint %q %s", e.Value, problem)
			}
			if len(flow.Endpoints) > maxEndpoints {
				t.Errorf("%d endpoints", len(flow.Endpoints))
			}
		}
	}
	draft, err := predicate.NewDataFlowsDraft(predicate.DraftOptions{Flows: flows, Now: time.Unix(1_800_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range predicate.Lint(draft, nil) {
		if finding.Code == "R01" && len(draft) <= predicate.MaxStatementBytes {
			t.Errorf("the draft is not readable: %v\n%s", finding, draft)
		}
	}
}

func FuzzHAR(f *testing.F) {
	f.Add([]byte(har))
	f.Add([]byte(`{"log": {"entries": [{"request": {"url": "https://[::1]:99999/"}}, {"request": {"url": "https://A_b.example./"}}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) { draftable(t, data) })
}

func FuzzThreagile(f *testing.F) {
	f.Add([]byte(model))
	f.Add([]byte("technical_assets:\n  A: {id: a, communication_links: {'': {target: b, protocol: ''}}}\n  B: {id: b, internet: true}\n"))
	f.Fuzz(func(t *testing.T, data []byte) { draftable(t, data) })
}

func FuzzCycloneDX(f *testing.F) {
	f.Add([]byte(bom))
	f.Add([]byte(`{"bomFormat": "CycloneDX", "services": [{"name": "", "services": [{"name": "x", "endpoints": ["https://x"]}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) { draftable(t, data) })
}
