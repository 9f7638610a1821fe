package plain

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// eachPair calls f for pairs of statements of one type: neighbours among the test vectors.
func eachPair(t *testing.T, change func([]byte) []byte, f func(t *testing.T, r *diff.Report, old, next *predicate.Statement)) {
	t.Helper()
	byType := map[string][]*predicate.Statement{}
	eachVector(t, func(t *testing.T, data []byte) {
		if st, err := predicate.Parse(change(data), predicate.Consumption); err == nil && st.Common() != nil {
			byType[st.Type] = append(byType[st.Type], st)
		}
	})
	if len(byType) != 3 {
		t.Fatalf("statements of %v", slices.Collect(maps.Keys(byType)))
	}
	for _, list := range byType {
		for i, st := range list {
			next := list[(i+1)%len(list)]
			r, err := diff.Compare(st, next)
			if err != nil {
				t.Fatal(err)
			}
			f(t, r, st, next)
		}
	}
}

func same(data []byte) []byte { return data }

func renderDiff(r *diff.Report, next *predicate.Statement, width int) string {
	var b strings.Builder
	Diff(text.NewWriter(&b, false, width), r, next)
	return b.String()
}

func TestDiffFitsAndSaysEverything(t *testing.T) {
	eachPair(t, same, func(t *testing.T, r *diff.Report, _, next *predicate.Statement) {
		for _, width := range []int{60, 120} {
			for line := range strings.Lines(renderDiff(r, next, width)) {
				if got := text.Width(strings.TrimRight(line, "\n")); got > width {
					t.Errorf("%d columns instead of %d: %q", got, width, line)
				}
			}
		}
		wide := renderDiff(r, next, 100_000)
		for _, mark := range []struct {
			mark string
			d    diff.Direction
		}{{"\n  WIDER ", diff.Widening}, {"\n  narrower ", diff.Narrowing}, {"\n  neutral ", diff.Neutral}} {
			if got, want := strings.Count(wide, mark.mark), r.Count(mark.d); got != want {
				t.Errorf("%d lines %q for %d changes in\n%s", got, mark.mark, want, wide)
			}
		}
		for _, c := range r.Changes {
			if !strings.Contains(wide, "("+c.Why+")") || c.Item != "" && c.Item != "completeness" && !strings.Contains(wide, "\n"+c.Item+" (") {
				t.Errorf("%+v is not said in\n%s", c, wide)
			}
		}
	})
}

// TestDiffMembers: a change names the members and the element that lead to it.
func TestDiffMembers(t *testing.T) {
	for _, c := range []struct {
		c          diff.Change
		title, say string
	}{
		{diff.Change{Item: "f", Part: "P", Pointer: "/predicate/flows/0/recipients/3/storage/1"}, "f (flow)", "recipients P, storage"},
		{diff.Change{Item: "f", Part: "P", Pointer: "/predicate/flows/0/recipients/3"}, "f (flow)", "recipients"},
		{diff.Change{Item: "f", Pointer: "/predicate/flows/0"}, "f (flow)", "flow"},
		{diff.Change{Item: "f", Pointer: "/predicate/flows/0/activation/intervalSeconds"}, "f (flow)", "activation interval seconds"},
		{diff.Change{Item: "f", Part: "h", Pointer: "/predicate/flows/0/endpoints/0/tls/minVersion"}, "f (flow)", "endpoints h, tls min version"},
		{diff.Change{Item: "completeness", Part: "other", Pointer: "/predicate/completeness/exclusions/0/description"},
			"How complete the list is", "completeness exclusions other, description"},
		{diff.Change{Pointer: "/predicate/common/product/version"}, "The statement as a whole", "product version"},
		{diff.Change{Part: "a", Pointer: "/subject/0"}, "The statement as a whole", "subject"},
		{diff.Change{Pointer: "/predicate/common"}, "The statement as a whole", ""},
		{diff.Change{}, "The statement as a whole", ""},
	} {
		if title, say := groupTitle(c.c), member(c.c); title != c.title || say != c.say {
			t.Errorf("%s: got %q, %q, want %q, %q", c.c.Pointer, title, say, c.title, c.say)
		}
	}
}

