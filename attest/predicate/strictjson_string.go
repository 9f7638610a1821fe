package predicate

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string with its quotation marks and returns it unescaped. A
// string without escapes shares the document's memory.
func (p *jsonParser) str() (string, *JSONError) {
	start := p.pos
	p.pos++
	for i := p.pos; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			s := p.text[p.pos:i]
			p.pos = i + 1
			return s, nil
		case c == '\\':
			return p.escaped(start, i)
		case c < 0x20:
			return "", p.fail(ReasonSyntax, i, "control character 0x%02x in a string", c)
		}
	}
	return "", p.fail(ReasonSyntax, start, "string without an end")
}

// escaped reads the rest of a string whose first escape is at i.
func (p *jsonParser) escaped(start, i int) (string, *JSONError) {
	var b strings.Builder
	b.WriteString(p.text[p.pos:i])
	for i < len(p.text) {
		switch c := p.text[i]; {
		case c == '"':
			p.pos = i + 1
			return b.String(), nil
		case c == '\\':
			n, err := p.escape(&b, i)
			if err != nil {
				return "", err
			}
			i += n
		case c < 0x20:
			return "", p.fail(ReasonSyntax, i, "control character 0x%02x in a string", c)
		default:
			b.WriteByte(c)
			i++
		}
	}
	return "", p.fail(ReasonSyntax, start, "string without an end")
}

// escape appends the character of the escape at i and returns its length.
func (p *jsonParser) escape(b *strings.Builder, i int) (int, *JSONError) {
	if i+1 >= len(p.text) {
		return 0, p.fail(ReasonSyntax, i, "escape without an end")
	}
	switch c := p.text[i+1]; c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		return p.unicodeEscape(b, i)
	default:
		return 0, p.fail(ReasonSyntax, i, "unknown escape")
	}
	return 2, nil
}

// unicodeEscape reads \uXXXX, or a pair of them that is one character.
func (p *jsonParser) unicodeEscape(b *strings.Builder, i int) (int, *JSONError) {
	r, ok := p.hex4(i)
	if !ok {
		return 0, p.fail(ReasonSyntax, i, "\\u is not followed by four hexadecimal digits")
	}
	if !utf16.IsSurrogate(r) {
		b.WriteRune(r)
		return 6, nil
	}
	if low, ok := p.hex4(i + 6); ok {
		if c := utf16.DecodeRune(r, low); c != utf8.RuneError {
			b.WriteRune(c)
			return 12, nil
		}
	}
	// Some readers refuse it, others turn it into U+FFFD: the signed text
	// would differ from the text that is shown.
	return 0, p.fail(ReasonSurrogate, i, "escape of a lone surrogate, which is no character")
}

// hex4 reads the \uXXXX at i.
func (p *jsonParser) hex4(i int) (rune, bool) {
	if i+6 > len(p.text) || p.text[i] != '\\' || p.text[i+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(p.text[i+2 : i+6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
