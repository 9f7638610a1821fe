package plain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

const (
	// maxMarkdown is how many bytes of a table are written: a comment on a pull request holds 65,536 characters.
	maxMarkdown = 60_000
	// maxMarkdownValue bounds one value in a table.
	maxMarkdownValue = 200
)

// DiffMarkdown returns the changes as a table in GitHub's Markdown, those that widen first. note is a sentence of this
// program above the table.
func DiffMarkdown(r *diff.Report, note string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Differences of %s: %s\n\n%s\n\n", TypeName(r.Type), tally(r), note)
	for _, side := range []struct {
		label string
		diff.Release
	}{{"Old", r.Old}, {"New", r.New}} {
		fmt.Fprintf(&b, "- %s: %s %s, `%s`\n", side.label, code(side.Product), code(side.Version), side.StatementID)
	}
	if len(r.Changes) == 0 {
		return b.String()
	}
	b.WriteString("\n| | Item | What | Change | Why |\n|---|---|---|---|---|\n")
	changes := slices.Clone(r.Changes)
	slices.SortStableFunc(changes, func(a, b diff.Change) int { return rank(a) - rank(b) })
	for i, c := range changes {
		row := markdownRow(c)
		if b.Len()+len(row) > maxMarkdown {
			rest := &diff.Report{Changes: changes[i:]}
			fmt.Fprintf(&b, "\nToo long for a comment, left out: %s. `avow diff` shows them.\n", tally(rest))
			break
		}
		b.WriteString(row)
	}
	return b.String()
}

func markdownRow(c diff.Change) string {
	direction := c.Direction.String()
	if rank(c) == 0 {
		direction = "**widening**"
	}
	happened := markdownValue(c, c.Old) + " → " + markdownValue(c, c.New)
	switch c.Kind {
	case diff.Added:
		happened = "added " + markdownValue(c, c.New)
	case diff.Removed:
		happened = "removed " + markdownValue(c, c.Old)
	}
	return fmt.Sprintf("| %s | %s | %s | %s: %s | %s |\n", direction, code(c.Item), c.What, code(member(c)), happened, own(c.Why))
}

// markdownValue is a value in the registry's words, or as foreign text.
func markdownValue(c diff.Change, s string) string {
	if label := predicate.Label(c.Registry, s); label != "" {
		return own(label)
	}
	return code(s)
}

// code writes foreign text so that nothing in it is obeyed: no markup, no link, no mention of a user or an issue, no end
// of the table's cell. Inside code all of them are plain text.
func code(s string) string {
	if s == "" {
		return ""
	}
	if runes := []rune(s); len(runes) > maxMarkdownValue {
		s = string(runes[:maxMarkdownValue]) + "…"
	}
	s = text.Safe(s)
	if strings.ContainsAny(s, "`|\\") || strings.TrimSpace(s) == "" {
		return "<code>" + entities(s) + "</code>"
	}
	return "`" + s + "`"
}

// entities writes every punctuation mark of ASCII as a character reference, so that there is none to obey.
func entities(s string) string { return references(s, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") }

// own escapes words of this program, in which there are no links and no mentions.
func own(s string) string { return references(s, "&*<>[\\]_`|~") }

func references(s, marks string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(marks, r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
