package predicate

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSONLimits bounds a document for [StrictJSON]. The zero value is the strictest:
// that of a statement.
type JSONLimits struct {
	// MaxBytes is the largest document in bytes; 0 = MaxStatementBytes.
	MaxBytes int
	// MaxDepth is the deepest nesting of objects and arrays, the outermost
	// counted as 1; 0 = MaxPredicateDepth + 1.
	MaxDepth int
	// MaxValues is the largest number of values; 0 = MaxValues.
	MaxValues int
	// AnyNumber allows every JSON number; otherwise only integers from 0 to
	// MaxInteger without fraction and exponent are.
	AnyNumber bool
	// AllowNull allows null. Readers differ on whether it is a value or an
	// absent member.
	AllowNull bool
}

// The reasons of a [JSONError]; stable.
const (
	ReasonSize         = "size"          // larger than MaxBytes
	ReasonUTF8         = "utf8"          // not UTF-8
	ReasonSyntax       = "syntax"        // not JSON (RFC 8259)
	ReasonDuplicateKey = "duplicate_key" // one key twice in an object, after unescaping
	ReasonSurrogate    = "surrogate"     // \u escape of a lone surrogate
	ReasonTrailing     = "trailing_data" // something after the value
	ReasonNull         = "null"          // null
	ReasonDepth        = "depth"         // nested deeper than MaxDepth
	ReasonValues       = "values"        // more than MaxValues values
	ReasonNumber       = "number"        // not an integer from 0 to MaxInteger
)

// JSONError says why a document is not strict JSON.
type JSONError struct {
	// Offset is the byte offset of the place.
	Offset int
	// Pointer is the RFC 6901 pointer of the value that was being read.
	Pointer string
	// Reason is one of the Reason constants.
	Reason string
	// Found is the offending text, printable and cut; may be empty.
	Found string
	// Message says what is wrong, without the place.
	Message string
}

// Error returns message, offset and pointer.
func (e *JSONError) Error() string {
	if e.Pointer == "" {
		return fmt.Sprintf("%s at byte %d", e.Message, e.Offset)
	}
	return fmt.Sprintf("%s at byte %d (%s)", e.Message, e.Offset, e.Pointer)
}

// StrictJSON checks that data is exactly one JSON value (RFC 8259) that no two
// readers read differently: UTF-8, no key twice in an object after unescaping,
// no lone surrogate, no null, nothing after the value, within the limits. It
// stops at the first problem; the error is a [*JSONError].
func StrictJSON(data []byte, limits JSONLimits) error {
	p := &jsonParser{limits: limits, checkOnly: true}
	if _, err := p.document(data); err != nil {
		return err
	}
	return nil
}

type nodeKind uint8

const (
	kindObject nodeKind = iota + 1
	kindArray
	kindString
	kindNumber
	kindBool
	kindNull
)

// String names the kind in a finding.
func (k nodeKind) String() string {
	switch k {
	case kindObject:
		return "an object"
	case kindArray:
		return "a list"
	case kindString:
		return "a string"
	case kindNumber:
		return "a number"
	case kindBool:
		return "a boolean"
	case kindNull:
		return "null"
	}
	return "nothing"
}

// node is one value of a document. Strings share the document's memory.
type node struct {
	kind       nodeKind
	start, end int    // bytes of the value in the document
	key        string // unescaped, if the value is a member of an object
	text       string // unescaped string
	number     int    // integer from 0 to MaxInteger, unless AnyNumber; true is 1
	children   []node // members or elements, in document order
}

// member returns the member of an object with exactly that key, or nil.
func (n *node) member(key string) *node {
	for i := range n.children {
		if n.children[i].key == key {
			return &n.children[i]
		}
	}
	return nil
}

// jsonParser is a recursive-descent parser; recursion is bounded by MaxDepth.
type jsonParser struct {
	text   string
	pos    int
	limits JSONLimits
	values int
	depth  int
	path   []pathToken
	// evidence puts up with numbers to MaxEvidenceInteger, and wide is the first
	// beyond MaxInteger: whether it may be there shows when the type is known.
	evidence bool
	wide     *JSONError
	// checkOnly drops children as soon as their container is read.
	checkOnly bool
	// scratch collects the children of the open containers.
	scratch []node
	// slab is where finished children are kept, so that small containers
	// share an allocation.
	slab []node
}

// keep copies finished children into the slab.
func (p *jsonParser) keep(children []node) []node {
	const slabNodes = 128
	if cap(p.slab)-len(p.slab) < len(children) {
		p.slab = make([]node, 0, max(slabNodes, len(children)))
	}
	start := len(p.slab)
	p.slab = append(p.slab, children...)
	return p.slab[start:len(p.slab):len(p.slab)]
}

type pathToken struct {
	key   string
	index int // -1: key
}

