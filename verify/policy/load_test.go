package policy_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/policy"
)

// good is a policy without faults; the tests below change one thing.
const good = `apiVersion: avow.dev/policy/v1
metadata:
  name: good
  version: "1"
  title: a good policy
parameters:
  PLACES: ["DE"]
  MOST: 3
include: [P06]
rules:
  - id: R1
    title: places
    description: everything is stored there
    needs: [dataFlows]
    forEach: dataFlows.flows
    expression: |
      x.recipients.all(r,
        within(r.storage, PLACES)) &&
      size(x.recipients) <= MOST
    message: something is stored elsewhere
`

func TestLoadErrors(t *testing.T) {
	many := strings.Repeat("  - P06\n", policy.MaxIncludes)
	for name, c := range map[string]struct {
		old, replacement string
		code             policy.Code
		line, column     int
		message          string
	}{
		"empty file":              {good, "", policy.CodeSyntax, 1, 1, "empty"},
		"not YAML":                {"include: [P06]", "include: [P06", policy.CodeSyntax, 9, 1, "not YAML"},
		"two documents":           {"apiVersion: avow.dev/policy/v1\n", "---\n{}\n---\n{}\n", policy.CodeSyntax, 3, 1, "second document"},
		"a list":                  {good, "- x\n", policy.CodeType, 1, 1, "a policy is a list"},
		"anchor":                  {"[P06]", "&a [P06]", policy.CodeSyntax, 9, 10, "anchors"},
		"tag":                     {"[P06]", "!!seq [P06]", policy.CodeSyntax, 9, 10, "tag"},
		"member twice":            {"include:", "rules: []\nrules:", policy.CodeDuplicate, 10, 1, `"rules" twice`},
		"unknown member":          {"include:", "includes:", policy.CodeUnknownField, 9, 1, `no member "includes"`},
		"unknown member of rule":  {"    needs:", "    need:", policy.CodeUnknownField, 14, 5, `a rule has no member "need"`},
		"no apiVersion":           {"apiVersion: avow.dev/policy/v1\n", "", policy.CodeMissingField, 1, 1, "no apiVersion"},
		"another apiVersion":      {"policy/v1", "policy/v2", policy.CodeValue, 1, 1, `"avow.dev/policy/v2"`},
		"no title":                {"    title: places\n", "", policy.CodeMissingField, 11, 5, "a rule has no title"},
		"version is a number":     {`"1"`, "1.10", policy.CodeType, 4, 12, "the number 1.10"},
		"name with a space":       {"name: good", "name: so so", policy.CodeValue, 3, 9, "not a policy name"},
		"empty message":           {"message: something is stored elsewhere", `message: " "`, policy.CodeValue, 20, 14, "empty"},
		"rule id":                 {"id: R1", "id: 1R", policy.CodeValue, 11, 9, "not a rule id"},
		"reserved rule id":        {"id: R1", "id: vendor", policy.CodeValue, 11, 9, "reserved"},
		"rule of an inclusion":    {"id: R1", "id: P06", policy.CodeDuplicate, 11, 5, "is in P06 too"},
		"severity":                {"    needs:", "    severity: error\n    needs:", policy.CodeValue, 14, 15, `severity is "error"`},
		"unknown input":           {"needs: [dataFlows]", "needs: [dataFlow]", policy.CodeValue, 14, 13, `"dataFlow" is not an input`},
		"input twice":             {"needs: [dataFlows]", "needs: [dataFlows, dataFlows]", policy.CodeDuplicate, 14, 24, "twice"},
		"include missing":         {"[P06]", "[P99]", policy.CodeIncludeMissing, 9, 11, `policy "P99"`},
		"file missing":            {"[P06]", "[other.yaml]", policy.CodeIncludeMissing, 9, 11, "does not exist"},
		"file outside":            {"[P06]", "[../other.yaml]", policy.CodeIncludeMissing, 9, 11, "out of the directory"},
		"absolute file":           {"[P06]", "[/etc/other.yaml]", policy.CodeIncludeMissing, 9, 11, "out of the directory"},
		"includes itself":         {"[P06]", "[policy.yaml]", policy.CodeIncludeCycle, 9, 11, "policy.yaml includes policy.yaml"},
		"too many includes":       {"include: [P06]", "include:\n" + many, policy.CodeLimit, 137, 5, "more than 128 inclusions"},
		"inclusion severity":      {"[P06]", "[{policy: P06, severity: off}]", policy.CodeValue, 9, 35, `severity is "off"`},
		"inclusion member":        {"[P06]", "[{policy: P06, level: warn}]", policy.CodeUnknownField, 9, 25, `no member "level"`},
		"parameter name":          {"MOST: 3", "most: 3", policy.CodeValue, 8, 3, "not a parameter name"},
		"parameter of a bool":     {`["DE"]`, "[NO, true]", policy.CodeType, 7, 16, "the truth value true"},
		"parameter of two kinds":  {"MOST: 3", "MOST: {type: int, default: x}", policy.CodeType, 8, 30, "MOST is text, want a whole number"},
		"parameter type":          {"MOST: 3", "MOST: {type: integer}", policy.CodeValue, 8, 16, "not a type"},
		"long expression":         {"within(r.storage, PLACES)", strings.Repeat(" ", policy.MaxExpressionBytes), policy.CodeLimit, 16, 17, "bytes"},
		"too large":               {"a good", strings.Repeat("x", policy.MaxPolicyBytes), policy.CodeLimit, 0, 0, "bytes"},
		"syntax of CEL":           {"size(x.recipients) <= MOST", "size(x.recipients) <= && MOST", policy.CodeSyntax, 19, 29, "&&"},
		"misspelt member":         {"r.storage", "r.storages", policy.CodeUnknownField, 18, 17, "storages"},
		"misspelt variable":       {"PLACES)", "PLACE)", policy.CodeUnknownName, 18, 27, "PLACE"},
		"misspelt function":       {"within(", "withn(", policy.CodeUnknownName, 18, 14, "withn"},
		"type of an operand":      {"<= MOST", "<= PLACES", policy.CodeType, 19, 26, "no matching overload"},
		"expression is no bool":   {"<= MOST", "+ MOST", policy.CodeType, 19, 26, "expected type 'bool'"},
		"number, not bool":        {"x.recipients.all(r,\n        within(r.storage, PLACES)) &&\n      size(x.recipients) <= MOST", "MOST", policy.CodeType, 16, 17, "of type int, want bool"},
		"forEach is no list":      {"forEach: dataFlows.flows", "forEach: dataFlows", policy.CodeType, 15, 14, "want a list"},
		"forEach misspelt":        {"dataFlows.flows", "dataFlows.flow", policy.CodeUnknownField, 15, 23, "flow"},
		"require misspelt":        {"    forEach:", "    require: 'dataFlows.networkuse == \"none\"'\n    forEach:", policy.CodeUnknownField, 15, 24, "networkuse"},
		"folded":                  {"expression: |", "expression: >-", policy.CodeUnknownField, 18, 17, "storages"},
		"snake case":              {"r.storage", "r.access_from", policy.CodeUnknownField, 18, 17, "access_from"},
		"x without forEach":       {"    forEach: dataFlows.flows\n", "", policy.CodeUnknownName, 16, 7, "'x'"},
		"another file's variable": {"<= MOST", "<= LISTED", policy.CodeUnknownName, 19, 29, "LISTED"},
		"no rule":                 {good[strings.Index(good, "include"):], "rules: []\n", policy.CodeNoRule, 1, 1, "asks for nothing"},
		"type of statement":       {"include:", "require: {types: [data-flow]}\ninclude:", policy.CodeValue, 9, 19, `"data-flow" is not a statement type`},
		"type twice":              {"include:", "require: {types: [data-flows, data-flows]}\ninclude:", policy.CodeDuplicate, 9, 31, "twice"},
		"age":                     {"include:", "require: {maxAge: 3w}\ninclude:", policy.CodeValue, 9, 19, `"3w"`},
		"age of nothing":          {"include:", "require: {maxAge: 0d}\ninclude:", policy.CodeValue, 9, 19, "greater than 0"},
		"too many timestamps":     {"include:", "require: {minTimestamps: 5}\ninclude:", policy.CodeValue, 9, 26, "want 0 to 4"},
		"too many witnesses":      {"include:", "require: {minWitnesses: 65}\ninclude:", policy.CodeValue, 9, 25, "want 0 to 64"},
		"vendor without key":      {"include:", "vendors: [{name: a, products: [\"*\"]}]\ninclude:", policy.CodeMissingField, 9, 11, "neither a key nor an identity"},
		"vendor without products": {"include:", "vendors: [{name: a, products: [], keys: []}]\ninclude:", policy.CodeValue, 9, 31, "no product"},
		"product":                 {"include:", "vendors: [{name: a, products: [example]}]\ninclude:", policy.CodeValue, 9, 32, "not a package URL"},
		"product with stars":      {"include:", "vendors: [{name: a, products: [\"pkg:*/x*\"]}]\ninclude:", policy.CodeValue, 9, 32, "before its end"},
		"key file missing":        {"include:", "vendors: [{name: a, products: [\"*\"], keys: [a.pub]}]\ninclude:", policy.CodeRead, 9, 45, "does not exist"},
		"key file outside":        {"include:", "vendors: [{name: a, products: [\"*\"], keys: [../a.pub]}]\ninclude:", policy.CodeRead, 9, 45, "out of the directory"},
		"not a key":               {"include:", "vendors: [{name: a, products: [\"*\"], keys: [policy.yaml]}]\ninclude:", policy.CodeKey, 9, 45, "no PEM block"},
		"identity without issuer": {"include:", "vendors: [{name: a, products: [\"*\"], identities: [{san: a}]}]\ninclude:", policy.CodeMissingField, 9, 51, "no issuer"},
		"assessor with products":  {"include:", "assessors: [{name: a, products: [\"*\"]}]\ninclude:", policy.CodeUnknownField, 9, 23, "products"},
	} {
		t.Run(name, func(t *testing.T) {
			text := good
			if name == "folded" {
				text = strings.Replace(text, "r.storage", "r.storages", 1)
			}
			if !strings.Contains(text, c.old) {
				t.Fatalf("%q is not in the policy", c.old)
			}
			_, err := load(t, map[string]string{"policy.yaml": strings.Replace(text, c.old, c.replacement, 1)})
			var e *policy.Error
			if !errors.As(err, &e) {
				t.Fatalf("%v, want a *policy.Error", err)
			}
			if e.Code != c.code || e.Line != c.line || e.Column != c.column || !strings.Contains(e.Message, c.message) {
				t.Errorf("%v\nwant %s at %d:%d with %q", err, c.code, c.line, c.column, c.message)
			}
			if e.File != "policy.yaml" {
				t.Errorf("file %q", e.File)
			}
			if !slices.Contains(policy.Codes(), e.Code) {
				t.Errorf("code %s is not in the list", e.Code)
			}
		})
	}
}

