package report

import (
	"html"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// read is what a reader sees of text that holds no markup.
func read(s string) string { return strings.ReplaceAll(html.UnescapeString(s), "\u200b", "") }

// readCode is what a reader sees of code.
func readCode(s string) string {
	if inner, ok := strings.CutPrefix(s, "<code>"); ok {
		return read(strings.TrimSuffix(inner, "</code>"))
	}
	return strings.Trim(s, "`")
}

// TestForeignTextIsNoMarkup: what is written is read back, and none of it is markup, a cell, a mention or a link.
func TestForeignTextIsNoMarkup(t *testing.T) {
	markup := regexp.MustCompile("[\\\\`*_{}\\[\\]<>|~$!^%@+=\"]|#[^0-9]|&[^#]|[a-z]:[^ ]|www\\.")
	rapid.Check(t, func(t *rapid.T) {
		s := text.Safe(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{evil, "", "1. a", "- a", "+ a", "# a", "1) a", "--- ", "www.a.b",
			"http://a", "a@b.c", ":tada:", "GH-1", "a|b", "`", "``", "\\|", " `a` ", "=", "==="})).Draw(t, "s"))
		p := prose(s)
		if read(p) != s {
			t.Fatalf("prose(%q) = %q, which reads %q", s, p, read(p))
		}
		if found := markup.FindString(p); found != "" {
			t.Fatalf("prose(%q) = %q has %q", s, p, found)
		}
		if regexp.MustCompile(`^( *)([-+#=>]|[0-9]+[.)])`).MatchString(p) {
			t.Fatalf("prose(%q) = %q begins a block", s, p)
		}
		c := code(s)
		if s != "" && readCode(c) != s {
			t.Fatalf("code(%q) = %q, which reads %q", s, c, readCode(c))
		}
		if inner, ok := strings.CutPrefix(c, "<code>"); ok && strings.ContainsAny(strings.TrimSuffix(inner, "</code>"), "`*_[<>@:/|") ||
			!ok && s != "" && (strings.Count(c, "`") != 2 || strings.Contains(c, "|")) {
			t.Fatalf("code(%q) = %q", s, c)
		}
	})
}

// TestMarkdownTablesHold: no text makes or breaks a cell.
func TestMarkdownTablesHold(t *testing.T) {
	for _, accept := range []bool{true, false} {
		columns := 0
		for line := range strings.Lines(render(t, Markdown, meta, hostileItem(t, evil, accept))) {
			n := strings.Count(line, "|")
			switch {
			case !strings.HasPrefix(line, "|"):
				columns = 0
				if n > 0 && !strings.HasPrefix(line, "avow ") && !strings.HasPrefix(line, "cosign ") {
					t.Errorf("a bar outside a table: %q", line)
				}
			case columns == 0:
				columns = n
			case n != columns:
				t.Errorf("%d bars instead of %d: %q", n, columns, line)
			}
		}
	}
}

// TestMarkdownFits: a comment has a limit, and what is left out for it is said.
func TestMarkdownFits(t *testing.T) {
	out := render(t, Markdown, meta, acceptedItem(t, manyFlows(t, 150, 3, 3)))
	if len(out) > 65_536 || !strings.Contains(out, "110 more are not shown here") {
		t.Errorf("%d characters", len(out))
	}
	var items []Item
	for range maxMarkdownRows + 30 {
		items = append(items, errorItem())
	}
	out = render(t, Markdown, batch(meta), items...)
	if len(out) > 65_536 || !strings.Contains(out, "The table has 200 of 230 artifacts.") ||
		!strings.Contains(out, "20 of the 230 that were not accepted are shown in full") {
		t.Errorf("%d characters of %q", len(out), out[len(out)-300:])
	}
}
