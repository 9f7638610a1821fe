package predicate

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func seed(f *testing.F) {
	for _, file := range vectorFiles(f) {
		f.Add(readVector(f, file))
	}
	f.Add([]byte(traceStatement()))
	f.Add([]byte(testResultStatement()))
}

// FuzzParse: what is accepted reads the same again, keeps its bytes and its id,
// and encoding/json reads the same values; what is refused has findings whose
// places can be looked up; consumption accepts whatever issuance does.
func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := Parse(payload, Issuance)
		if err != nil {
			var rules *RulesError
			if !errors.As(err, &rules) || len(rules.Findings) == 0 {
				t.Fatalf("got %T without findings", err)
			}
			checkFindings(t, payload, rules.Findings)
			return
		}
		if s.ID() != idOf(payload) || !bytes.Equal(s.Payload(), payload) {
			t.Fatal("id or payload is not that of the bytes")
		}
		again, err := Parse(s.Payload(), Issuance)
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("reads otherwise the second time: %v", err)
		}
		lenient, err := Parse(payload, Consumption)
		if err != nil || !reflect.DeepEqual(s.predicate(), lenient.predicate()) {
			t.Fatalf("consumption differs: %v", err)
		}
		if problem := disagreement(s, payload); problem != "" {
			t.Fatal(problem)
		}
		findings := append(s.Check(nil), s.CheckRelated([]*Statement{again})...)
		checkFindings(t, payload, findings)
	})
}

// checkFindings looks the places up in the payload, as far as it is JSON: every
// token but the last names something that is there, unless a whole member with
// its members is absent.
func checkFindings(t *testing.T, payload []byte, findings Findings) {
	t.Helper()
	var document any
	readable := json.Unmarshal(payload, &document) == nil
	for _, f := range findings {
		if f.Code == "" || f.Message == "" || f.Hint == "" || f.Severity == "" {
			t.Fatalf("finding %+v is not complete", f)
		}
		if f.Pointer != "" && f.Pointer[0] != '/' {
			t.Fatalf("%q is not a JSON pointer", f.Pointer)
		}
		if strings.ContainsAny(f.Found, "\x00\n\x1b\u202e") {
			t.Fatalf("found %q is not printable", f.Found)
		}
		if readable && f.Code != "R01" {
			if missing := resolve(document, f.Pointer); missing > 2 {
				t.Fatalf("%s: %d tokens of the pointer lead nowhere", f, missing)
			}
		}
	}
}

// resolve returns how many tokens of a pointer are left where it ends.
func resolve(v any, pointer string) int {
	if pointer == "" {
		return 0
	}
	tokens := strings.Split(pointer[1:], "/")
	for i, token := range tokens {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch container := v.(type) {
		case map[string]any:
			e, ok := container[token]
			if !ok {
				return len(tokens) - i
			}
			v = e
		case []any:
			n, err := strconv.Atoi(token)
			if err != nil || n >= len(container) {
				return len(tokens) - i
			}
			v = container[n]
		default:
			return len(tokens) - i
		}
	}
	return 0
}

// FuzzStrictJSON: what is accepted, encoding/json accepts, with the same value
// whatever the reader does about duplicate keys; and it stays accepted without
// white space.
func FuzzStrictJSON(f *testing.F) {
	seed(f)
	f.Add([]byte(`["\ud83d\ude00",{"a":{"a":0}},[],2147483647,true,false,""]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		root, _, jsonErr := parseJSON(data, JSONLimits{})
		if err := StrictJSON(data, JSONLimits{}); (err == nil) != (jsonErr == nil) {
			t.Fatalf("two answers: %v, %v", err, jsonErr)
		}
		if jsonErr != nil {
			if jsonErr.Reason == "" || jsonErr.Offset < 0 || jsonErr.Offset > len(data) {
				t.Fatalf("error %+v is not complete", jsonErr)
			}
			return
		}
		var want any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		if err := d.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses it: %v", err)
		}
		if got := tree(root); !reflect.DeepEqual(got, want) {
			t.Fatalf("got %v, encoding/json reads %v", got, want)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, data); err != nil {
			t.Fatal(err)
		}
		if err := StrictJSON(compact.Bytes(), JSONLimits{}); err != nil {
			t.Fatalf("refused without white space: %v", err)
		}
	})
}

// tree turns nodes into what encoding/json decodes to.
func tree(n *node) any {
	switch n.kind {
	case kindObject:
		m := make(map[string]any)
		for i := range n.children {
			m[n.children[i].key] = tree(&n.children[i])
		}
		return m
	case kindArray:
		l := make([]any, 0, len(n.children))
		for i := range n.children {
			l = append(l, tree(&n.children[i]))
		}
		return l
	case kindNumber:
		return json.Number(strconv.Itoa(n.number))
	case kindBool:
		return n.number == 1
	}
	return n.text
}

// FuzzEndpoint: a value that is accepted as a host or suffix is a plain name
// that no list of names can confuse with another.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"example.com", "co.uk", "xn--bcher-kva.example", "s3.amazonaws.com", "a..b", "1.2.3.4", "*.x.y", "10.0.0.0/8"} {
		f.Add(s)
	}
	tables := EmbeddedTables()
	f.Fuzz(func(t *testing.T, value string) {
		for _, kind := range []string{"host", "suffix", "cidr"} {
			problem, hint := tables.endpointProblem(&Endpoint{Kind: kind, Value: value})
			if (problem == "") != (hint == "") {
				t.Fatalf("%s %q: problem %q, hint %q", kind, value, problem, hint)
			}
			if problem != "" || kind == "cidr" {
				continue
			}
			if value != strings.ToLower(value) || strings.ContainsAny(value, "*/:@ \\[]") || !strings.Contains(value, ".") {
				t.Fatalf("%s %q is accepted", kind, value)
			}
			if kind == "suffix" && (tables.PublicSuffix(value) != NotSuffix || tables.PublicSuffix("x."+value) == ICANNSuffix) {
				t.Fatalf("suffix %q is accepted", value)
			}
		}
	})
}
