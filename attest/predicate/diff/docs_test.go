package diff

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

const docsFile = "../../../docs/diff.md"

// TestDocs keeps the table of the documentation in step with the rules: go test
// -run TestDocs -update writes it.
func TestDocs(t *testing.T) {
	text := string(readFile(t, docsFile))
	const begin, end = "<!-- begin rules -->\n", "<!-- end rules -->"
	before, rest, ok1 := strings.Cut(text, begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no part rules", docsFile)
	}
	want := "\n" + docsRules() + "\n"
	switch {
	case old == want:
	case *update:
		if err := os.WriteFile(docsFile, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is out of step: go test ./attest/predicate/diff -run TestDocs -update", docsFile)
	}
}

// named are the members by which elements are matched. They never change: another
// one is another element.
var named = map[string]bool{"Flow.id": true, "Claim.id": true, "Mechanism.id": true, "Undertaking.id": true, "Evidence.id": true,
	"Identifier.scheme": true, "Identifier.value": true, "Endpoint.kind": true, "Endpoint.value": true, "Endpoint.setting": true,
	"DataItem.category": true, "Exclusion.kind": true}

// says puts an order into a code span.
func says(r rule) string {
	text := strings.ReplaceAll(r.says, "|", `\|`)
	order, ok := strings.CutPrefix(text, "worse in the order ")
	if !ok {
		return text
	}
	order, absent, more := strings.Cut(order, "; ")
	if order = "`" + order + "`"; more {
		order += "; " + absent
	}
	return order
}

// docsRules writes the rules in the order in which the types lead to them.
func docsRules() string {
	var b strings.Builder
	b.WriteString("| Member | About | Widening when |\n|---|---|---|\n")
	all := allRules()
	done := map[reflect.Type]bool{}
	var visit func(s reflect.Type, around What)
	visit = func(s reflect.Type, around What) {
		for s.Kind() == reflect.Pointer || s.Kind() == reflect.Slice {
			s = s.Elem()
		}
		if all[s] == nil || done[s] {
			return
		}
		done[s] = true
		for i, name := range memberNames(s) {
			r := all[s][name]
			what := What(or(string(r.what), string(around)))
			if s == reflect.TypeFor[predicate.Party]() && r.what == "" {
				what = "as around it"
			}
			if r.says != "" && !strings.HasPrefix(r.says, "never") && !named[s.Name()+"."+name] {
				fmt.Fprintf(&b, "| %s `%s` | %s | %s |\n", s.Name(), name, what, says(r))
			}
			visit(s.Field(i).Type, what)
		}
	}
	for _, s := range []reflect.Type{reflect.TypeFor[predicate.DataFlows](), reflect.TypeFor[predicate.NoBackdoor](),
		reflect.TypeFor[predicate.Undertakings]()} {
		visit(s, "")
	}
	return b.String()
}
