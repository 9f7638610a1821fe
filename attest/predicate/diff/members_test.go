package diff

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/predicate"
)

// asUnits are the structs that rules compare as a whole.
var asUnits = []reflect.Type{
	reflect.TypeFor[predicate.ResourceDescriptor](), reflect.TypeFor[predicate.StatementRef](),
}

// TestEveryMemberHasARule fails when a member is added to a statement type and
// nobody says what a change of it means.
func TestEveryMemberHasARule(t *testing.T) {
	all := allRules()
	seen := map[reflect.Type]bool{}
	var visit func(reflect.Type)
	visit = func(s reflect.Type) {
		for s.Kind() == reflect.Pointer || s.Kind() == reflect.Slice {
			s = s.Elem()
		}
		if s.Kind() != reflect.Struct || seen[s] || slices.Contains(asUnits, s) {
			return
		}
		seen[s] = true
		have := all[s]
		if have == nil {
			t.Errorf("%s has no rules", s)
		}
		for i := range s.NumField() {
			name, _, _ := strings.Cut(s.Field(i).Tag.Get("json"), ",")
			if _, ok := have[name]; !ok {
				t.Errorf("%s.%s has no rule", s.Name(), name)
			}
			delete(have, name)
			visit(s.Field(i).Type)
		}
		for name := range have {
			t.Errorf("%s has no member %s, and a rule for it", s.Name(), name)
		}
	}
	for _, s := range []reflect.Type{reflect.TypeFor[predicate.NoBackdoor](), reflect.TypeFor[predicate.DataFlows](),
		reflect.TypeFor[predicate.Undertakings]()} {
		visit(s)
	}
	for s := range all {
		if !seen[s] {
			t.Errorf("there are rules for %s, which no statement has", s)
		}
	}
}

// TestScalesHaveTheirRegistries: a value that is added to a registry needs its
// place in the order. Until then it counts as the worst.
func TestScalesHaveTheirRegistries(t *testing.T) {
	scales := 0
	for s, rules := range allRules() {
		for i := range s.NumField() {
			name, _, _ := strings.Cut(s.Field(i).Tag.Get("json"), ",")
			var registry string
			for option := range strings.SplitSeq(s.Field(i).Tag.Get("avow"), ",") {
				if value, ok := strings.CutPrefix(option, "enum="); ok {
					registry = value
				}
			}
			r := rules[name]
			if registry != "" && registry != "claim" && registry != "undertaking" && registry != "@scheme" && r.registry != registry {
				t.Errorf("%s.%s is of the registry %q, its rule has %q", s.Name(), name, registry, r.registry)
			}
			order, ok := strings.CutPrefix(r.says, "worse in the order ")
			if !ok {
				continue
			}
			scales++
			order, _, _ = strings.Cut(order, "; ")
			var have []string
			for value := range newScale(order).rank {
				have = append(have, value)
			}
			want := predicate.IDs(registry)
			slices.Sort(have)
			slices.Sort(want)
			if !slices.Equal(have, want) {
				t.Errorf("%s.%s: the order has %v, the registry %v", s.Name(), name, have, want)
			}
		}
	}
	if scales < 20 {
		t.Errorf("only %d orders were looked at", scales)
	}
}

// TestWhatIsAClosedList: every rule is about something in the list.
func TestWhatIsAClosedList(t *testing.T) {
	used := map[What]bool{WhatUnknown: true, subjectRule().what: true}
	for s, rules := range allRules() {
		for name, r := range rules {
			used[r.what] = true
			if r.what != "" && !slices.Contains(Whats(), r.what) {
				t.Errorf("%s.%s is about %q", s.Name(), name, r.what)
			}
		}
	}
	for _, what := range Whats() {
		if !used[what] {
			t.Errorf("no rule is about %s", what)
		}
	}
}

// fill sets every member of a value, lists to one element.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("a")
	case reflect.Int:
		v.SetInt(1)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"sha256": "a"}))
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes([]byte(`{"a":1}`))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	default:
		panic("no way to fill " + v.Type().String())
	}
}

// edits calls f after each edit of one member inside v, and takes it back.
func edits(v reflect.Value, path string, f func(path string)) {
	try := func(how string, changed reflect.Value) {
		before := reflect.New(v.Type()).Elem()
		before.Set(v)
		v.Set(changed)
		f(path + " " + how)
		v.Set(before)
	}
	if !v.IsZero() && v.Kind() != reflect.Struct {
		try("left out", reflect.Zero(v.Type()))
	}
	switch v.Kind() {
	case reflect.String:
		try("changed", reflect.ValueOf("b").Convert(v.Type()))
	case reflect.Int:
		try("changed", reflect.ValueOf(2))
	case reflect.Pointer:
		edits(v.Elem(), path, f)
	case reflect.Struct:
		for i := range v.NumField() {
			edits(v.Field(i), path+"."+v.Type().Field(i).Name, f)
		}
	case reflect.Map:
		try("changed", reflect.ValueOf(map[string]string{"sha256": "b"}))
		try("more", reflect.ValueOf(map[string]string{"sha256": "a", "gitCommit": "b"}))
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			try("changed", reflect.ValueOf(json.RawMessage(`{"a":2}`)))
			return
		}
		try("with one more", reflect.Append(v, other(v.Type().Elem())))
		edits(v.Index(0), path+"[0]", f)
	}
}

