package text

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain text, 100 %":       "plain text, 100 %",
		"Zürich – 東京":             "Zürich – 東京",
		"\x1b[2Jgone":             `\x1b[2Jgone`,
		"a\nok  signature":        `a\nok  signature`,
		"a\r\tb":                  `a\r\tb`,
		"\u009b31mred":            `\u009b31mred`,
		"\u202edetpecca":          `\u202edetpecca`,
		"zero\u200bwidth":         `zero\u200bwidth`,
		"line\u2028separator":     `line\u2028separator`,
		"no-break\u00a0space":     "no-break space",
		"bad \xff byte":           `bad \xff byte`,
		"replacement \ufffd char": "replacement \ufffd char",
		"private \ue000 use":      `private \ue000 use`,
		`back\slash`:              `back\slash`,
		"del \x7f":                `del \x7f`,
		"piled e\u0301\u0302\u0303\u0304\u0305\u0306": "piled e\u0301\u0302\u0303\u0304" + `\u0305\u0306`,
	} {
		if got := Safe(in); got != want {
			t.Errorf("Safe(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzSafe: nothing that a terminal obeys comes out, and what is printable stays.
func FuzzSafe(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b]0;title\a", "\u202e", "\xc0\xaf", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Safe(s)
		if !utf8.ValidString(got) {
			t.Fatalf("Safe(%q) = %q is not UTF-8", s, got)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("Safe(%q) = %q has %U", s, got, r)
			}
		}
		if Safe(got) != got {
			t.Fatalf("Safe is not stable on %q", got)
		}
	})
}

// FuzzEscapeJSON: the meaning of a document does not change, and nothing is left that a terminal obeys.
func FuzzEscapeJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\u202e\x9b\U000e0001\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		escaped := EscapeJSON(string(data))
		var want, got string
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(escaped), &got); err != nil || got != want {
			t.Fatalf("%q became %q (%v)", want, got, err)
		}
		for _, r := range escaped {
			if !unicode.IsPrint(r) {
				t.Fatalf("%U in %q", r, escaped)
			}
		}
	})
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in      string
		columns int
		want    string
	}{
		{"", 10, ""},
		{"one two three", 8, "one two|three"},
		{"  spaces   inside ", 20, "spaces inside"},
		{"abcdefghij", 4, "abcd|efgh|ij"},
		{"to abcdefghij", 4, "to|abcd|efgh|ij"},
		{"name-resolution", 14, "name-|resolution"},
		{"raw.githubusercontent.com", 22, "raw.githubusercontent.|com"},
		{"東京都", 4, "東京|都"},
		{"東", 1, "東"},
	} {
		if got := strings.Join(Wrap(c.in, c.columns), "|"); got != c.want {
			t.Errorf("Wrap(%q, %d) = %q, want %q", c.in, c.columns, got, c.want)
		}
	}
}

// TestWrapProperties: no line is too wide, and no character is lost.
func TestWrapProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Safe(rapid.String().Draw(t, "s"))
		columns := rapid.IntRange(2, 40).Draw(t, "columns")
		lines := Wrap(s, columns)
		for _, line := range lines {
			if Width(line) > columns {
				t.Fatalf("line %q of %q is wider than %d", line, s, columns)
			}
		}
		if got, want := strings.Join(strings.Fields(strings.Join(lines, "")), ""), strings.Join(strings.Fields(s),
			""); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestWriterColours(t *testing.T) {
	var b strings.Builder
	NewWriter(&b, false, 0).Line("%s", NewWriter(&b, false, 0).Style(Red, "x"))
	if b.String() != "x\n" {
		t.Errorf("without colours got %q", b.String())
	}
	styled := NewWriter(&b, true, 0).Style(Red, "x")
	if styled != "\x1b[31mx\x1b[0m" || Width(styled) != 1 {
		t.Errorf("got %q of width %d", styled, Width(styled))
	}
}

func TestItem(t *testing.T) {
	var b strings.Builder
	w := NewWriter(&b, false, 20)
	w.Item("  ", 8, "label", "one two three four")
	w.Item("  ", 8, "empty", "")
	if got, want := b.String(), "  label   one two\n          three four\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTable(t *testing.T) {
	columns := []Column{{"ID", 1}, {"TEXT", 3}}
	rows := [][]Cell{{{"a"}, {"one two three", "more"}}, {{"b"}, {"x"}}}
	var b strings.Builder
	if !NewWriter(&b, false, 18).Table("", columns, rows) {
		t.Fatal("the table does not fit")
	}
	want := "ID  TEXT\n--  -------------\na   one two three\n    more\n\nb   x\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	b.Reset()
	if NewWriter(&b, false, 12).Table("", columns, rows) || b.Len() > 0 {
		t.Errorf("a table was printed where there is no room: %q", b.String())
	}
}

// TestTableFits: whatever the cells hold, no line is wider than the terminal.
func TestTableFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(30, 140).Draw(t, "width")
		columns := []Column{{"A", 1}, {"B", 2}, {"C", 3}}
		var rows [][]Cell
		for range rapid.IntRange(0, 4).Draw(t, "rows") {
			var row []Cell
			for range columns {
				row = append(row, Cell{Safe(rapid.StringN(0, 60, 200).Draw(t, "cell"))})
			}
			rows = append(rows, row)
		}
		var b strings.Builder
		NewWriter(&b, false, width).Table("  ", columns, rows)
		for line := range strings.Lines(b.String()) {
			if Width(strings.TrimRight(line, "\n")) > width {
				t.Fatalf("line %q is wider than %d", line, width)
			}
		}
	})
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriterKeepsTheFirstError(t *testing.T) {
	w := NewWriter(full{}, false, 0)
	w.Line("a")
	w.Paragraph("", "b")
	if !errors.Is(w.Err(), errFull) {
		t.Errorf("got %v", w.Err())
	}
}