func TestGoodPolicy(t *testing.T) {
	p := written(t, good)
	var rules []string
	for _, r := range p.Rules() {
		rules = append(rules, r.ID)
	}
	if !slices.Equal(rules, []string{"P06", "R1"}) {
		t.Errorf("rules %v", rules)
	}
	if r := p.Rules()[1]; r.File != "policy.yaml" || r.Line != 11 || r.ForEach != "dataFlows.flows" || r.Needs[0] != "dataFlows" {
		t.Errorf("%+v", r)
	}
}

// A hint names what was probably meant.
func TestHints(t *testing.T) {
	for old, c := range map[string]struct{ replacement, hint string }{
		"include:":        {"includes:", "did you mean include?"},
		"within(":         {"withn(", "did you mean within?"},
		"r.storage":       {"r.Storage", "did you mean storage?"},
		"[P06]":           {"[P99]", "baseline"},
		"x.recipients.al": {"x.recipient.al", "did you mean recipients?"},
	} {
		_, err := load(t, map[string]string{"policy.yaml": strings.Replace(good, old, c.replacement, 1)})
		var e *policy.Error
		if !errors.As(err, &e) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %v, hint %q, want %q", c.replacement, err, e.Hint, c.hint)
		}
	}
}

// All errors of a policy are reported, not only the first.
func TestAllErrors(t *testing.T) {
	_, err := load(t, map[string]string{"policy.yaml": strings.NewReplacer("r.storage", "r.storages", "MOST\n", "LEAST\n").Replace(good)})
	var all policy.Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Fatalf("%v, want two errors", err)
	}
	if all[0].Line != 18 || all[1].Line != 19 {
		t.Errorf("%v", err)
	}
}