// TestDiffOrder: what widens is first, item by item and in the table.
func TestDiffOrder(t *testing.T) {
	r := &diff.Report{Type: predicate.DataFlowsType, Changes: []diff.Change{
		{Item: "a", Pointer: "/predicate/flows/0/title", Direction: diff.Neutral, Kind: diff.Changed, Old: "o", New: "n"},
		{Item: "b", Pointer: "/predicate/flows/1/title", Direction: diff.Neutral, Kind: diff.Changed, Old: "o", New: "n"},
		{Item: "b", Pointer: "/predicate/flows/1/necessity", Kind: diff.Changed, Old: "core", New: "feature", Registry: "necessity"},
		{Item: "c", Pointer: "/predicate/flows/2/purposes/0", Direction: 77, Kind: diff.Added, New: "advertising", Registry: "purpose"},
	}}
	said := renderDiff(r, &predicate.Statement{}, 120)
	var order []string
	for _, m := range regexp.MustCompile(`(?m)^([abc]) \(flow\)|^  (WIDER|neutral)`).FindAllStringSubmatch(said, -1) {
		order = append(order, m[1]+m[2])
	}
	if want := []string{"b", "WIDER", "neutral", "c", "WIDER", "a", "neutral"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v in\n%s", order, want, said)
	}
	if !strings.Contains(said, "needed for the product to work -> needed for a feature") || !strings.Contains(said, "added advertising") {
		t.Errorf("not in plain words:\n%s", said)
	}
	rows := strings.Split(DiffMarkdown(r, "note"), "\n| ")[2:]
	if len(rows) != 4 || !strings.HasPrefix(rows[0], "**widening** | `b`") || !strings.HasPrefix(rows[1], "**widening** | `c`") ||
		!strings.HasPrefix(rows[2], "neutral | `a`") {
		t.Errorf("got %q", rows)
	}
	if said := renderDiff(&diff.Report{Type: predicate.DataFlowsType}, nil, 120); !strings.Contains(said, "data-flows: no difference") {
		t.Errorf("got %q", said)
	}
}

// TestDiffHostileText puts what a terminal and a page obey into the new statement.
func TestDiffHostileText(t *testing.T) {
	const evil = "\x1b[2K\r\u202e\u2028\n  WIDER @everyone #1 https://evil.example | ` `` \\| <img src=x> [a](b) | **x**\n| **widening** |"
	poisoned := func(data []byte) []byte {
		var whole map[string]any
		if err := json.Unmarshal(data, &whole); err != nil {
			return data
		}
		whole["predicate"] = poison(whole["predicate"], evil)
		hostile, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		return hostile
	}
	span := regexp.MustCompile("`[^`|\\n]*`|<code>[^<>`|\\n]*</code>")
	eachPair(t, poisoned, func(t *testing.T, _ *diff.Report, _, next *predicate.Statement) {
		clean := filepath.Join(vectors, TypeName(next.Type), "valid")
		files, err := filepath.Glob(filepath.Join(clean, "*minimal-*.json"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		r, err := diff.Compare(parse(t, data), next)
		if err != nil {
			t.Fatal(err)
		}
		said := renderDiff(r, next, 100)
		if got, want := strings.Count(said, "\n  WIDER "), r.Count(diff.Widening); got != want {
			t.Fatalf("%d marks for %d changes in\n%s", got, want, said)
		}
		table := DiffMarkdown(r, "note")
		for _, out := range []string{said, table} {
			for _, c := range out {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Fatalf("%U in %q", c, out)
				}
			}
		}
		for line := range strings.Lines(table) {
			if strings.HasPrefix(line, "| ") && strings.Count(line, "|") != 6 {
				t.Fatalf("%d cells in %q", strings.Count(line, "|")-1, line)
			}
			if rest := span.ReplaceAllString(line, ""); strings.ContainsAny(rest, "@`<>[]") || strings.Contains(rest, "evil") {
				t.Fatalf("foreign text outside code: %q in %q", rest, line)
			}
		}
	})
}

func TestMarkdownCode(t *testing.T) {
	for in, want := range map[string]string{
		"":                       "",
		"plain":                  "`plain`",
		"a|b":                    "<code>a&#124;b</code>",
		"`":                      "<code>&#96;</code>",
		`\`:                      "<code>&#92;</code>",
		" ":                      "<code> </code>",
		"a\nb":                   "<code>a&#92;nb</code>",
		"@user #1 <b>":           "`@user #1 <b>`",
		strings.Repeat("ü", 201): "`" + strings.Repeat("ü", 200) + "…`",
	} {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestMarkdownIsShort: a table that a comment cannot hold says what it leaves out, and leaves out the neutral first.
func TestMarkdownIsShort(t *testing.T) {
	r := &diff.Report{Type: predicate.DataFlowsType}
	for i := range 1000 {
		d := diff.Neutral
		if i == 999 {
			d = diff.Widening
		}
		r.Changes = append(r.Changes, diff.Change{Pointer: "/predicate/x", Kind: diff.Added, New: strings.Repeat("x", 150), Direction: d})
	}
	table := DiffMarkdown(r, "note")
	if len(table) > 65_536 || !strings.Contains(table, "| **widening** |") ||
		!regexp.MustCompile(`left out: 0 widening, 0 narrowing, [0-9]+ neutral\.`).MatchString(table) {
		t.Errorf("%d bytes, end %q", len(table), table[len(table)-200:])
	}
}
