package predicate

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestFindingsSort(t *testing.T) {
	at := func(code string, severity Severity, pointer string) Finding {
		return Finding{Code: code, Severity: severity, Pointer: pointer}
	}
	fs := Findings{
		at("W01", SeverityWarning, ""), at("R24", SeverityError, "/flows/10"), at("R24", SeverityError, "/flows/9"),
		at("R03", SeverityError, "/x"), at("R24", SeverityError, "/flows"), at("R03", SeverityError, "/x"),
	}.sort()
	want := []place{{"R03", "/x"}, {"R24", "/flows"}, {"R24", "/flows/9"}, {"R24", "/flows/10"}, {"W01", ""}}
	if got := places(fs); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := fs.Codes(); !slices.Equal(got, []string{"R03", "R24", "W01"}) {
		t.Errorf("codes %v", got)
	}
	if len(fs.Errors()) != 4 || len(fs.Warnings()) != 1 {
		t.Errorf("%d errors, %d warnings", len(fs.Errors()), len(fs.Warnings()))
	}
}

func TestFindingsErr(t *testing.T) {
	if err := (Findings{{Code: "W01", Severity: SeverityWarning}}).Err(); err != nil {
		t.Errorf("warnings are an error: %v", err)
	}
	var many Findings
	for range 7 {
		many = append(many, Finding{Code: "R22", Pointer: "/p", Found: "x", Message: "is wrong"}) // no severity: an error
	}
	err := many.Err()
	var rules *RulesError
	if !errors.As(err, &rules) || len(rules.Findings) != 7 {
		t.Fatalf("got %v", err)
	}
	if text := err.Error(); !strings.Contains(text, "R22 /p: is wrong (found x)") || !strings.HasSuffix(text, "; and 2 more") {
		t.Errorf("error %q", text)
	}
}

func TestFindingJSON(t *testing.T) {
	data, err := json.Marshal(Finding{Code: "R22", Severity: SeverityError, Pointer: "/p", Found: "x", Message: "m", Hint: "h"})
	if want := `{"code":"R22","severity":"error","pointer":"/p","found":"x","message":"m","hint":"h"}`; err != nil || string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
}

// TestFoundIsPrintable: a foreign value cannot move a terminal's cursor or turn
// its text round.
func TestFoundIsPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "bücher": "bücher", "\x1b[2J": `\x1b[2J`, "a\u202eb": `a\u202eb`, "a\u200bb": `a\u200bb`, "{\n \"a\": 1\n}": `{ "a": 1 }`,
		strings.Repeat("é", 121): strings.Repeat("é", 120) + "...", strings.Repeat("x", 120): strings.Repeat("x", 120),
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestPointers are the examples of RFC 6901, section 5.
func TestPointers(t *testing.T) {
	for want, tokens := range map[string][]any{
		"": {}, "/foo/0": {"foo", 0}, "/": {""}, "/a~1b": {"a/b"}, "/c%d": {"c%d"}, "/m~0n": {"m~n"}, "/~01": {"~1"},
	} {
		if got := pointer(tokens...); got != want {
			t.Errorf("pointer(%q) = %q, want %q", tokens, got, want)
		}
	}
}