func TestIncludes(t *testing.T) {
	header := func(name, rest string) string {
		return "apiVersion: avow.dev/policy/v1\nmetadata: {name: " + name + ", version: \"1\", title: t}\n" + rest
	}
	chain := map[string]string{"policy.yaml": header("a", "include: [sub/b.yaml]"), "sub/b.yaml": header("b", "include: [c.yaml]")}
	for name, c := range map[string]struct {
		c     string
		code  policy.Code
		where string
	}{
		"relative to the file": {header("c", "include: [P06]"), "", ""},
		"a cycle":              {header("c", "include: [../policy.yaml]"), policy.CodeIncludeCycle, "sub/c.yaml:3:11"},
		"out at the side":      {header("c", "include: [../../c.yaml]"), policy.CodeIncludeMissing, "sub/c.yaml:3:11"},
		"asks for nothing":     {header("c", ""), policy.CodeNoRule, "policy.yaml:1:1"},
		"an error inside":      {header("c", "rules: [{}]"), policy.CodeMissingField, "sub/c.yaml:3:9"},
	} {
		t.Run(name, func(t *testing.T) {
			chain["sub/c.yaml"] = c.c
			p, err := load(t, chain)
			if c.code == "" {
				if err != nil || len(p.Rules()) != 1 {
					t.Errorf("%v", err)
				}
				return
			}
			var e *policy.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.HasPrefix(e.Error(), c.where) {
				t.Errorf("%v, want %s at %s", err, c.code, c.where)
			}
		})
	}
	t.Run("too deep", func(t *testing.T) {
		deep := map[string]string{}
		for i := range policy.MaxIncludeDepth + 1 {
			name := "policy.yaml"
			if i > 0 {
				name = string(rune('a'+i)) + ".yaml"
			}
			deep[name] = header("x", "include: ["+string(rune('a'+i+1))+".yaml]")
		}
		var e *policy.Error
		if _, err := load(t, deep); !errors.As(err, &e) || e.Code != policy.CodeLimit {
			t.Errorf("%v", err)
		}
	})
}

// A directory is left neither by a path nor by a link, and without one nothing but
// ready-made policies can be named.
func TestFilesAreConfined(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "policies")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret.yaml"), []byte(good), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../secret.yaml", filepath.Join(inside, "link.yaml")); err != nil {
		t.Skip(err)
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{"link.yaml", "../secret.yaml"} {
		var e *policy.Error
		if _, err := policy.Load(t.Context(), name, root.FS(), policy.Options{}); !errors.As(err, &e) || e.Code != policy.CodeRead {
			t.Errorf("%s: %v, want %s", name, err, policy.CodeRead)
		}
	}
	var e *policy.Error
	if _, err := policy.Load(t.Context(), "policy.yaml", nil, policy.Options{}); !errors.As(err, &e) || e.Code != policy.CodeRead {
		t.Errorf("%v, want %s", err, policy.CodeRead)
	}
}

func TestLoadEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := policy.Builtin(ctx, "strict", policy.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
