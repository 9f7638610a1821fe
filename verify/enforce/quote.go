package enforce

import (
	"strconv"
	"strings"
)

// maxQuoted is how many bytes of a foreign text are shown.
const maxQuoted = 200

// quoted returns foreign text as a quoted string of printable ASCII: no text can end a line, a comment or the quotes. It ends
// in a quote, so that a backslash at the end of the text continues no line.
func quoted(s string) string {
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + "..."
	}
	return strconv.QuoteToASCII(s)
}

// plainText returns a sentence that may hold quoted text as printable ASCII on one line.
func plainText(s string) string {
	q := strconv.QuoteToASCII(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}
