package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/avow-dev/avow/attest/predicate"
)

// vectors returns the valid statements of the test vectors.
func vectors(t testing.TB) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../testdata/vectors/v1/*/valid/*.json")
	if err != nil || len(names) < 50 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	all := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

// messageOf is the type of a statement's predicate; nil where rules see none.
func messageOf(text string) *message {
	sc := theSchema()
	s, err := predicate.Parse([]byte(text), predicate.Consumption)
	if err != nil {
		return nil
	}
	return map[string]*message{predicate.DataFlowsType: sc.dataFlows, predicate.NoBackdoorType: sc.noBackdoor,
		predicate.UndertakingsType: sc.undertakings, predicate.StandingType: sc.standing, predicate.AssessmentType: sc.assessment}[s.Type]
}

// native is a value as encoding/json would give it.
func native(t testing.TB, v ref.Val) any {
	t.Helper()
	switch v := v.(type) {
	case *object:
		m := map[string]any{}
		for i, f := range v.msg.fields {
			if v.values[i] != nil {
				m[f.name] = native(t, v.values[i])
			}
		}
		return m
	case *list:
		l := []any{}
		for _, e := range v.values {
			l = append(l, native(t, e))
		}
		return l
	case types.String:
		return string(v)
	case types.Int:
		return float64(v)
	case types.Bool:
		return bool(v)
	}
	switch value := v.Value().(type) {
	case map[string]string:
		m := map[string]any{}
		for k, s := range value {
			m[k] = s
		}
		return m
	case map[ref.Val]ref.Val:
		m := map[string]any{}
		for k, e := range value {
			m[string(k.(types.String))] = native(t, e)
		}
		return m
	}
	t.Fatalf("a %T", v)
	return nil
}

// What rules read is what the JSON holds: nothing more, nothing less.
func TestDecodedStatementsAreTheJSON(t *testing.T) {
	seen := 0
	for name, text := range vectors(t) {
		m := messageOf(text)
		if m == nil {
			continue
		}
		seen++
		o, err := (&decoder{}).predicate(text, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var tree struct{ Predicate any }
		if err := json.Unmarshal([]byte(text), &tree); err != nil {
			t.Fatal(err)
		}
		if got := native(t, o); !reflect.DeepEqual(got, tree.Predicate) {
			t.Errorf("%s:\n%v\nwant\n%v", name, got, tree.Predicate)
		}
	}
	if seen < 40 {
		t.Errorf("%d statements compared", seen)
	}
}

// The schema has every member of the predicates' Go types, and no other.
func TestSchemaIsThatOfThePredicates(t *testing.T) {
	sc := theSchema()
	for m, typ := range map[*message]reflect.Type{
		sc.dataFlows: reflect.TypeFor[predicate.DataFlows](), sc.noBackdoor: reflect.TypeFor[predicate.NoBackdoor](),
		sc.undertakings: reflect.TypeFor[predicate.Undertakings](), sc.standing: reflect.TypeFor[predicate.Standing](),
		sc.assessment: reflect.TypeFor[predicate.Assessment](),
	} {
		sameMembers(t, m, typ)
	}
}

func sameMembers(t *testing.T, m *message, typ reflect.Type) {
	t.Helper()
	var names []string
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		inner := typ.Field(i).Type
		for inner.Kind() == reflect.Slice && inner != reflect.TypeFor[json.RawMessage]() || inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		j, ok := m.index[name]
		if !ok {
			t.Errorf("%s has no %s", m.name, name)
			continue
		}
		if inner.Kind() == reflect.Struct && m.fields[j].of == nil {
			t.Errorf("%s.%s is no message", m.name, name)
		} else if inner.Kind() == reflect.Struct {
			sameMembers(t, m.fields[j].of, inner)
		}
	}
	if len(names) != len(m.fields) {
		t.Errorf("%s has %d members, the predicate %d", m.name, len(m.fields), len(names))
	}
}

// A member of the wrong type makes the rules fail that read it, and no others.
func TestMistypedMembers(t *testing.T) {
	for text, want := range map[string]string{
		`{"flows": {}}`:                                "member flows is an object, want a list",
		`{"flows": [{"id": "a"}, 7]}`:                  "member Flow is a literal, want an object",
		`{"networkUse": 7}`:                            "member networkUse is a literal, want a string",
		`{"networkUse": ["none"]}`:                     "member networkUse is a list, want a string",
		`{"completeness": "complete"}`:                 "member Completeness is a string, want an object",
		`{"flows": [{"endpoints": [{"ports": "1"}]}]}`: "",
	} {
		o, err := (&decoder{}).predicate(`{"predicate": `+text+`}`, theSchema().dataFlows)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		found := ""
		for i := range o.values {
			if _, err := o.get(i); err != nil && !strings.Contains(err.Error(), "has no member") {
				found = err.Error()
			}
		}
		if want == "" && found != "" || !strings.Contains(found, want) {
			t.Errorf("%s: %q, want %q", text, found, want)
		}
	}
}

// The programs without CEL's accounting come to what those with it come to, over
// statements with every value that rules read left out or replaced.
func TestQuickProgramsAgree(t *testing.T) {
	p, err := Builtin(t.Context(), "strict", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var quick []*rule
	for _, r := range p.rules {
		if slices.ContainsFunc(r.programs(), func(p *program) bool { return p.quick != nil }) {
			quick = append(quick, r)
		}
	}
	if len(quick) < 17 {
		t.Fatalf("%d quick rules: the policies are not what this test is for", len(quick))
	}
	worked := []string{"minimal-data-flows.json", "grafana-data-flows.json", "router-no-backdoor.json", "customer-recipient.json"}
	compared := 0
	for name, text := range vectors(t) {
		if !slices.Contains(worked, filepath.Base(name)) {
			continue
		}
		l := lintOf(t, p, text)
		targets, err := l.targets()
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{text}
		for _, v := range targets[0].spans {
			if v.member {
				texts = append(texts, apply(text, change{v.cutStart, v.cutEnd, ""}))
			}
			if v.leaf {
				texts = append(texts, apply(text, change{v.start, v.end, `"anywhere"`}))
			}
		}
		for _, changed := range texts {
			all := l.texts.clone()
			targets[0].put(&all, changed)
			in, err := p.bind(l.facts, l.selected, all)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range quick {
				slow := *r
				slow.required, slow.elements = r.required.slow(), r.elements.slow()
				slow.single, slow.whole = r.single.slow(), r.whole.slow()
				got, want := r.judge(t.Context(), in), slow.judge(t.Context(), in)
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%s: %+v\nwith accounting %+v\n%s", name, got, want, changed)
				}
				compared++
			}
		}
	}
	if compared < 2000 {
		t.Errorf("%d judgements compared", compared)
	}
}

// slow is the program without its quick form.
func (p *program) slow() *program {
	if p == nil {
		return nil
	}
	return &program{checked: p.checked, exact: p.exact}
}

func lintOf(t testing.TB, p *Policy, text string) *linter {
	t.Helper()
	s, err := predicate.Parse([]byte(text), predicate.Consumption)
	if err != nil {
		t.Fatal(err)
	}
	f := p.UnverifiedFacts(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), s)
	selected, err := p.choose(f)
	if err != nil {
		t.Fatal(err)
	}
	return &linter{ctx: t.Context(), policy: p, facts: f, selected: selected, texts: selected.payloads(f.At), denied: map[string]bool{}}
}

// Which rules may run without CEL's accounting.
func TestCountable(t *testing.T) {
	for expression, want := range map[string]bool{
		"x.sends.all(d, d.personal == 'none')":                                      true,
		"x.sends.exists(d, d.personal in ['none']) || true":                         true,
		"x.recipients.all(r, outside(r.storage, PLACES))":                           true,
		"(x.sends + x.receives).all(d, d.personal == 'none')":                       true,
		"PLACES.all(p, p != '')":                                                    true,
		"[1, 2].all(i, i > 0)":                                                      true,
		"[1, 2].all(i, [3, 4].all(j, i < j))":                                       false,
		"[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17].all(i, i > 0)": false,
		"x.sends.filter(d, true).all(d, d.personal == 'none')":                      false,
		"x.sends.all(d, d.description.matches('a'))":                                false,
		"x.sends.all(d, d.description.contains('a'))":                               false,
		"x.sends.all(d, d.description + 'a' != '')":                                 false,
		"x.sends.map(d, d.personal) == []":                                          true,
		"region('EU').all(p, p != '')":                                              false,
		"x.endpoints.all(e, hostIn(e.value, PLACES))":                               false,
		"x.recipients.all(now, .now > timestamp('2000-01-01T00:00:00Z'))":           false,
	} {
		src := newSource("p", []byte("apiVersion: avow.dev/policy/v1\nmetadata: {name: p, version: '1', title: t}\nparameters: {PLACES: ['DE']}\n"+
			"rules:\n  - id: R\n    title: t\n    description: d\n    message: m\n    forEach: dataFlows.flows\n    expression: |\n      "+expression+"\n"))
		d := parseDocument(src, nil)
		env, err := theEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		if d.compile(env); len(d.errors) > 0 {
			t.Fatal(d.errors)
		}
		if got := d.rules[0].whole.quick != nil; got != want {
			t.Errorf("%s: %t, want %t", expression, got, want)
		}
	}
}

// Only what rules read is decoded, and a rule that takes a message as a whole
// reads all of it.
func TestReads(t *testing.T) {
	for name, c := range map[string]struct {
		expression string
		want       []string // members of a flow; nil is all
	}{
		"selected":  {"dataFlows.flows.all(f, f.necessity == 'core' && has(f.receives))", []string{"id", "necessity", "receives"}},
		"by id":     {"byId(dataFlows.flows, 'a').title != ''", []string{"id", "title"}},
		"size":      {"size(dataFlows.flows) > 0", []string{"id"}},
		"compared":  {"dataFlows.flows.exists(f, f == dataFlows.flows[0])", nil},
		"contained": {"dataFlows.flows[0] in dataFlows.flows", nil},
		"dynamic":   {"dyn(dataFlows).flows == []", nil},
	} {
		src := newSource("p", []byte("apiVersion: avow.dev/policy/v1\nmetadata: {name: p, version: '1', title: t}\n"+
			"rules:\n  - id: R\n    title: t\n    description: d\n    message: m\n    expression: |\n      "+c.expression+"\n"))
		d := parseDocument(src, nil)
		env, err := theEnvironment()
		if err != nil {
			t.Fatal(err)
		}
		if d.compile(env); len(d.errors) > 0 {
			t.Fatal(d.errors)
		}
		r := newReads()
		for _, p := range d.rules[0].programs() {
			r.add(p.checked)
		}
		flow := theSchema().byName["avow.predicate.v1.Flow"]
		var got []string
		if mask := r.mask(); mask != nil {
			for i, f := range flow.fields {
				if mask[flow.id][i] {
					got = append(got, f.name)
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A member can be cut out of an object, wherever it stands and however it is written.
func TestSpans(t *testing.T) {
	for _, text := range []string{
		`{"a":1,"b":[{"c":"x"},{"c":2,"d":3}],"e/f~g":{}}`,
		"{\n \"a\" : 1 ,\n \"b\" : [ {\"c\" : \"\\\"},{\"} , { \"c\":2,\"d\":3 } ]\n,\t\"e/f~g\" : { } }",
	} {
		spans, err := spansOf(text)
		if err != nil {
			t.Fatal(err)
		}
		var pointers []string
		for _, v := range spans {
			pointers = append(pointers, v.pointer)
			if !v.member {
				continue
			}
			var before, after any
			cut := apply(text, change{v.cutStart, v.cutEnd, ""})
			if err := json.Unmarshal([]byte(cut), &after); err != nil {
				t.Errorf("%s without %s: %s: %v", text, v.pointer, cut, err)
				continue
			}
			if err := json.Unmarshal([]byte(text), &before); err != nil {
				t.Fatal(err)
			}
			if removed(before, strings.Split(v.pointer, "/")[1:]); !reflect.DeepEqual(before, after) {
				t.Errorf("%s without %s: %s", text, v.pointer, cut)
			}
		}
		want := []string{"", "/a", "/b", "/b/0", "/b/0/c", "/b/1", "/b/1/c", "/b/1/d", "/e~1f~0g"}
		if !slices.Equal(pointers, want) {
			t.Errorf("%v, want %v", pointers, want)
		}
	}
}

func removed(tree any, tokens []string) {
	for i, token := range tokens {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch v := tree.(type) {
		case map[string]any:
			if i == len(tokens)-1 {
				delete(v, token)
			}
			tree = v[token]
		case []any:
			tree = v[token[0]-'0']
		}
	}
}
