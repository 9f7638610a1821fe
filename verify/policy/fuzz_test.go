package policy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// FuzzLoad: what loads has a rule, one digest, and judges every rule; what does
// not is refused with a code of the list and a place in the file.
func FuzzLoad(f *testing.F) {
	for _, name := range Names() {
		text, _ := Text(name)
		f.Add(text)
	}
	for _, name := range []string{"gateway.yaml", "gateway.cases.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata/example", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	statement, err := os.ReadFile("../../testdata/vectors/v1/data-flows/valid/minimal-data-flows.json")
	if err != nil {
		f.Fatal(err)
	}
	s, err := predicate.Parse(statement, predicate.Consumption)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		files := fstest.MapFS{"policy.yaml": {Data: text}}
		p, err := Load(t.Context(), "policy.yaml", files, Options{})
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 || len(all) > maxProblems {
				t.Fatalf("%T: %v", err, err)
			}
			for _, e := range all {
				if !slices.Contains(Codes(), e.Code) || e.Message == "" || e.Line < 0 || e.Column < 0 || e.Line > len(text)+2 {
					t.Fatalf("%+v", e)
				}
			}
			return
		}
		again, err := Load(t.Context(), "policy.yaml", files, Options{})
		if err != nil || again.Digest() != p.Digest() || p.Digest() == [32]byte{} {
			t.Fatalf("%v, %x and %x", err, again.Digest(), p.Digest())
		}
		if len(p.Rules()) == 0 {
			t.Fatal("loaded without a rule")
		}
		result, err := p.Judge(t.Context(), p.UnverifiedFacts(time.Unix(1795435200, 0), s))
		if err != nil || len(result.Rules) != len(p.Rules()) {
			t.Fatalf("%v, %+v", err, result)
		}
	})
}

// FuzzJudge: whatever a statement holds, every rule is judged, and none passes
// that needs what is not there.
func FuzzJudge(f *testing.F) {
	p, err := Builtin(f.Context(), "strict", Options{})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range vectors(f) {
		if len(text) < 16_000 {
			f.Add(text)
		}
	}
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		facts := verify.Facts{At: at}
		if s, err := predicate.Parse([]byte(text), predicate.Consumption); err == nil {
			facts = p.UnverifiedFacts(at, s)
		}
		result, err := p.Judge(t.Context(), facts)
		if err != nil || len(result.Rules) != len(p.Rules()) {
			t.Fatalf("%v, %+v", err, result)
		}
		// One statement never meets all rules: they need several.
		if len(result.Denials()) == 0 {
			t.Fatal("a single statement is accepted")
		}
		if predicate.StrictJSON([]byte(text), predicate.StatementJSONLimits()) != nil {
			return
		}
		// The same text as every statement, whatever it is.
		all := payloads{at: at, standing: text, assessments: []string{text}, approved: map[string]string{},
			declarations: map[string]string{predicate.DataFlowsType: text, predicate.NoBackdoorType: text, predicate.UndertakingsType: text}}
		in, err := p.bind(facts, &selection{}, all)
		if err != nil {
			if !errors.Is(err, errNotJSON) {
				t.Fatal(err)
			}
			return // there is no predicate that is an object
		}
		if result, err = p.judge(t.Context(), in); err != nil || len(result.Rules) != len(p.Rules()) {
			t.Fatalf("%v, %+v", err, result)
		}
	})
}

// FuzzDecode: strict JSON is read as encoding/json reads it, and its members lie
// where spansOf says.
func FuzzDecode(f *testing.F) {
	for _, text := range vectors(f) {
		f.Add(text)
	}
	f.Add(`{"a":[1,true,"\"\\",{"b":{}}],"c\n":"é😀"}`)
	f.Fuzz(func(t *testing.T, text string) {
		limits := predicate.StatementJSONLimits()
		limits.MaxBytes = 16 << 10
		if predicate.StrictJSON([]byte(text), limits) != nil {
			_, _ = (&decoder{text: text}).free() // must end
			_, _ = spansOf(text)
			return
		}
		v, err := (&decoder{text: text}).free()
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if got := native(t, v); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		spans, err := spansOf(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range spans {
			var value any
			if err := json.Unmarshal([]byte(text[s.start:s.end]), &value); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
			if s.member && !json.Valid([]byte(apply(text, change{s.cutStart, s.cutEnd, ""}))) {
				t.Fatalf("%+v cannot be cut out", s)
			}
		}
	})
}

// FuzzCases: a file of cases is read, or refused with a code of the list.
func FuzzCases(f *testing.F) {
	text, err := os.ReadFile("testdata/example/gateway.cases.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newSource("cases.yaml", text)
		for _, c := range s.cases() {
			if len(s.errors) == 0 && (c.name == "" || c.at.IsZero() && c.expect == "") {
				t.Fatalf("%+v", c)
			}
		}
		for _, e := range s.errors {
			if !slices.Contains(Codes(), e.Code) {
				t.Fatalf("%+v", e)
			}
		}
	})
}

// FuzzParameter: what a parameter takes, it gives back, and takes again.
func FuzzParameter(f *testing.F) {
	for _, text := range []string{"DE, FR", `["Acme, Inc.", "b"]`, "[]", "90d", "36h", "3", "x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, typ := range []ParameterType{ParameterList, ParameterString, ParameterInt, ParameterDuration} {
			p := &parameter{Parameter: Parameter{Name: "P", Type: typ}}
			if p.parse(text) != nil {
				continue
			}
			again := &parameter{Parameter: Parameter{Name: "P", Type: typ}}
			if err := again.parse(p.Value); err != nil || again.Value != p.Value {
				t.Fatalf("%s %q: %v, %q then %q", typ, text, err, p.Value, again.Value)
			}
		}
	})
}
