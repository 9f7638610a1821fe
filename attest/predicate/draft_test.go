package predicate

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func draftOptions() DraftOptions {
	return DraftOptions{
		Subjects:    []Subject{{Name: "gateway.img", Digest: map[string]string{"sha256": strings.Repeat("ab", 32)}}},
		ProductName: "Gateway", ProductVersion: "1.2.3", ProductPURL: "pkg:generic/gateway@1.2.3",
		DeclarantName: "Example Devices GmbH", DeclarantCountry: "DE", Role: "manufacturer", SignatoryFunction: "Head of Product Security",
		Now: time.Date(2026, 11, 23, 10, 0, 0, 123, time.FixedZone("", 3600)), UUID: "00000000-0000-4000-8000-000000000001",
	}
}

func drafts() map[string]func(DraftOptions) ([]byte, error) {
	return map[string]func(DraftOptions) ([]byte, error){
		NoBackdoorType: NewNoBackdoorDraft, DataFlowsType: NewDataFlowsDraft, UndertakingsType: NewUndertakingsDraft,
	}
}

// TestDraftsAreRefused: every placeholder is a finding of its own, and nothing
// else is wrong with a draft.
func TestDraftsAreRefused(t *testing.T) {
	for predicateType, draft := range drafts() {
		for name, o := range map[string]DraftOptions{"full": draftOptions(), "empty": {Now: draftOptions().Now}} {
			data, err := draft(o)
			if err != nil {
				t.Fatal(err)
			}
			findings := Lint(data, nil)
			if want := strings.Count(string(data), `"`+placeholderPrefix); len(findings) != want {
				t.Errorf("%s %s: %d findings for %d placeholders: %v", predicateType, name, len(findings), want, findings)
			}
			for _, f := range findings {
				if f.Code != "R02" || !strings.HasPrefix(f.Found, placeholderPrefix) || f.Hint == "" {
					t.Errorf("%s %s: %v", predicateType, name, f)
				}
			}
		}
	}
}

// TestDraftsFilledIn: a draft whose placeholders were replaced passes.
func TestDraftsFilledIn(t *testing.T) {
	for predicateType, draft := range drafts() {
		data, err := draft(draftOptions())
		if err != nil {
			t.Fatal(err)
		}
		var statement any
		if err := json.Unmarshal(data, &statement); err != nil {
			t.Fatal(err)
		}
		filled, err := json.Marshal(fillIn(statement, "", ""))
		if err != nil {
			t.Fatal(err)
		}
		if errs := Lint(filled, nil).Errors(); len(errs) > 0 {
			t.Errorf("%s: %v\n%s", predicateType, errs, filled)
		}
		s, err := Parse(filled, Issuance)
		if err != nil {
			t.Fatal(err)
		}
		if s.Type != predicateType || s.Common().Validity.IssuedAt != "2026-11-23T09:00:00Z" || s.Common().Validity.NotAfter != "2027-11-23T09:00:00Z" ||
			s.Common().StatementID != "urn:uuid:00000000-0000-4000-8000-000000000001" {
			t.Errorf("%s: common %+v", predicateType, s.Common())
		}
	}
}

// fillIn replaces placeholders as a vendor would: the first value of a list of
// values, an answer of one's own for texts.
func fillIn(v any, member, parent string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = fillIn(e, k, member)
		}
		if _, ok := v["capabilities"]; ok { // a mechanism that contradicts no claim
			v["capabilities"], v["integrityCheck"], v["operator"] = []any{"readData"}, "signature", "user"
		}
		if v["answer"] == "asserted" && v["id"] == ClaimSource {
			v["evidence"] = []any{"rebuild"}
		}
		if claims, ok := v["claims"]; ok && claims != nil {
			v["evidence"] = []any{map[string]any{"id": "rebuild", "kind": "rebuild",
				"resource": map[string]any{"digest": map[string]any{"sha256": strings.Repeat("cd", 32)}}}}
		}
		return v
	case []any:
		for i := range v {
			v[i] = fillIn(v[i], member, parent)
		}
		return v
	case string:
		return fillText(v, member, parent)
	}
	return v
}

func fillText(s, member, parent string) string {
	rest, ok := strings.CutPrefix(s, placeholderPrefix+": ")
	if !ok {
		return s
	}
	if values, ok := strings.CutPrefix(rest, "one of "); ok {
		switch member {
		case "networkUse":
			return "some"
		case "kind":
			if parent == "retention" {
				return "none"
			}
		case "personal":
			return "pseudonymous"
		}
		value, _, _ := strings.Cut(values, ",")
		value, _, _ = strings.Cut(value, ";")
		return value
	}
	switch member {
	case "id", "flows":
		return "update-check"
	case "sha256":
		return strings.Repeat("ef", 32)
	case "country", "controlledFrom", "storage", "accessFrom":
		return "DE"
	case "until":
		return "2030-12-31T00:00:00Z"
	case "value":
		return "updates.example.com"
	}
	return "an answer"
}

func TestDraftOptions(t *testing.T) {
	for name, o := range map[string]DraftOptions{"no clock": {}, "negative validity": {Now: time.Unix(0, 0), ValidDays: -1}} {
		for _, draft := range drafts() {
			if _, err := draft(o); err == nil {
				t.Errorf("%s is accepted", name)
			}
		}
	}
	o := draftOptions()
	o.UUID, o.ValidDays = "", 10
	o.Evidence = []Evidence{{ID: "sbom", Kind: "sbom", Resource: &ResourceDescriptor{Digest: map[string]string{"sha256": strings.Repeat("12", 32)}}}}
	o.Related = []StatementRef{{PredicateType: DataFlowsType, Digest: map[string]string{"sha256": strings.Repeat("34", 32)}}}
	a, _ := NewNoBackdoorDraft(o)
	b, _ := NewNoBackdoorDraft(o)
	if string(a) == string(b) {
		t.Error("two drafts have one id")
	}
	for _, want := range []string{`"2026-12-03T09:00:00Z"`, strings.Repeat("12", 32), strings.Repeat("34", 32), BackdoorDefinition().SHA256} {
		if !strings.Contains(string(a), want) {
			t.Errorf("the draft has no %s", want)
		}
	}
	if problem := uuidProblem("urn:uuid:" + randomUUID()); problem != "" {
		t.Errorf("random UUID %s", problem)
	}
}
