package predicate

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
)

// said returns a life-cycle example whose target, and thread if it is given, are others.
func said(t *testing.T, example string, target, thread *Statement, change func(p map[string]any)) *Statement {
	t.Helper()
	data := readVector(t, "v1/"+example)
	var whole map[string]any
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&whole); err != nil {
		t.Fatal(err)
	}
	ref := func(s *Statement) map[string]any {
		return map[string]any{"digest": map[string]any{"sha256": s.ID()[len("sha256:"):]}, "predicateType": s.Type}
	}
	p := whole["predicate"].(map[string]any)
	p["target"], whole["subject"] = ref(target), target.Subjects
	if thread != nil {
		p["thread"] = ref(thread)
	}
	if change != nil {
		change(p)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(text, Issuance)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRelatedTarget is R40 as far as it needs no signer: what may be said about what, and which threads go on.
func TestRelatedTarget(t *testing.T) {
	const withdrawal, dispute, assessment = "withdrawal/valid/minimal-withdrawal.json", "dispute/valid/minimal-dispute.json",
		"assessment/valid/minimal-assessment.json"
	flows := mustParse(t, "v1/data-flows/valid/minimal-data-flows.json")
	event := func(name string) func(map[string]any) { return func(p map[string]any) { p["event"] = name } }
	whole := func(p map[string]any) {
		delete(p, "items")
		p["findings"].([]any)[0].(map[string]any)["item"] = "completeness"
	}
	taken := said(t, withdrawal, flows, nil, nil)
	opened := said(t, dispute, flows, nil, nil)
	answered := said(t, dispute, flows, opened, event("answered"))
	assessed := said(t, assessment, flows, nil, whole)
	elsewhere := said(t, dispute, taken, nil, nil)
	standing := said(t, "standing/valid/minimal-standing.json", flows, nil, nil)
	all := []*Statement{flows, taken, opened, answered, assessed, elsewhere, standing}
	for name, c := range map[string]struct {
		statement *Statement
		at        []string
	}{
		"withdrawal":                  {taken, nil},
		"withdrawal of a dispute":     {said(t, withdrawal, opened, nil, nil), nil},
		"withdrawal of an assessment": {said(t, withdrawal, assessed, nil, nil), nil},
		"withdrawal of a withdrawal":  {said(t, withdrawal, taken, nil, nil), []string{"R40 /predicate/target"}},
		"withdrawal of a standing":    {said(t, withdrawal, standing, nil, nil), []string{"R40 /predicate/target"}},
		"dispute":                     {opened, nil},
		"dispute of a withdrawal":     {elsewhere, nil},
		"dispute of a dispute":        {said(t, dispute, opened, nil, nil), []string{"R40 /predicate/target"}},
		"dispute of a standing":       {said(t, dispute, standing, nil, nil), []string{"R40 /predicate/target"}},
		"answer":                      {answered, nil},
		"answer to an answer":         {said(t, dispute, flows, answered, event("answered")), []string{"R40 /predicate/thread"}},
		"answer to a withdrawal":      {said(t, dispute, flows, taken, event("answered")), []string{"R40 /predicate/thread"}},
		"answer elsewhere":            {said(t, dispute, flows, elsewhere, event("answered")), []string{"R40 /predicate/thread"}},
		"opened in a thread":          {said(t, dispute, flows, opened, nil), []string{"R40 /predicate/thread"}},
		"assessment":                  {assessed, nil},
		"assessment of a withdrawal":  {said(t, assessment, taken, nil, whole), []string{"R40 /predicate/target"}},
	} {
		if got := placesOf(c.statement.CheckRelated(all)); !slices.Equal(got, c.at) {
			t.Errorf("%s: got %v, want %v", name, got, c.at)
		}
	}
	if got := placesOf(answered.CheckRelated([]*Statement{flows})); !slices.Equal(got, []string{"R40 /predicate/thread"}) {
		t.Errorf("a thread that is not at hand: got %v", got)
	}
}

func placesOf(findings Findings) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Code+" "+f.Pointer)
	}
	return list
}