func renderPath(path []pathToken) string {
	var b strings.Builder
	for _, t := range path {
		b.WriteByte('/')
		if t.index >= 0 {
			b.WriteString(strconv.Itoa(t.index))
		} else {
			b.WriteString(escapeToken(t.key))
		}
	}
	return b.String()
}

func (l JSONLimits) withDefaults() JSONLimits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = MaxStatementBytes
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = MaxPredicateDepth + 1
	}
	if l.MaxValues <= 0 {
		l.MaxValues = MaxValues
	}
	return l
}

// parseStatement is parseJSON for a statement whose type is not known yet. The
// error beside the tree is a number that only [EvidenceTypes] may hold.
func parseStatement(data []byte) (root *node, doc string, wide, err *JSONError) {
	p := &jsonParser{limits: StatementJSONLimits(), evidence: true}
	if root, err = p.document(data); err != nil {
		return nil, "", nil, err
	}
	return root, p.text, p.wide, nil
}

// parseJSON returns the tree and the document as the string that it refers to.
func parseJSON(data []byte, limits JSONLimits) (*node, string, *JSONError) {
	p := &jsonParser{limits: limits}
	root, err := p.document(data)
	if err != nil {
		return nil, "", err
	}
	return root, p.text, nil
}

// document reads data as one value with nothing after it.
func (p *jsonParser) document(data []byte) (*node, *JSONError) {
	p.limits = p.limits.withDefaults()
	if len(data) > p.limits.MaxBytes {
		return nil, &JSONError{Offset: p.limits.MaxBytes, Reason: ReasonSize,
			Message: fmt.Sprintf("document of %d bytes, the limit is %d", len(data), p.limits.MaxBytes)}
	}
	p.text = string(data)
	if !utf8.ValidString(p.text) {
		at := firstInvalidUTF8(p.text)
		return nil, &JSONError{Offset: at, Reason: ReasonUTF8, Found: fmt.Sprintf("0x%02x", p.text[at]),
			Message: "document is not UTF-8"}
	}
	p.space()
	root, err := p.value()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos != len(p.text) {
		return nil, p.fail(ReasonTrailing, p.pos, "data after the end of the value")
	}
	return &root, nil
}

func firstInvalidUTF8(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(s)
}

// fail describes a problem at an offset; Found is the text from there on.
func (p *jsonParser) fail(reason string, at int, format string, args ...any) *JSONError {
	end := min(at+24, len(p.text))
	for end > at && end < len(p.text) && !utf8.RuneStart(p.text[end]) {
		end--
	}
	found := ""
	if at < end {
		found, _, _ = strings.Cut(p.text[at:end], "\n")
	}
	return &JSONError{Offset: at, Pointer: renderPath(p.path), Reason: reason, Found: printable(found),
		Message: fmt.Sprintf(format, args...)}
}

