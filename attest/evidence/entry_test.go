package evidence_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/predicate"
)

func entry(document string) predicate.Evidence {
	return evidence.Entry("capabilities", evidence.KindCapabilities, "capabilities.json", "application/json", []byte(document))
}

// A finished statement stays one that issuance takes, with the entry in it, whichever way it had evidence before.
func TestInto(t *testing.T) {
	draft, err := os.ReadFile(filepath.Join("..", "testdata", "minimal-no-backdoor.json"))
	if err != nil {
		t.Fatal(err)
	}
	one, changed, err := evidence.Into(draft, entry("one"))
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	before, err := predicate.Parse(draft, predicate.Issuance)
	if err != nil {
		t.Fatal(err)
	}
	s, err := predicate.Parse(one, predicate.Issuance)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.NoBackdoor.Evidence); n != len(before.NoBackdoor.Evidence)+1 || s.NoBackdoor.Evidence[n-1].ID != "capabilities" {
		t.Errorf("%+v", s.NoBackdoor.Evidence)
	}
	again, changed, err := evidence.Into(one, entry("one"))
	if err != nil || changed || !bytes.Equal(again, one) {
		t.Errorf("twice: changed %v, %v", changed, err)
	}
	two, changed, err := evidence.Into(one, entry("two"))
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if s, err = predicate.Parse(two, predicate.Issuance); err != nil {
		t.Fatal(err)
	}
	if got := s.NoBackdoor.Evidence[len(s.NoBackdoor.Evidence)-1].ID; got != "capabilities-2" {
		t.Errorf("the id of another document is %q", got)
	}
}

func TestIntoKeepsTheRest(t *testing.T) {
	for draft, want := range map[string]string{
		`{"z":1,"predicate":{"y":"<&>","a":{"predicate":{"evidence":[]}}},"b":2}`: `{"z":1,"predicate":{"y":"<&>","a":{"predicate":{"evidence":[]}},"evidence":[E]},"b":2}`,
		`{"predicate":{}}`: `{"predicate":{"evidence":[E]}}`,
		`{"predicate":{"evidence":[],"x":"FILL IN"}}`:           `{"predicate":{"evidence":[E],"x":"FILL IN"}}`,
		`{"predicate":{"evidence":[{"id":"a","kind":"sbom"}]}}`: `{"predicate":{"evidence":[{"id":"a","kind":"sbom"},E]}}`,
	} {
		out, changed, err := evidence.Into([]byte(draft), entry("x"))
		if err != nil || !changed {
			t.Fatal(draft, changed, err)
		}
		e, err := json.Marshal(entry("x"))
		if err != nil {
			t.Fatal(err)
		}
		var flat bytes.Buffer
		if err := json.Compact(&flat, out); err != nil {
			t.Fatal(err)
		}
		if got := strings.Replace(flat.String(), string(e), "E", 1); got != want {
			t.Errorf("%s\nbecame %s\nwant   %s", draft, got, want)
		}
	}
}

func TestIntoRefuses(t *testing.T) {
	for draft, words := range map[string]string{
		`{`:                               "draft:",
		`[]`:                              "draft:",
		`{"x":1}`:                         "there is no predicate",
		`{"predicate":{"evidence":{}}}`:   "draft:",
		`{"predicate":1}`:                 "draft:",
		`{"predicate":{},"predicate":{}}`: "draft:",
	} {
		if _, _, err := evidence.Into([]byte(draft), entry("x")); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", draft, err)
		}
	}
}

// FuzzInto: a draft that is taken names the document afterwards, and once.
func FuzzInto(f *testing.F) {
	f.Add([]byte(`{"predicate":{"evidence":[{"id":"a","kind":"sbom"}]}}`))
	f.Add([]byte(`{"predicate":{}}`))
	f.Fuzz(func(t *testing.T, draft []byte) {
		out, changed, err := evidence.Into(draft, entry("x"))
		if err != nil {
			return
		}
		again, twice, err := evidence.Into(out, entry("x"))
		if len(out) < predicate.MaxStatementBytes/2 && (err != nil || twice || !bytes.Equal(again, out)) {
			t.Errorf("changed %v, then %v, %v: %s", changed, twice, err, out)
		}
	})
}
