package text

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// maxMarks is how many combining marks may follow each other. No writing needs more; a pile of them covers the lines
// above.
const maxMarks = 4

// Safe returns s with everything that is not plainly printable written as an escape: control characters (line breaks
// and ESC among them), formatting characters such as bidirectional overrides and zero-width joiners, line and
// paragraph separators, private-use and unassigned characters, bytes that are not UTF-8, and combining marks piled
// higher than any writing needs. Spaces of all kinds become one plain space each. A backslash stays as it is: the
// result is for reading, not for decoding.
func Safe(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if marks++; !unicode.Is(unicode.M, r) {
			marks = 0
		}
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x`)
			b.WriteString(strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
		case unicode.IsPrint(r) && marks <= maxMarks:
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// Width returns how many columns s takes on a terminal: 2 for wide East Asian characters, 0 for combining marks and
// for the styles of this package, else 1.
func Width(s string) int {
	if isPlain(s) {
		return len(s)
	}
	n := 0
	style := false // inside ESC ... m, which only Writer.Style writes
	for _, r := range s {
		switch {
		case r == '\x1b' || style:
			style = r != 'm'
		case unicode.In(r, unicode.Mn, unicode.Me):
		case width.LookupRune(r).Kind() == width.EastAsianWide || width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// Wrap breaks s into lines of at most columns columns, at spaces where there are any. It returns at least one line.
func Wrap(s string, columns int) []string {
	return WrapBy(s, max(columns, 1), Width)
}

// WrapBy is Wrap for a width that measure tells, of characters one by one and together: for proportional type.
func WrapBy(s string, limit int, measure func(string) int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for {
			joined := word
			if line != "" {
				joined = line + " " + word
			}
			if measure(joined) <= limit {
				line = joined
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
				continue
			}
			head := cut(word, limit, measure)
			lines, word = append(lines, head), word[len(head):]
			if word == "" {
				break
			}
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// cut returns the longest beginning of a word that fits, and at least one character of it. It ends after a separator
// where there is one, so that host names and ids break at their joints.
func cut(word string, limit int, measure func(string) int) string {
	end, joint, n := 0, 0, 0
	for i, r := range word {
		n += measure(string(r))
		if n > limit && i > 0 {
			break
		}
		end = i + utf8.RuneLen(r)
		if strings.ContainsRune("-._/:@", r) {
			joint = end
		}
	}
	if joint > 0 {
		end = joint
	}
	return word[:end]
}
