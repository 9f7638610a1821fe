package policy_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/avow-dev/avow/verify/policy"
)

const parametrised = `apiVersion: avow.dev/policy/v1
metadata: {name: p, version: "1", title: t}
parameters:
  PLACES: ["DE", "FR"]
  NAME: Example
  MOST: {type: int, default: 3, description: how many}
  AGE: {type: duration, default: 90d}
  UNSET: {type: string, description: something to set}
rules:
  - id: R
    title: a rule
    description: d
    message: m
    expression: |
      EXPRESSION
`

func withParameters(t *testing.T, expression string, parameters map[string]string) (*policy.Policy, error) {
	t.Helper()
	files := fstest.MapFS{"p.yaml": {Data: []byte(strings.Replace(parametrised, "EXPRESSION", expression, 1))}}
	return policy.Load(t.Context(), "p.yaml", files, policy.Options{Parameters: parameters})
}

func TestParameters(t *testing.T) {
	f := set{DataFlows: "minimal-data-flows"}.facts(t)
	for name, c := range map[string]struct {
		parameters map[string]string
		expression string
		err        string // of the rule
		bad        string // of the load
	}{
		"defaults": {nil, `PLACES == ["DE", "FR"] && NAME == "Example" && MOST == 3 && AGE == days(90)`, "", ""},
		"given": {map[string]string{"PLACES": "CN, RU", "NAME": "a, b", "MOST": "0", "AGE": "36h", "UNSET": "set"},
			`PLACES == ["CN", "RU"] && NAME == "a, b" && MOST == 0 && AGE == duration("36h") && UNSET == "set"`, "", ""},
		"list with commas":    {map[string]string{"PLACES": `["Acme, Inc.", 'B']`}, `PLACES == ["Acme, Inc.", "B"]`, "", ""},
		"empty list":          {map[string]string{"PLACES": "[]"}, `PLACES == []`, "", ""},
		"in a list":           {nil, `"DE" in PLACES && !("DE-BY" in PLACES) && PLACES.exists(p, p == "FR") && size(PLACES + ["X"]) == 3`, "", ""},
		"without a value":     {nil, `UNSET == ""`, "the parameter UNSET has no value", ""},
		"unknown":             {map[string]string{"PLACE": "DE"}, "'true' == 'true'", "", "no parameter PLACE"},
		"list element empty":  {map[string]string{"PLACES": "DE,,FR"}, "'true' == 'true'", "", "element of 0 bytes"},
		"list not closed":     {map[string]string{"PLACES": `["DE"`}, "'true' == 'true'", "", "PLACES: not YAML"},
		"list of numbers":     {map[string]string{"PLACES": `[1]`}, "'true' == 'true'", "", "the number 1"},
		"list of a mapping":   {map[string]string{"PLACES": `[{a: b}]`}, "'true' == 'true'", "", "a mapping"},
		"number":              {map[string]string{"MOST": "3.5"}, "'true' == 'true'", "", "not a whole number"},
		"negative number":     {map[string]string{"MOST": "-1"}, "'true' == 'true'", "", "not a whole number"},
		"duration":            {map[string]string{"AGE": "3w"}, "'true' == 'true'", "", "not a duration"},
		"negative duration":   {map[string]string{"AGE": "-3h"}, "'true' == 'true'", "", "not a duration"},
		"days":                {map[string]string{"AGE": "1.5d"}, "'true' == 'true'", "", "number of days"},
		"empty string":        {map[string]string{"NAME": " "}, "'true' == 'true'", "", "text of 1 bytes"},
		"of the wrong type":   {nil, `MOST == "3"`, "", "no matching overload"},
		"list of much":        {map[string]string{"PLACES": strings.Repeat("DE,", policy.MaxParameterValues) + "DE"}, "'true' == 'true'", "", "more than 1024"},
		"long string":         {map[string]string{"NAME": strings.Repeat("x", policy.MaxTextBytes+1)}, "'true' == 'true'", "", "text of 4097 bytes"},
		"parameters of files": {map[string]string{"EEA": "DE"}, "'true' == 'true'", "", "no parameter EEA"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := withParameters(t, c.expression, c.parameters)
			if c.bad != "" {
				var e *policy.Error
				if !errors.As(err, &e) || !strings.Contains(e.Message, c.bad) {
					t.Errorf("%v, want %q", err, c.bad)
				}
				if c.parameters != nil && e.Code != policy.CodeParameter {
					t.Errorf("code %s", e.Code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := only(t, p, f); got.Passed != (c.err == "") || !strings.Contains(got.Error, c.err) {
				t.Errorf("passed %t, error %q, want %q", got.Passed, got.Error, c.err)
			}
		})
	}
}

func TestParametersAreListed(t *testing.T) {
	p, err := withParameters(t, "MOST == 3", map[string]string{"PLACES": "NO"})
	if err != nil {
		t.Fatal(err)
	}
	want := []policy.Parameter{
		{Name: "PLACES", Type: policy.ParameterList, Value: `["NO"]`, Set: true},
		{Name: "NAME", Type: policy.ParameterString, Value: "Example", Set: true},
		{Name: "MOST", Type: policy.ParameterInt, Description: "how many", Value: "3", Set: true},
		{Name: "AGE", Type: policy.ParameterDuration, Value: "2160h0m0s", Set: true},
		{Name: "UNSET", Type: policy.ParameterString, Description: "something to set"},
	}
	got := p.Parameters()
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	given := map[string]string{}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
		if got[i].Set {
			given[got[i].Name] = got[i].Value
		}
	}
	// What is listed can be given back, and is then the same policy.
	again, err := withParameters(t, "MOST == 3", given)
	if err != nil || again.Digest() != p.Digest() {
		t.Errorf("%v, digest %x, want %x", err, again.Digest(), p.Digest())
	}
}

// The file that includes sets what it declares; two that are included side by
// side must agree.
func TestParametersOfIncludes(t *testing.T) {
	header := "apiVersion: avow.dev/policy/v1\nmetadata: {name: x, version: \"1\", title: t}\n"
	rule := "rules:\n  - {id: %s, title: t, description: d, message: m, expression: 'P == \"1\"'}\n"
	file := func(id, value string) string {
		return header + "parameters: {P: " + value + "}\n" + strings.Replace(rule, "%s", id, 1)
	}
	for name, c := range map[string]struct {
		files map[string]string
		pass  bool
		bad   string
	}{
		"set above": {map[string]string{"policy.yaml": header + "parameters: {P: '1'}\ninclude: [a.yaml]", "a.yaml": file("A", "'2'")}, true, ""},
		"set above both": {map[string]string{"policy.yaml": header + "parameters: {P: '1'}\ninclude: [a.yaml, b.yaml]",
			"a.yaml": file("A", "'2'"), "b.yaml": file("B", "'3'")}, true, ""},
		"side by side, the same": {map[string]string{"policy.yaml": header + "include: [a.yaml, b.yaml]",
			"a.yaml": file("A", "'1'"), "b.yaml": file("B", "'1'")}, true, ""},
		"side by side": {map[string]string{"policy.yaml": header + "include: [a.yaml, b.yaml]",
			"a.yaml": file("A", "'1'"), "b.yaml": file("B", "'2'")}, false, "another value in a.yaml"},
		"of two types": {map[string]string{"policy.yaml": header + "parameters: {P: 1}\ninclude: [a.yaml]", "a.yaml": file("A", "'1'")},
			false, "of type string, and int in policy.yaml"},
		"not of the file": {map[string]string{"policy.yaml": header + "include: [a.yaml]\n" + strings.Replace(rule, "%s", "R", 1),
			"a.yaml": file("A", "'1'")}, false, "undeclared reference to 'P'"},
		"value and description": {map[string]string{"policy.yaml": header + "parameters: {P: {type: string, description: d}}\ninclude: [a.yaml]",
			"a.yaml": file("A", "'1'")}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := load(t, c.files)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Errorf("%v, want %q", err, c.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			result, err := p.Judge(t.Context(), set{DataFlows: "minimal-data-flows"}.facts(t))
			if err != nil || (len(result.Denials()) == 0) != c.pass {
				t.Errorf("%v, %+v", err, result)
			}
		})
	}
}

// The digest is that of what is evaluated, wherever it lies.
func TestDigest(t *testing.T) {
	digests := map[[32]byte]string{}
	add := func(name string, p *policy.Policy, err error) [32]byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		d := p.Digest()
		if other, ok := digests[d]; ok {
			t.Errorf("%s and %s have one digest", name, other)
		}
		digests[d] = name
		return d
	}
	p, err := withParameters(t, "MOST == 3", nil)
	first := add("as it is", p, err)
	p, err = withParameters(t, "MOST == 3", map[string]string{"MOST": "4"})
	add("another parameter", p, err)
	p, err = withParameters(t, "MOST == 3", map[string]string{"UNSET": "x"})
	add("a parameter more", p, err)
	p, err = withParameters(t, "MOST  == 3", nil)
	add("another text", p, err)
	if p, err = withParameters(t, "MOST == 3", map[string]string{"MOST": "3"}); err != nil || p.Digest() != first {
		t.Errorf("the default given as a parameter: %v, %x, want %x", err, p.Digest(), first)
	}
	header := "apiVersion: avow.dev/policy/v1\nmetadata: {name: x, version: \"1\", title: t}\n"
	included := func(text string) map[string]string {
		return map[string]string{"policy.yaml": header + "include: [a.yaml]", "a.yaml": header + text + "include: [P06]"}
	}
	p, err = load(t, included(""))
	add("an inclusion", p, err)
	p, err = load(t, included("\n"))
	add("another text of an inclusion", p, err)
	vendor := header + "vendors: [{name: a, products: [\"*\"], keys: [key.pub]}]\n"
	for range 2 {
		_, key, _ := publicKey(t)
		p, err = load(t, map[string]string{"policy.yaml": vendor, "key.pub": key})
		add("a key", p, err)
	}
}
