package predicate

import (
	"bytes"
	"encoding/json"
	"reflect"
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
		if strings.HasPrefix(rest, "log, ") {
			return "https://2026-1.log.example.com"
		}
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

// TestDraftLike: what is the same in all statements about a release is said
// once, and nothing of it is taken for another version or another vendor.
func TestDraftLike(t *testing.T) {
	o := draftOptions()
	o.DeclarantControlledFrom, o.Authority, o.Responsibility = "FR", "legalRepresentative", "soleResponsibility"
	data, err := NewDataFlowsDraft(o)
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
	like, err := Parse(filled, Issuance)
	if err != nil {
		t.Fatal(err)
	}
	same := DraftOptions{Now: o.Now, Like: like}
	c, err := same.common()
	if want := like.Common(); err != nil || !reflect.DeepEqual(c.Product, want.Product) || !reflect.DeepEqual(c.Declarant, want.Declarant) {
		t.Errorf("got %+v, want product and declarant of %+v", c, want)
	}
	if c.Declarant.Party.ControlledFrom != "FR" || c.Declarant.Authority != "legalRepresentative" ||
		c.Declarant.Responsibility != "soleResponsibility" {
		t.Errorf("got %+v", c.Declarant)
	}
	if got := same.scope(); !reflect.DeepEqual(got, like.DataFlows.Scope) {
		t.Errorf("got scope %+v, want %+v", got, like.DataFlows.Scope)
	}
	next := same
	next.ProductVersion = "1.3.0"
	if p := next.product(); p.Name != "Gateway" || p.Version != "1.3.0" || !strings.HasPrefix(p.Identifiers[0].Value, placeholderPrefix) {
		t.Errorf("another version: got %+v", p)
	}
	next.ProductPURL = "pkg:generic/gateway@1.3.0"
	if p := next.product(); len(p.Identifiers) != 1 || p.Identifiers[0].Value != next.ProductPURL {
		t.Errorf("another version with its package URL: got %+v", p)
	}
	other := same
	other.DeclarantName, other.ProductName = "Other GmbH", "Other"
	d, p := other.declarant(), other.product()
	if d.Party.ControlledFrom != "" || !strings.HasPrefix(d.Party.Country, placeholderPrefix) || !strings.HasPrefix(d.Authority, placeholderPrefix) {
		t.Errorf("another vendor: got %+v", d)
	}
	if !strings.HasPrefix(p.Version, placeholderPrefix) || !strings.HasPrefix(p.Identifiers[0].Value, placeholderPrefix) {
		t.Errorf("another product: got %+v", p)
	}
}

// TestDraftCheck: an option that no later answer can make right is found before
// the draft is made, and one that is left out is not.
func TestDraftCheck(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*DraftOptions)
		want   string // code and pointer below common; empty: nothing
	}{
		"complete":          {func(*DraftOptions) {}, ""},
		"nothing":           {func(o *DraftOptions) { *o = DraftOptions{Now: o.Now} }, ""},
		"country":           {func(o *DraftOptions) { o.DeclarantCountry = "de" }, "R06 /declarant/party/country"},
		"controlled from":   {func(o *DraftOptions) { o.DeclarantControlledFrom = "Germany" }, "R25 /declarant/party/controlledFrom"},
		"role":              {func(o *DraftOptions) { o.Role = "king" }, "R03 /declarant/role"},
		"authority":         {func(o *DraftOptions) { o.Authority = "mine" }, "R03 /declarant/authority"},
		"responsibility":    {func(o *DraftOptions) { o.Responsibility = "none" }, "R03 /declarant/responsibility"},
		"another version":   {func(o *DraftOptions) { o.ProductPURL = "pkg:generic/gateway@2" }, "R08 /product/identifiers/0/value"},
		"no version":        {func(o *DraftOptions) { o.ProductVersion, o.ProductPURL = "", "pkg:generic/g" }, "R08 /product/identifiers/0/value"},
		"only the purl":     {func(o *DraftOptions) { o.ProductVersion = "" }, ""},
		"no package URL":    {func(o *DraftOptions) { o.ProductPURL = "gateway@1.2.3" }, "R08 /product/identifiers/0/value"},
		"longest validity":  {func(o *DraftOptions) { o.ValidDays = 400 }, ""},
		"too long validity": {func(o *DraftOptions) { o.ValidDays = 401 }, "R05 /validity/notAfter"},
	} {
		o := draftOptions()
		o.Authority, o.Responsibility = "legalRepresentative", "soleResponsibility"
		c.change(&o)
		findings, err := o.Check(NoBackdoorType, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range findings {
			got += f.Code + " " + strings.TrimPrefix(f.Pointer, "/predicate/common")
		}
		if got != c.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, findings, c.want)
		}
	}
	long := draftOptions()
	long.ValidDays = 3653
	if findings, err := long.Check(UndertakingsType, nil); err != nil || len(findings) > 0 {
		t.Errorf("undertakings of 3653 days: %v, %v", findings, err)
	}
	if _, err := long.Check(WithdrawalType, nil); err == nil {
		t.Error("a withdrawal is drafted")
	}
	if _, err := (DraftOptions{}).Check(DataFlowsType, nil); err == nil {
		t.Error("no clock is accepted")
	}
}

// TestFlowsKnownInPart: what is known stays, what is missing becomes a place, and the caller's flow is not touched.
func TestFlowsKnownInPart(t *testing.T) {
	known := []Flow{{ID: "update", Purposes: []string{"updateCheck"}, Sends: []DataItem{{Category: "softwareInventory"}}, Receives: []DataItem{},
		Endpoints:  []Endpoint{{Kind: "host", Value: "a.example.com", TLS: &TLS{Requirement: "required"}}, {Kind: "localNetwork"}},
		Recipients: []Recipient{{Party: &Party{Name: "Example"}}, {Role: "customer"}}}}
	before, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	draft, err := NewDataFlowsDraft(DraftOptions{Now: time.Unix(1_800_000_000, 0), Flows: known, Scope: &Scope{Configuration: "hardened"},
		Completeness: &Completeness{Level: "partial", Methods: []string{"flowCapture"}}})
	if err != nil {
		t.Fatal(err)
	}
	if after, err := json.Marshal(known); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the flow was changed: %s", after)
	}
	for _, want := range []string{`"id": "update"`, `"category": "softwareInventory"`, `"personal": "FILL IN`, `"receives": []`, `"requirement": "required"`,
		`"verification": "FILL IN`, `"name": "Example"`, `"country": "FILL IN`, `"networkUse": "some"`, `"configuration": "hardened"`, `"level": "partial"`} {
		if !strings.Contains(string(draft), want) {
			t.Errorf("%s is missing in %s", want, draft)
		}
	}
	if strings.Count(string(draft), `"role": "customer"`) != 1 || !IsPlaceholder(PlaceholderOf("purpose", "x")) || !IsPlaceholder(Placeholder("x")) || IsPlaceholder("x") {
		t.Error("placeholders")
	}
}
