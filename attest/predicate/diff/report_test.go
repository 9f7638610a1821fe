package diff

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

var update = flag.Bool("update", false, "write the expected files")

// TestNextVersion compares an example with its next version, as a person would
// read it.
func TestNextVersion(t *testing.T) {
	for name, old := range map[string]string{
		"data-flows-1.3.0": gateway, "no-backdoor-1.3.0": firmware, "undertakings-later": promises,
	} {
		next := readFile(t, filepath.Join("testdata", name+".json"))
		if f := predicate.Lint(next, nil).Errors(); len(f) > 0 {
			t.Fatalf("%s: %v", name, f)
		}
		report := compareBytes(t, vector(t, old), next)
		var b strings.Builder
		for _, c := range report.Changes {
			fmt.Fprintf(&b, "%-9s %-8s %s [%s] %s\n    %q -> %q\n    %s\n", c.Direction, c.Kind, c.What,
				strings.Trim(c.Item+", "+c.Part, ", "), c.Pointer, c.Old, c.New, c.Why)
		}
		file := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if want := string(readFile(t, file)); b.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, b.String(), want)
		}
	}
}

func TestReport(t *testing.T) {
	old, next := parse(t, vector(t, gateway)), parse(t, readFile(t, "testdata/data-flows-1.3.0.json"))
	report, err := Compare(old, next)
	if err != nil {
		t.Fatal(err)
	}
	if report.Type != predicate.DataFlowsType || report.Old != (Release{old.ID(), "Example Gateway", "1.2.3"}) ||
		report.New != (Release{next.ID(), "Example Gateway", "1.3.0"}) {
		t.Errorf("got %s, %+v, %+v", report.Type, report.Old, report.New)
	}
	if got := report.WidenedItems(); !slices.Equal(got, []string{"update", "crash-reports"}) {
		t.Errorf("widened: %v", got)
	}
	if w, n, z := report.Count(Widening), report.Count(Narrowing), report.Count(Neutral); w != len(report.Widening()) ||
		w+n+z != len(report.Changes) || w == 0 || n == 0 || z == 0 {
		t.Errorf("%d, %d, %d of %d", w, n, z, len(report.Changes))
	}
	data, err := json.Marshal(report)
	if err != nil || !strings.Contains(string(data), `"direction":"widening"`) || !strings.Contains(string(data), `"kind":"added"`) {
		t.Errorf("%s, %v", data, err)
	}
}

// TestTheZeroChangeWidens: who forgets to classify gets the worst.
func TestTheZeroChangeWidens(t *testing.T) {
	r := &Report{Changes: []Change{{Pointer: "/predicate/x"}, {Direction: 99, Item: "f"}, {Direction: Neutral, Item: "g"},
		{Direction: Narrowing, Item: "h"}, {Item: "f"}}}
	if got := r.WidenedItems(); !slices.Equal(got, []string{"/predicate/x", "f"}) {
		t.Errorf("got %v", got)
	}
	if Direction(0) != Widening || Direction(99).String() != "widening" {
		t.Error("the zero Direction, or an unknown one, does not widen")
	}
}

func TestWhatCannotBeCompared(t *testing.T) {
	flows, claims := parse(t, vector(t, gateway)), parse(t, vector(t, firmware))
	withdrawal := parse(t, vector(t, "withdrawal/minimal-withdrawal"))
	for name, pair := range map[string][2]*predicate.Statement{
		"two types":         {flows, claims},
		"another type":      {withdrawal, withdrawal},
		"no predicate":      {{Type: predicate.DataFlowsType}, {Type: predicate.DataFlowsType}},
		"the wrong one":     {flows, {Type: predicate.DataFlowsType, NoBackdoor: claims.NoBackdoor}},
		"no statement":      {flows, nil},
		"no old statement":  {nil, flows},
		"no type":           {{DataFlows: flows.DataFlows}, flows},
		"neither statement": {nil, nil},
	} {
		report, err := Compare(pair[0], pair[1])
		if err == nil || report != nil {
			t.Errorf("%s: got %v, %v", name, report, err)
			continue
		}
		if pair[0] != nil && pair[1] != nil && (!strings.Contains(err.Error(), pair[0].ID()) || !strings.Contains(err.Error(), pair[1].Type)) {
			t.Errorf("%s: %v names neither id nor type", name, err)
		}
		if c := Contradictions(pair[0], pair[1]); c != nil {
			t.Errorf("%s: contradictions %v", name, c)
		}
	}
}

