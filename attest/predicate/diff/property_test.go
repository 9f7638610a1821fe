package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/attest/predicate"
)

// unordered are the reasons for which a change widens in both directions: the
// two values cannot be compared, so each counts as worse than the other.
var unordered = []string{"another ", "read both", "neither better nor worse", "not a known value", "does not lie in",
	"the word may mean", "does not know", "cannot be ordered", "no time any more"}

// checkPair checks what holds for any two statements of one type.
func checkPair(t interface{ Fatalf(string, ...any) }, a, b *predicate.Statement) {
	for _, same := range []*predicate.Statement{a, b} {
		if r, err := Compare(same, same); err != nil || len(r.Changes) > 0 {
			t.Fatalf("a statement differs from itself: %+v, %v", r, err)
		}
	}
	there, err1 := Compare(a, b)
	back, err2 := Compare(b, a)
	if err1 != nil || err2 != nil {
		t.Fatalf("%v, %v", err1, err2)
	}
	if len(there.Changes) != len(back.Changes) {
		t.Fatalf("%d changes there, %d back", len(there.Changes), len(back.Changes))
	}
	if (len(there.WidenedItems()) > 0) != (there.Count(Widening) > 0) {
		t.Fatalf("widened items %v of %d changes", there.WidenedItems(), there.Count(Widening))
	}
	mirrored := map[string][]Change{}
	for _, c := range back.Changes {
		mirrored[key(c, true)] = append(mirrored[key(c, true)], c)
	}
	for _, c := range there.Changes {
		if !slices.Contains(Whats(), c.What) || c.Why == "" || !strings.HasPrefix(c.Pointer, "/") || c.Old == c.New && len(c.Old) < maxValueBytes {
			t.Fatalf("not a change: %+v", c)
		}
		if strings.ContainsFunc(c.Why, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("foreign text in the reason: %+v", c)
		}
		list := mirrored[key(c, false)]
		if len(list) == 0 {
			t.Fatalf("%+v has no counterpart in %+v", c, back.Changes)
		}
		m := list[0]
		mirrored[key(c, false)] = list[1:]
		if c.Direction == Narrowing && m.Direction == Narrowing {
			t.Fatalf("better in both directions: %+v, %+v", c, m)
		}
		if c.Direction == Widening && m.Direction == Widening && !slices.ContainsFunc(unordered, func(s string) bool {
			return strings.Contains(c.Why, s) || strings.Contains(m.Why, s)
		}) {
			t.Fatalf("worse in both directions without a reason: %+v, %+v", c, m)
		}
		if c.aside != m.aside {
			t.Fatalf("a contradiction in one direction only: %+v, %+v", c, m)
		}
	}
}

// key names a change by what both directions share.
func key(c Change, back bool) string {
	kind, old, now := c.Kind, c.Old, c.New
	if back {
		old, now = now, old
		switch kind {
		case Added:
			kind = Removed
		case Removed:
			kind = Added
		}
	}
	return fmt.Sprint(c.What, "|", c.Item, "|", kind, "|", old, "|", now)
}

// mutate changes, adds or leaves out a few values somewhere in a JSON value.
func mutate(t *rapid.T, v any, path string) any {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			return v
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(v))).Draw(t, path)
		if rapid.IntRange(0, 9).Draw(t, "leave out") == 0 {
			delete(v, name)
			return v
		}
		v[name] = mutate(t, v[name], path+"/"+name)
		return v
	case []any:
		if len(v) == 0 {
			return v
		}
		i := rapid.IntRange(0, len(v)-1).Draw(t, path)
		switch rapid.IntRange(0, 9).Draw(t, "list") {
		case 0:
			return slices.Delete(slices.Clone(v), i, i+1)
		case 1:
			return append(slices.Clone(v), mutate(t, deepCopy(v[i]), path+"/-"))
		case 2:
			return append([]any{v[i]}, slices.Delete(slices.Clone(v), i, i+1)...)
		}
		v[i] = mutate(t, v[i], fmt.Sprintf("%s/%d", path, i))
		return v
	case string:
		return rapid.SampledFrom(standIns(v)).Draw(t, path)
	case float64:
		return float64(rapid.IntRange(0, 100_000).Draw(t, path))
	}
	return v
}