func (p *jsonParser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// value reads one value; the position is at its first byte.
func (p *jsonParser) value() (n node, err *JSONError) {
	if p.pos >= len(p.text) {
		return n, p.fail(ReasonSyntax, p.pos, "document ends where a value is expected")
	}
	if p.values++; p.values > p.limits.MaxValues {
		return n, p.fail(ReasonValues, p.pos, "more than %d values", p.limits.MaxValues)
	}
	start := p.pos
	switch c := p.text[p.pos]; {
	case c == '{':
		n.kind = kindObject
		n.children, err = p.container(kindObject, '}')
	case c == '[':
		n.kind = kindArray
		n.children, err = p.container(kindArray, ']')
	case c == '"':
		n.kind = kindString
		n.text, err = p.str()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = kindNumber
		n.number, err = p.num()
	case strings.HasPrefix(p.text[p.pos:], "true"):
		n.kind, n.number, p.pos = kindBool, 1, p.pos+len("true")
	case strings.HasPrefix(p.text[p.pos:], "false"):
		n.kind, p.pos = kindBool, p.pos+len("false")
	case strings.HasPrefix(p.text[p.pos:], "null"):
		if !p.limits.AllowNull {
			return n, p.fail(ReasonNull, p.pos, "null is not allowed")
		}
		n.kind, p.pos = kindNull, p.pos+len("null")
	default:
		err = p.fail(ReasonSyntax, p.pos, "a value is expected")
	}
	n.start, n.end = start, p.pos
	return n, err
}

// container reads an object or an array and returns its children.
func (p *jsonParser) container(kind nodeKind, closing byte) ([]node, *JSONError) {
	if p.depth++; p.depth > p.limits.MaxDepth {
		return nil, p.fail(ReasonDepth, p.pos, "nested deeper than %d levels", p.limits.MaxDepth)
	}
	p.pos++
	base := len(p.scratch)
	var seen map[string]struct{} // keys, once an object is large
	for first := true; ; first = false {
		p.space()
		if p.pos < len(p.text) && p.text[p.pos] == closing && first {
			break
		}
		key := ""
		if kind == kindObject {
			var err *JSONError
			if key, err = p.key(p.scratch[base:], &seen); err != nil {
				return nil, err
			}
			p.path = append(p.path, pathToken{key: key, index: -1})
		} else {
			p.path = append(p.path, pathToken{index: len(p.scratch) - base})
		}
		child, err := p.value()
		if err != nil {
			return nil, err
		}
		child.key = key
		p.path = p.path[:len(p.path)-1]
		p.scratch = append(p.scratch, child)
		p.space()
		if p.pos < len(p.text) && p.text[p.pos] == ',' {
			p.pos++
			continue
		}
		if p.pos < len(p.text) && p.text[p.pos] == closing {
			break
		}
		return nil, p.fail(ReasonSyntax, p.pos, "',' or '%c' is expected", closing)
	}
	p.pos++
	p.depth--
	if len(p.scratch) == base {
		return nil, nil
	}
	if p.checkOnly {
		p.scratch = p.scratch[:base]
		return nil, nil
	}
	children := p.keep(p.scratch[base:])
	p.scratch = p.scratch[:base]
	return children, nil
}

// linearKeys is the size up to which the keys of an object are compared one by
// one; a larger object gets a map, so that time stays linear.
const linearKeys = 24

// key reads a member's key and the colon, and refuses a key that was there.
func (p *jsonParser) key(siblings []node, seen *map[string]struct{}) (string, *JSONError) {
	if p.pos >= len(p.text) || p.text[p.pos] != '"' {
		return "", p.fail(ReasonSyntax, p.pos, "a key in quotation marks is expected")
	}
	at := p.pos
	key, err := p.str()
	if err != nil {
		return "", err
	}
	duplicate := false
	switch {
	case *seen != nil:
		_, duplicate = (*seen)[key]
	case len(siblings) < linearKeys:
		for i := range siblings {
			duplicate = duplicate || siblings[i].key == key
		}
	default:
		*seen = make(map[string]struct{}, 2*linearKeys)
		for i := range siblings {
			(*seen)[siblings[i].key] = struct{}{}
		}
		_, duplicate = (*seen)[key]
	}
	if duplicate {
		p.path = append(p.path, pathToken{key: key, index: -1})
		err := p.fail(ReasonDuplicateKey, at, "key stands twice in one object")
		err.Found = printable(key)
		return "", err
	}
	if *seen != nil {
		(*seen)[key] = struct{}{}
	}
	p.space()
	if p.pos >= len(p.text) || p.text[p.pos] != ':' {
		return "", p.fail(ReasonSyntax, p.pos, "':' is expected")
	}
	p.pos++
	p.space()
	return key, nil
}

// num reads a number by the grammar of RFC 8259, section 6. The value is 0 if
// any number is allowed.
func (p *jsonParser) num() (int, *JSONError) {
	start := p.pos
	if p.text[p.pos] == '-' {
		p.pos++
	}
	intStart := p.pos
	if !p.digits() {
		return 0, p.fail(ReasonSyntax, start, "not a number")
	}
	if p.text[intStart] == '0' && p.pos > intStart+1 {
		return 0, p.fail(ReasonSyntax, start, "number with a leading zero")
	}
	integer := intStart == start
	if p.pos < len(p.text) && p.text[p.pos] == '.' {
		integer = false
		p.pos++
		if !p.digits() {
			return 0, p.fail(ReasonSyntax, start, "not a number")
		}
	}
	if p.pos < len(p.text) && (p.text[p.pos] == 'e' || p.text[p.pos] == 'E') {
		integer = false
		p.pos++
		if p.pos < len(p.text) && (p.text[p.pos] == '+' || p.text[p.pos] == '-') {
			p.pos++
		}
		if !p.digits() {
			return 0, p.fail(ReasonSyntax, start, "not a number")
		}
	}
	if p.limits.AnyNumber {
		return 0, nil
	}
	text := p.text[start:p.pos]
	v, err := strconv.ParseInt(text, 10, 64)
	if !integer || err != nil || v > MaxInteger {
		e := p.fail(ReasonNumber, start, "number is not an integer from 0 to %d", MaxInteger)
		e.Found = printable(text)
		if !p.evidence || !integer || err != nil || v > MaxEvidenceInteger {
			return 0, e
		}
		if p.wide == nil {
			p.wide = e
		}
		return 0, nil
	}
	return int(v), nil
}

func (p *jsonParser) digits() bool {
	start := p.pos
	for p.pos < len(p.text) && p.text[p.pos] >= '0' && p.text[p.pos] <= '9' {
		p.pos++
	}
	return p.pos > start
}