// TestLongValuesAreCut: a report of a hostile statement stays small.
func TestLongValuesAreCut(t *testing.T) {
	base := vector(t, gateway)
	long := edited(t, base, edit{flow + "/title", `"` + strings.Repeat("ü", 2000) + `"`})
	c := compareBytes(t, base, long).Changes[0]
	if len(c.New) != maxValueBytes+len("…") || !strings.HasSuffix(c.New, "ü…") {
		t.Errorf("%d bytes, end %q", len(c.New), c.New[len(c.New)-6:])
	}
}

func TestContradictions(t *testing.T) {
	base := vector(t, gateway)
	for name, c := range map[string]struct {
		edits []edit
		want  []string
	}{
		"what a statement has of its own": {[]edit{
			{"/common/statementId", `"urn:uuid:00000000-0000-4000-8000-000000000099"`},
			{"/common/validity", `{"issuedAt":"2026-09-02T09:00:00Z","notBefore":"2026-09-03T09:00:00Z","notAfter":"2027-01-01T00:00:00Z"}`},
			{"/common/supersedes", `[{"predicateType":"a","digest":{"sha256":"` + digest1 + `"}}]`},
			{"/common/related", `[{"predicateType":"a","digest":{"sha256":"` + digest1 + `"}}]`},
			{"/common/humanReadable", `[{"name":"a","digest":{"sha256":"` + digest1 + `"}}]`},
			{"/common/declarant/signatoryFunction", `"CEO"`}, {"/common/declarant/signatoryName", `"A"`},
			{"/common/declarant/authority", `"legalRepresentative"`},
			{"/evidence", `[]`}, {flow + "/evidence", ``}, {"/extensions", `{"a":1}`},
			{flow + "/title", `"a"`}, {flow + "/purposeText", `"a"`}, {flow + "/component", `"a"`},
			{flow + "/sends/0/description", `"a"`}, {switchW + "/control/effect", `"a"`}, {"/scope/description", `"a"`},
			{party + "/policy", `{"uri":"a"}`}, {party + "/party/uri", `"a"`}, {party + "/party/contact", `"a"`},
		}, nil},
		"a value":           {[]edit{{switchW + "/consent", `"none"`}}, []string{"/predicate/flows/0/activation/consent"}},
		"as good":           {[]edit{{switchW + "/control/by", `"user"`}}, []string{"/predicate/flows/0/activation/control/by"}},
		"a flow":            {[]edit{{"/flows/-", string(flowNamed(t, "other"))}}, []string{"/predicate/flows/1"}},
		"a place":           {[]edit{{party + "/storage/-", `"US"`}}, []string{"/predicate/flows/0/recipients/0/storage/1"}},
		"the product":       {[]edit{{"/common/product/version", `"9"`}}, []string{"/predicate/common/product/version"}},
		"the declarant":     {[]edit{{"/common/declarant/party/name", `"B"`}}, []string{"/predicate/common/declarant/party/name"}},
		"the completeness":  {[]edit{{"/completeness/level", `"partial"`}}, []string{"/predicate/completeness/level"}},
		"an unknown member": {[]edit{{flow + "/addedLater", `1`}}, []string{"/predicate/flows/0/addedLater"}},
	} {
		a, b := parse(t, base), parse(t, edited(t, base, c.edits...))
		for _, pair := range [][2]*predicate.Statement{{a, b}, {b, a}} {
			changes := Contradictions(pair[0], pair[1])
			var got []string
			for _, g := range changes {
				got = append(got, g.Pointer)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: got %v, want %v", name, got, c.want)
			}
		}
		if len(c.want) == 0 {
			if report, err := Compare(a, b); err != nil || len(report.Changes) < len(c.edits) {
				t.Errorf("%s: only %d changes for %d edits (%v)", name, len(report.Changes), len(c.edits), err)
			}
		}
	}
	// What is left out and reads as the same is the same.
	absent := edited(t, base, edit{party + "/party/controlledFrom", ""}, edit{party + "/onward", ""}, edit{party + "/retention", ""},
		edit{"/evidence/0/independence", ""})
	written := edited(t, base, edit{party + "/party/controlledFrom", `"anywhere"`}, edit{party + "/onward", `"unspecified"`},
		edit{party + "/retention", `{"kind":"unspecified"}`})
	if got := Contradictions(parse(t, absent), parse(t, written)); len(got) > 0 {
		t.Errorf("the same in other words: %+v", got)
	}
	if got := compareBytes(t, absent, written).Changes; len(got) != 4 {
		t.Errorf("the same in other words is listed: %+v", got)
	}
	// The files may be a part of each other's.
	two := decodeJSON(t, base)
	two["subject"] = append(two["subject"].([]any), map[string]any{"name": "b", "digest": map[string]any{"sha256": digest1}})
	if got := Contradictions(parse(t, base), parse(t, encodeJSON(t, two))); len(got) > 0 {
		t.Errorf("another subject: %+v", got)
	}
}