// standIns are the values that may stand in the place of a string: those of every
// registry that has it, places, hosts, and something that nobody knows.
func standIns(value string) []string {
	all := []string{value, value + "x", "DE", "EU", "EEA", "NO", "US", "anywhere", "example.com", "a.example.com", "192.0.2.0/24",
		"192.0.2.0/28", "2027-09-01T09:00:00Z"}
	for _, r := range predicate.Registries() {
		if ids := predicate.IDs(r.Name); slices.Contains(ids, value) {
			all = append(all, ids...)
		}
	}
	return all
}

func deepCopy(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var c any
	if err := json.Unmarshal(data, &c); err != nil {
		panic(err)
	}
	return c
}

// TestProperties compares pairs of statements that were each made from an
// example by a few changes.
func TestProperties(t *testing.T) {
	bases := map[string]any{}
	for _, name := range []string{gateway, firmware, promises, "data-flows/grafana-data-flows", "data-flows/router-data-flows",
		"no-backdoor/router-no-backdoor", "data-flows/jurisdictions"} {
		bases[name] = decodeAny(t, vector(t, name))
	}
	compared := 0
	rapid.Check(t, func(rt *rapid.T) {
		base := bases[rapid.SampledFrom(slices.Sorted(maps.Keys(bases))).Draw(rt, "example")]
		var pair [2]*predicate.Statement
		for i := range pair {
			root := deepCopy(base).(map[string]any)
			for range rapid.IntRange(0, 4).Draw(rt, "mutations") {
				root["predicate"] = mutate(rt, root["predicate"], "")
			}
			data, err := json.Marshal(root)
			if err != nil {
				rt.Fatal(err)
			}
			if pair[i], err = predicate.Parse(data, predicate.Consumption); err != nil {
				rt.Skip("does not parse")
			}
		}
		compared++
		checkPair(rt, pair[0], pair[1])
	})
	least := 50
	if testing.Short() { // rapid then makes a fifth of its checks
		least /= 5
	}
	if compared < least {
		t.Errorf("only %d pairs were compared", compared)
	}
}

// FuzzCompare: what holds for any two statements holds for any two payloads
// that parse, in every order.
func FuzzCompare(f *testing.F) {
	names := slices.Sorted(maps.Keys(examples(f)))
	for i, name := range names {
		f.Add(vector(f, name), vector(f, names[(i+1)%len(names)]))
	}
	f.Add(vector(f, gateway), readFile(f, "testdata/data-flows-1.3.0.json"))
	f.Add(vector(f, firmware), readFile(f, "testdata/no-backdoor-1.3.0.json"))
	f.Fuzz(func(t *testing.T, old, next []byte) {
		a, err := predicate.Parse(old, predicate.Consumption)
		if err != nil {
			return
		}
		b, err := predicate.Parse(next, predicate.Consumption)
		if err != nil {
			return
		}
		if _, err := Compare(a, b); err != nil {
			if a.Type == b.Type && a.Common() != nil {
				t.Fatalf("two statements of one type: %v", err)
			}
			return
		}
		checkPair(t, a, b)
		for _, c := range Contradictions(a, b) {
			if c.aside {
				t.Fatalf("not left out: %+v", c)
			}
		}
	})
}

// widest is the largest statement that fits: 256 flows with the members of the
// example, each in another version.
func widest(b *testing.B, personal string) *predicate.Statement {
	b.Helper()
	root := decodeJSON(b, vector(b, gateway))
	p := root["predicate"].(map[string]any)
	var flows []any
	for i := range predicate.MaxFlows {
		f := deepCopy(p["flows"].([]any)[0]).(map[string]any)
		f["id"] = fmt.Sprintf("f%d", i)
		f["sends"].([]any)[0].(map[string]any)["personal"] = personal
		delete(f, "receives")
		delete(f, "evidence")
		f["sends"] = f["sends"].([]any)[:1]
		flows = append(flows, f)
	}
	p["flows"] = flows
	return parse(b, encodeJSON(b, root))
}

// BenchmarkCompare compares two statements of 256 flows each.
func BenchmarkCompare(b *testing.B) {
	old, next := widest(b, "none"), widest(b, "personal")
	b.ReportMetric(float64(len(old.Payload()))/1024, "KiB")
	b.ReportAllocs()
	for b.Loop() {
		if r, err := Compare(old, next); err != nil || r.Count(Widening) != predicate.MaxFlows {
			b.Fatal(err)
		}
	}
}
