package predicate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// edit changes a valid vector by a function on its decoded JSON.
func edit(t *testing.T, file string, change func(predicate map[string]any)) []byte {
	t.Helper()
	var statement map[string]any
	if err := json.Unmarshal(readVector(t, file), &statement); err != nil {
		t.Fatal(err)
	}
	change(statement["predicate"].(map[string]any))
	data, err := json.Marshal(statement)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func repeat(n int, element func(i int) any) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = element(i)
	}
	return list
}

// first returns a copy of the first element of a list with another id.
func first(p map[string]any, list string, i int) any {
	c := make(map[string]any)
	for k, v := range p[list].([]any)[0].(map[string]any) {
		c[k] = v
	}
	c["id"] = fmt.Sprintf("n%d", i)
	if list == "flows" { // a lean one, so that the limit of values is not met first
		c["recipients"] = []any{map[string]any{"role": "customer"}}
		delete(c, "receives")
	}
	return c
}

// TestLimits looks at both sides of the limits that would not fit in a file.
func TestLimits(t *testing.T) {
	list := func(name string, n int) func(map[string]any) {
		return func(p map[string]any) {
			element := func(i int) any { return first(p, name, i) }
			p[name] = repeat(n, element)
			// References to what is gone would be findings of their own.
			delete(p, "claims")
			if name != "evidence" {
				delete(p, "evidence")
			}
		}
	}
	for _, test := range []struct {
		name, file, pointer string
		change              func(map[string]any)
	}{
		{"flows", minimalFlows, "", list("flows", MaxFlows)},
		{"more flows", minimalFlows, "/predicate/flows", list("flows", MaxFlows+1)},
		{"mechanisms", minimalNoBackdoor, "", list("mechanisms", MaxMechanisms)},
		{"more mechanisms", minimalNoBackdoor, "/predicate/mechanisms", list("mechanisms", MaxMechanisms+1)},
		{"evidence", minimalNoBackdoor, "", list("evidence", MaxEvidence)},
		{"more evidence", minimalNoBackdoor, "/predicate/evidence", list("evidence", MaxEvidence+1)},
		{"string of two-byte characters", minimalFlows, "/predicate/scope/description", func(p map[string]any) {
			p["scope"].(map[string]any)["description"] = strings.Repeat("é", MaxStringBytes/2+1)
		}},
		{"long string in extensions", minimalFlows, "/predicate/extensions/a/0", func(p map[string]any) {
			p["extensions"] = map[string]any{"a": []any{strings.Repeat("x", MaxStringBytes+1)}}
		}},
		{"long key in extensions", minimalFlows, "/predicate/extensions", func(p map[string]any) {
			p["extensions"] = map[string]any{strings.Repeat("k", maxKeyBytes+1): 1}
		}},
		{"long unknown key", minimalFlows, "/predicate", func(p map[string]any) { p[strings.Repeat("k", maxKeyBytes+1)] = 1 }},
		{"content", minimalFlows, "/predicate/scope/includes/0/content", func(p map[string]any) {
			p["scope"].(map[string]any)["includes"] = []any{map[string]any{"content": strings.Repeat("AAAA", MaxContentBytes/3+1)}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings := parse(edit(t, test.file, test.change), Issuance).findings
			got := slices.DeleteFunc(places(findings), func(p place) bool { return p.Pointer == "/predicate/claims" })
			if test.pointer == "" && len(got) > 0 || test.pointer != "" && !slices.Equal(got, []place{{"R02", test.pointer}}) {
				t.Errorf("got %v, want R02 at %q", got, test.pointer)
			}
		})
	}
	summary := func(n int) []byte {
		return edit(t, "v1/dispute/valid/minimal-dispute.json", func(p map[string]any) { p["summary"] = strings.Repeat("é", n) })
	}
	if fs := Lint(summary(MaxSummaryChars), nil); len(fs) > 0 {
		t.Errorf("summary of %d characters: %v", MaxSummaryChars, fs)
	}
	if fs := Lint(summary(MaxSummaryChars+1), nil); len(fs) != 1 || fs[0].Pointer != "/predicate/summary" {
		t.Errorf("summary of %d characters: %v", MaxSummaryChars+1, fs)
	}
}

// TestFindingsAreBounded: a hostile statement gets a short answer.
func TestFindingsAreBounded(t *testing.T) {
	payload := edit(t, minimalFlows, func(p map[string]any) {
		for i := range 5000 {
			p[fmt.Sprintf("unknown%d", i)] = 1
		}
	})
	if fs := Lint(payload, nil); len(fs) != MaxFindings {
		t.Errorf("%d findings, want %d", len(fs), MaxFindings)
	}
	payload = edit(t, minimalFlows, func(p map[string]any) {
		purposes := repeat(5000, func(int) any { return "unknown" })
		p["flows"].([]any)[0].(map[string]any)["purposes"] = purposes
	})
	if fs := Lint(payload, nil).Errors(); len(fs) != MaxFindings {
		t.Errorf("%d findings, want %d", len(fs), MaxFindings)
	}
}

// TestAllShapeFindingsAreReported: the walk does not stop at the first one.
func TestAllShapeFindingsAreReported(t *testing.T) {
	payload := edit(t, minimalFlows, func(p map[string]any) {
		p["networkUse"] = ""
		p["netwrokUse"] = "some"
		flow := p["flows"].([]any)[0].(map[string]any)
		delete(flow, "title")
		flow["necessity"] = 7
		p["common"].(map[string]any)["statementId"] = "x"
	})
	findings := Lint(payload, nil)
	want := []place{
		{"R02", "/predicate/common/statementId"}, {"R02", "/predicate/flows/0/necessity"}, {"R02", "/predicate/flows/0/title"},
		{"R02", "/predicate/networkUse"}, {"R02", "/predicate/netwrokUse"},
	}
	if got := places(findings); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if hint := findings[4].Hint; hint != "did you mean networkUse?" {
		t.Errorf("hint %q", hint)
	}
}

// TestFrameFindingsDoNotHideRules: an R02 outside the predicate does not end
// the check.
func TestFrameFindingsDoNotHideRules(t *testing.T) {
	payload := strings.Replace(string(readVector(t, "v1/data-flows/invalid/R33-off-but-periodic.json")), "Statement/v1", "Statement/v2", 1)
	if got := Lint([]byte(payload), nil).Errors().Codes(); !slices.Equal(got, []string{"R02", "R33"}) {
		t.Errorf("codes %v, want R02 and R33", got)
	}
	if _, err := Parse([]byte(payload), Issuance); err == nil {
		t.Error("Parse accepts it")
	}
}

// TestRootIsAnObject: other values are no statements.
func TestRootIsAnObject(t *testing.T) {
	for _, in := range []string{`[]`, `"x"`, `1`, `true`} {
		if got := Lint([]byte(in), nil).Codes(); !slices.Equal(got, []string{"R02"}) {
			t.Errorf("%s: codes %v, want R02", in, got)
		}
	}
}

func TestFormats(t *testing.T) {
	const uuid = "urn:uuid:0d7b7c52-1b0b-4a87-9a3a-5a4d0f0c1a01"
	for _, test := range []struct {
		name, value string
		ok          bool
	}{
		{"id", "a", true}, {"id", "update-check-2", true}, {"id", strings.Repeat("a", 64), true}, {"id", strings.Repeat("a", 65), false},
		{"id", "", false}, {"id", "A", false}, {"id", "1a", false}, {"id", "-a", false}, {"id", "a_b", false}, {"id", "ä", false},
		{"id", "completeness", false},
		{"uuid", uuid, true}, {"uuid", strings.ToUpper(uuid), false}, {"uuid", uuid[9:], false}, {"uuid", uuid + "0", false},
		{"uuid", strings.Replace(uuid, "-", "0", 1), false}, {"uuid", strings.Replace(uuid, "0d", "0g", 1), false},
		{"decimal", "0", true}, {"decimal", "1234567890123456789", true}, {"decimal", "12345678901234567890", false},
		{"decimal", "01", false}, {"decimal", "", false}, {"decimal", "-1", false}, {"decimal", "1.0", false},
		{"sha256", strings.Repeat("ab", 32), true}, {"sha256", strings.Repeat("AB", 32), false}, {"sha256", strings.Repeat("ab", 31), false},
		{"content", "YQ==", true}, {"content", "YQ", false}, {"content", "YR==", false}, {"content", "YQ==\n", false},
	} {
		f, ok := formatFor(test.name)
		if !ok {
			t.Fatalf("no format %s", test.name)
		}
		if problem := f.check(test.value); (problem == "") != test.ok {
			t.Errorf("%s %q: %q, want ok %v", test.name, test.value, problem, test.ok)
		}
	}
}

func TestDigests(t *testing.T) {
	for _, test := range []struct {
		algorithm string
		digits    int
		ok        bool
	}{
		{"sha256", 64, true}, {"sha256", 63, false}, {"sha512", 128, true}, {"sha512", 64, false}, {"sha384", 96, true}, {"sha224", 56, true},
		{"gitCommit", 40, true}, {"gitCommit", 64, true}, {"gitCommit", 41, false}, {"sha1", 40, true}, {"md5", 32, true},
		{"blake3", 10, true}, {"blake3", 9, false}, {"blake3", 0, false}, {"sha256", 0, false},
	} {
		if problem := digestProblem(test.algorithm, strings.Repeat("a", test.digits)); (problem == "") != test.ok {
			t.Errorf("%s of %d digits: %q", test.algorithm, test.digits, problem)
		}
	}
	for _, value := range []string{"AB", "zz", "0x", "é", "a "} {
		if digestProblem("other", value) == "" {
			t.Errorf("%q is taken for a digest", value)
		}
	}
}

func TestTimes(t *testing.T) {
	for value, ok := range map[string]bool{
		"2026-09-01T09:00:00Z": true, "2024-02-29T23:59:59Z": true, "2026-02-29T00:00:00Z": false, "2026-09-01T24:00:00Z": false,
		"2026-09-01T09:00:60Z": false, "2026-09-01T09:00:00": false, "2026-09-01 09:00:00Z": false, "2026-09-01T09:00:00.0Z": false,
		"2026-09-01T09:00:00+00": false, "2026-9-01T09:00:000Z": false, "": false, "2026-09-01T09:00,000Z": false,
	} {
		if _, got := parseTime(value); got != ok {
			t.Errorf("%q: %v, want %v", value, got, ok)
		}
	}
}