// other is an element that differs from a filled one in everything.
func other(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	fill(v)
	switch t.Kind() {
	case reflect.String:
		v.SetString("c")
	case reflect.Int:
		v.SetInt(3)
	default:
		for i := range v.NumField() {
			if v.Field(i).Kind() == reflect.String {
				v.Field(i).SetString("c")
			}
		}
	}
	return v
}

// TestEveryEditIsAChange edits each member of a statement that has all of them.
// It needs no table: a member that a rule does not look at is found here.
func TestEveryEditIsAChange(t *testing.T) {
	for _, pair := range filled() {
		old, now := pair[0], pair[1]
		if changes, err := compare(old, now); err != nil || len(changes) > 0 {
			t.Fatalf("equal statements: %v, %v", changes, err)
		}
		n := 0
		edits(predicateOf(now), now.Type, func(path string) {
			n++
			for _, order := range [][2]*predicate.Statement{{old, now}, {now, old}} {
				changes, err := compare(order[0], order[1])
				if err != nil || len(changes) == 0 {
					t.Errorf("%s: no change (%v)", path, err)
				}
			}
		})
		if n < 60 {
			t.Errorf("%s: only %d edits", now.Type, n)
		}
	}
}

// filled returns pairs of equal statements with all members.
func filled() [][2]*predicate.Statement {
	var pairs [][2]*predicate.Statement
	for _, name := range []string{predicate.NoBackdoorType, predicate.DataFlowsType, predicate.UndertakingsType} {
		var pair [2]*predicate.Statement
		for i := range pair {
			pair[i] = &predicate.Statement{Type: name}
			switch name {
			case predicate.NoBackdoorType:
				pair[i].NoBackdoor = new(predicate.NoBackdoor)
			case predicate.DataFlowsType:
				pair[i].DataFlows = new(predicate.DataFlows)
			default:
				pair[i].Undertakings = new(predicate.Undertakings)
			}
			fill(predicateOf(pair[i]))
		}
		pairs = append(pairs, pair)
	}
	return pairs
}

func predicateOf(st *predicate.Statement) reflect.Value {
	switch {
	case st.NoBackdoor != nil:
		return reflect.ValueOf(st.NoBackdoor).Elem()
	case st.DataFlows != nil:
		return reflect.ValueOf(st.DataFlows).Elem()
	}
	return reflect.ValueOf(st.Undertakings).Elem()
}

// TestEditsOfExamples leaves out and changes each value of the examples' JSON,
// and adds a member that no version knows to each object.
func TestEditsOfExamples(t *testing.T) {
	for _, name := range []string{"data-flows/grafana-data-flows", "data-flows/router-data-flows", "data-flows/W07-policy",
		"data-flows/not-before", "no-backdoor/router-no-backdoor", "no-backdoor/W07-documentation",
		"undertakings/router-undertakings"} {
		payload := vector(t, name)
		root := decodeJSON(t, payload)
		old := parse(t, payload)
		tried := 0
		check := func(path, want string) {
			st, err := predicate.Parse(encodeJSON(t, root), predicate.Consumption)
			if err != nil {
				return // refused, not compared
			}
			tried++
			report, err := Compare(old, st)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Changes) == 0 {
				t.Errorf("%s: %s: no change", name, path)
			}
			if want != "" && (len(report.Changes) != 1 || report.Changes[0].What != WhatUnknown ||
				report.Changes[0].Direction != Widening || report.Changes[0].Pointer != want) {
				t.Errorf("%s: %s: got %+v, want one unknown member at %s", name, path, report.Changes, want)
			}
		}
		editJSON(root["predicate"], "/predicate", check)
		if tried < 20 {
			t.Errorf("%s: only %d edits", name, tried)
		}
	}
}

// editJSON edits each value inside v, calls check and takes the edit back.
func editJSON(v any, path string, check func(path, unknown string)) {
	switch v := v.(type) {
	case map[string]any:
		if !strings.Contains(path, "/extensions") && !strings.Contains(path, "igest") {
			v["addedLater"] = map[string]any{"a": 1}
			check(path+" with a new member", path+"/addedLater")
			delete(v, "addedLater")
		}
		for name, inner := range v {
			at := path + "/" + name
			delete(v, name)
			if !emptyList(inner) || name == "sends" {
				check(at+" left out", "")
			}
			if s, ok := inner.(string); ok {
				v[name] = s + "x"
				check(at+" changed", "")
			}
			if n, ok := inner.(float64); ok {
				v[name] = n + 1
				check(at+" changed", "")
			}
			v[name] = inner
			editJSON(inner, at, check)
		}
	case []any:
		for i, inner := range v {
			editJSON(inner, fmt.Sprintf("%s/%d", path, i), check)
		}
	}
}

func emptyList(v any) bool {
	list, ok := v.([]any)
	return ok && len(list) == 0
}
