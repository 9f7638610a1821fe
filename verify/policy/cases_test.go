package policy_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/avow-dev/avow/verify/policy"
)

// caseFiles are a policy with its cases and the statements that these name.
func caseFiles(t *testing.T, cases string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{
		"policies/p.yaml": {Data: []byte("apiVersion: avow.dev/policy/v1\nmetadata: {name: p, version: \"1\", title: t}\n" +
			"include: [P01, P06, {policy: P13, severity: warn}, P19]\n")},
		"policies/p.cases.yaml": {Data: []byte("apiVersion: avow.dev/policy-cases/v1\ncases:\n" + cases)},
	}
	for _, name := range []string{"minimal-data-flows", "minimal-data-flows-none", "editor-data-flows"} {
		files["policies/statements/"+name+".json"] = &fstest.MapFile{Data: vector(t, name)}
	}
	files["policies/statements/broken.json"] = &fstest.MapFile{Data: []byte("{}")}
	return files
}

// testCase is one case in YAML.
func testCase(name, statement, expect, rest string) string {
	return "  - name: " + name + "\n    at: 2026-11-23T12:00:00Z\n    statements: [statements/" + statement + ".json]\n    expect: " +
		expect + "\n" + rest
}

func TestRunCases(t *testing.T) {
	approved := "    approved: [statements/minimal-data-flows.json]\n"
	for name, c := range map[string]struct {
		text     string
		problems []string
	}{
		"as expected":          {testCase("a", "minimal-data-flows", "accept", approved), nil},
		"another verdict":      {testCase("a", "minimal-data-flows", "reject", approved), []string{"got accept, want reject"}},
		"nothing approved":     {testCase("a", "minimal-data-flows", "reject", "    failing: {P19: []}\n"), nil},
		"with ids":             {testCase("a", "editor-data-flows", "reject", approved+editorFailing), nil},
		"with a warning":       {testCase("a", "editor-data-flows", "reject", approved+editorFailing+"      P13: [cdn]\n"), nil},
		"a warning that is no": {testCase("a", "minimal-data-flows", "accept", approved+"    failing: {P13: [cdn]}\n"), []string{"P13 passes"}},
		"another id": {testCase("a", "editor-data-flows", "reject", approved+strings.Replace(editorFailing, "cdn", "cdns", 1)),
			[]string{`P01 names ["telemetry" "experiments" "cdn"`}},
		"a rule more": {testCase("a", "editor-data-flows", "reject", approved+strings.Replace(editorFailing, "      P06: []\n", "", 1)),
			[]string{"P06 denies, which is not expected"}},
		"no such rule": {testCase("a", "editor-data-flows", "reject", approved+editorFailing+"      P99: []\n"), []string{"no rule P99"}},
		"why it rejects": {testCase("a", "editor-data-flows", "accept", approved), []string{"got reject, want accept",
			"P01 (telemetry, experiments, cdn, settings-sync, settings-search) denies: personal data", "P06 denies:", "P19 ("}},
		"parameters": {testCase("a", "minimal-data-flows", "reject", approved+"    parameters: {EEA: [FR]}\n    failing: {P01: [update]}\n"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			results, err := policy.RunCases(t.Context(), "policies/p.yaml", caseFiles(t, c.text), "policies/p.cases.yaml", policy.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != 1 || len(results[0].Problems) != len(c.problems) || results[0].Passed() != (c.problems == nil) {
				t.Fatalf("%+v, want problems %q", results, c.problems)
			}
			for i, want := range c.problems {
				if !strings.Contains(results[0].Problems[i], want) {
					t.Errorf("problem %q, want %q", results[0].Problems[i], want)
				}
			}
			if results[0].Line != 3 || results[0].Name != "a" || len(results[0].Rules) != 4 {
				t.Errorf("%+v", results[0])
			}
		})
	}
}

const editorFailing = `    failing:
      P01: [telemetry, experiments, cdn, settings-sync, settings-search]
      P06: []
      P19: [update, telemetry, experiments, cdn, settings-sync, settings-search]
`

func TestRunCasesErrors(t *testing.T) {
	ok := testCase("a", "minimal-data-flows", "accept", "")
	for name, c := range map[string]struct {
		text    string
		code    policy.Code
		where   string
		message string
	}{
		"none":            {"  []\n", policy.CodeNoRule, "policies/p.cases.yaml:1:1", "no case"},
		"unknown member":  {ok + "    expects: x\n", policy.CodeUnknownField, ":7:5", "expects"},
		"name twice":      {ok + ok, policy.CodeDuplicate, ":7:5", "twice"},
		"no time":         {strings.Replace(ok, "2026-11-23T12:00:00Z", "yesterday", 1), policy.CodeValue, ":4:9", "not a time"},
		"expect":          {strings.Replace(ok, "accept", "allow", 1), policy.CodeValue, ":6:13", `"allow"`},
		"no statement":    {strings.Replace(ok, "minimal-data-flows", "other", 1), policy.CodeRead, ":5:18", "does not exist"},
		"outside":         {strings.Replace(ok, "statements/minimal", "../../minimal", 1), policy.CodeRead, ":5:18", "out of the directory"},
		"broken":          {strings.Replace(ok, "minimal-data-flows", "broken", 1), policy.CodeValue, ":5:18", "breaks the rules"},
		"parameter":       {ok + "    parameters: {LISTED: [CN]}\n", policy.CodeParameter, "", "no parameter LISTED"},
		"failing no list": {ok + "    failing: {P01: x}\n", policy.CodeType, ":7:20", "want a list"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.RunCases(t.Context(), "policies/p.yaml", caseFiles(t, c.text), "policies/p.cases.yaml", policy.Options{})
			var e *policy.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Error(), c.where) || !strings.Contains(e.Message, c.message) {
				t.Errorf("%v, want %s at %s with %q", err, c.code, c.where, c.message)
			}
		})
	}
	if _, err := policy.RunCases(t.Context(), "P06", fstest.MapFS{}, "none.yaml", policy.Options{}); err == nil {
		t.Error("a file of cases that is not there is no error")
	}
}

// The example of the manual works.
func TestExampleCases(t *testing.T) {
	dir := filepath.Join("testdata", "example")
	results, err := policy.RunCases(t.Context(), "gateway.yaml", os.DirFS(dir), "gateway.cases.yaml", policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if !r.Passed() {
			t.Errorf("%s: %q", r.Name, r.Problems)
		}
	}
	if got := []string{results[0].Got, results[1].Got, results[2].Got}; !slices.Equal(got, []string{"accept", "reject", "accept"}) {
		t.Errorf("%v", got)
	}
}
