package report

import (
	"fmt"
	"strings"
)

// Markdown has two places for foreign text. Both give the text back and let it do nothing: no markup, no cell of a table,
// no HTML, no link, and nobody is told that he was mentioned.

// code writes a value for machines, which went through text.Safe: a name, an id, a digest. Platforms look for mentions and
// addresses everywhere but in code.
func code(s string) string {
	if s == "" {
		return ""
	}
	if !strings.ContainsAny(s, "`|\\") && strings.TrimSpace(s) == s {
		return "`" + s + "`"
	}
	// A code span cannot hold every text, and a table would cut it at a bar: so the element, with nothing in it that is markup.
	var b strings.Builder
	b.WriteString("<code>")
	for _, r := range s {
		if letterOrDigit(r) || r == ' ' || r > 0x7e {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	return b.String() + "</code>"
}

// prose writes a sentence. Characters that are or begin markup become entities. What platforms turn into links of their own
// (a mention, the number of an issue, an address) or into pictures is kept apart from what follows by a zero-width space,
// which is the only change to the text.
func prose(s string) string {
	var b strings.Builder
	runes := []rune(s)
	for i, r := range runes {
		before, after := rune(' '), rune(' ')
		if i > 0 {
			before = runes[i-1]
		}
		if i+1 < len(runes) {
			after = runes[i+1]
		}
		if harmless(before, r, after) {
			b.WriteRune(r)
			continue
		}
		fmt.Fprintf(&b, "&#%d;", r)
		if after != ' ' && strings.ContainsRune("@#!~$^%&:", r) {
			b.WriteString("&#8203;")
		}
	}
	return b.String()
}

// harmless reports whether a character stands for itself, whatever line it begins. A full stop in a name makes it an
// address, and one after a number makes it a list.
func harmless(before, r, after rune) bool {
	switch r {
	case ' ', ',', ';', '\'', '(', '/', '?':
		return true
	case ':':
		return after == ' '
	case '.':
		return letter(before) && !letterOrDigit(after)
	case '-':
		return before != ' '
	case ')':
		return before < '0' || before > '9'
	}
	return letterOrDigit(r) || r > 0x7e
}

func letter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }

func letterOrDigit(r rune) bool { return letter(r) || r >= '0' && r <= '9' }
