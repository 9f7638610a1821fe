package verify

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// The JSON of a bundle is read in two passes. predicate.StrictJSON has already
// refused whatever is not one well-formed value, a member named twice, null,
// and everything over the limits; parseTree then builds a tree of what is
// left. protojson is not used for it: it takes snake_case names, numbers for
// strings, and four spellings of the same base64, so that two readers of one
// file can see two bundles.

// kind is the type of a JSON value.
type kind byte

const (
	kindObject kind = '{'
	kindArray  kind = '['
	kindString kind = '"'
	kindOther  kind = '0' // number, true, false
)

// String names the kind in a check's text.
func (k kind) String() string {
	switch k {
	case kindObject:
		return "an object"
	case kindArray:
		return "an array"
	case kindString:
		return "a string"
	default:
		return "a number or boolean"
	}
}

// node is one JSON value: text of a string, members of an object, items of an array.
type node struct {
	kind    kind
	text    string
	members []member
	items   []node
}

type member struct {
	name  string
	value node
}

// formError is a bundle that is not in the canonical form, with the place.
type formError struct {
	pointer, expected, got string
}

// Error names the place, what was found there and what is wanted.
func (e *formError) Error() string {
	return fmt.Sprintf("%s: got %s, want %s", e.pointer, e.got, e.expected)
}

// treeParser reads JSON that StrictJSON has accepted. It checks bounds, not syntax.
type treeParser struct {
	data string // strings of the tree are parts of it
	pos  int
}

// parseTree builds the tree of a document that passed predicate.StrictJSON.
func parseTree(data []byte) (node, error) {
	p := &treeParser{data: string(data)}
	return p.value()
}

func (p *treeParser) peek() byte {
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			p.pos++
		default:
			return c
		}
	}
	return 0
}

func (p *treeParser) value() (node, error) {
	switch p.peek() {
	case '{':
		return p.object()
	case '[':
		return p.array()
	case '"':
		s, err := p.text()
		return node{kind: kindString, text: s}, err
	case 0:
		return node{}, fmt.Errorf("offset %d: JSON ends early", p.pos)
	default:
		start := p.pos
		for p.pos < len(p.data) && strings.IndexByte(" \t\r\n,]}", p.data[p.pos]) < 0 {
			p.pos++
		}
		return node{kind: kindOther, text: p.data[start:p.pos]}, nil
	}
}

func (p *treeParser) object() (node, error) {
	n := node{kind: kindObject}
	for p.pos++; p.peek() != '}'; {
		if p.peek() != '"' {
			return n, fmt.Errorf("offset %d: no member name", p.pos)
		}
		name, err := p.text()
		if err != nil {
			return n, err
		}
		v, err := p.value()
		if err != nil {
			return n, err
		}
		n.members = append(n.members, member{name, v})
	}
	p.pos++
	return n, nil
}

func (p *treeParser) array() (node, error) {
	n := node{kind: kindArray}
	for p.pos++; p.peek() != ']'; {
		v, err := p.value()
		if err != nil {
			return n, err
		}
		n.items = append(n.items, v)
	}
	p.pos++
	return n, nil
}

// text reads a string from its opening quote to past its closing one.
func (p *treeParser) text() (string, error) {
	start := p.pos
	rest := p.data[start+1:]
	end := strings.IndexByte(rest, '"')
	if end >= 0 && strings.IndexByte(rest[:end], '\\') < 0 {
		p.pos = start + 1 + end + 1
		return rest[:end], nil
	}
	for p.pos++; p.pos < len(p.data); p.pos++ {
		switch p.data[p.pos] {
		case '\\':
			p.pos++
		case '"':
			p.pos++
			var s string
			err := json.Unmarshal([]byte(p.data[start:p.pos]), &s)
			return s, err
		}
	}
	return "", fmt.Errorf("offset %d: string without end", start)
}

// fields reads an object whose members are exactly those named; each is given
// to its reader. Which are mandatory is for the caller to see.
func (n node) fields(at string, readers map[string]func(at string, v node) error) error {
	if n.kind != kindObject {
		return &formError{at, "an object", n.kind.String()}
	}
	for _, m := range n.members {
		read, ok := readers[m.name]
		if !ok {
			return &formError{at, "only the canonical members of a bundle v0.3", "member " + strconv.Quote(clip(m.name))}
		}
		if err := read(at+"/"+m.name, m.value); err != nil {
			return err
		}
	}
	return nil
}

// each reads an array of at most limit items.
func (n node) each(at string, limit int, read func(at string, v node) error) error {
	if n.kind != kindArray {
		return &formError{at, "an array", n.kind.String()}
	}
	if len(n.items) > limit {
		return &formError{at, fmt.Sprintf("at most %d items", limit), fmt.Sprintf("%d items", len(n.items))}
	}
	for i, v := range n.items {
		if err := read(at+"/"+strconv.Itoa(i), v); err != nil {
			return err
		}
	}
	return nil
}

// readText returns a reader that stores a string.
func readText(to *string) func(string, node) error {
	return func(at string, v node) error {
		if v.kind != kindString {
			return &formError{at, "a string", v.kind.String()}
		}
		*to = v.text
		return nil
	}
}

// strictBase64 refuses unused bits that are not zero.
var strictBase64 = base64.StdEncoding.Strict()

// readBytes returns a reader that stores what a string of canonical base64 holds:
// the standard alphabet, padded, no line breaks, unused bits zero.
func readBytes(to *[]byte) func(string, node) error {
	return func(at string, v node) error {
		if v.kind != kindString {
			return &formError{at, "a string of base64", v.kind.String()}
		}
		// encoding/base64 ignores line breaks even in strict mode; the length shows them.
		b, err := strictBase64.DecodeString(v.text)
		if err != nil || strictBase64.EncodedLen(len(b)) != len(v.text) {
			return &formError{at, "canonical base64 (standard alphabet, padded, no line breaks)", strconv.Quote(clip(v.text))}
		}
		*to = b
		return nil
	}
}

// readInt64 returns a reader that stores a 64-bit number, which protobuf's JSON
// mapping writes as a string; no sign, no leading zero.
func readInt64(to *int64) func(string, node) error {
	return func(at string, v node) error {
		i, err := strconv.ParseInt(v.text, 10, 64)
		if v.kind != kindString || err != nil || i < 0 || strconv.FormatInt(i, 10) != v.text {
			return &formError{at, "a decimal number in a string, 0 to 2^63-1", strconv.Quote(clip(v.text))}
		}
		*to = i
		return nil
	}
}

// clip bounds a foreign string that is quoted in a verdict.
func clip(s string) string {
	const limit = 120
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
