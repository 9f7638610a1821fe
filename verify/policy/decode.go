package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/avow-dev/avow/attest/predicate"
)

// errNotJSON ends the reading of bytes that are not strict JSON.
var errNotJSON = errors.New("not strict JSON")

// decoder reads the predicate of a statement into values. The bytes were found
// to be strict JSON before (predicate.Parse, or predicate.StrictJSON), so that it
// has little to check: whatever it does not expect ends in errNotJSON. It keeps
// what the schema knows, skips the rest, and copies no string.
type decoder struct {
	text string
	pos  int
	// mask says which members are kept, by message and member; nil keeps all.
	mask  [][]bool
	meter *meter
	// slots is where the members of the next objects lie, so that small objects
	// share an allocation; scratch collects the elements of open lists.
	slots   []ref.Val
	scratch []ref.Val
}

// predicate reads the predicate of a statement as a message.
func (d *decoder) predicate(payload string, m *message) (*object, error) {
	d.text, d.pos = payload, 0
	var found ref.Val
	err := d.members(func(key string) error {
		if key != "predicate" {
			return d.skip()
		}
		var err error
		found, err = d.message(m)
		return err
	})
	if err != nil {
		return nil, err
	}
	o, ok := found.(*object)
	if !ok {
		return nil, fmt.Errorf("%w: no predicate that is an object", errNotJSON)
	}
	return o, nil
}

// space skips white space and returns the byte that follows, or 0.
func (d *decoder) space() byte {
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; c {
		case ' ', '\n', '\t', '\r':
			d.pos++
		default:
			return c
		}
	}
	return 0
}

// take skips white space and one byte that must be c.
func (d *decoder) take(c byte) error {
	if d.space() != c {
		return errNotJSON
	}
	d.pos++
	return nil
}

// members walks an object; read must read or skip the value.
func (d *decoder) members(read func(key string) error) error {
	if err := d.take('{'); err != nil {
		return err
	}
	if d.space() == '}' {
		d.pos++
		return nil
	}
	for {
		key, err := d.str()
		if err != nil {
			return err
		}
		if err := d.take(':'); err != nil {
			return err
		}
		if err := read(key); err != nil {
			return err
		}
		if more, err := d.more('}'); !more {
			return err
		}
	}
}

// elements walks a list; read must read or skip the value.
func (d *decoder) elements(read func() error) error {
	if err := d.take('['); err != nil {
		return err
	}
	if d.space() == ']' {
		d.pos++
		return nil
	}
	for {
		if err := read(); err != nil {
			return err
		}
		if more, err := d.more(']'); !more {
			return err
		}
	}
}

// more reads what follows a member or an element: a comma, or the end.
func (d *decoder) more(end byte) (bool, error) {
	switch d.space() {
	case ',':
		d.pos++
		return true, nil
	case end:
		d.pos++
		return false, nil
	}
	return false, errNotJSON
}

// str reads a string.
func (d *decoder) str() (string, error) {
	raw, escaped, err := d.rawString()
	if err != nil || !escaped {
		return raw, err
	}
	var s string
	if err := json.Unmarshal([]byte(`"`+raw+`"`), &s); err != nil {
		return "", errNotJSON
	}
	return s, nil
}

// rawString reads a string without undoing its escapes.
func (d *decoder) rawString() (raw string, escaped bool, err error) {
	if err := d.take('"'); err != nil {
		return "", false, err
	}
	start := d.pos
	for {
		n := strings.IndexByte(d.text[d.pos:], '"')
		if n < 0 {
			return "", false, errNotJSON
		}
		end := d.pos + n
		backslashes := 0
		for i := end - 1; i >= start && d.text[i] == '\\'; i-- {
			backslashes++
		}
		d.pos = end + 1
		if backslashes%2 == 0 {
			raw = d.text[start:end]
			return raw, strings.IndexByte(raw, '\\') >= 0, nil
		}
	}
}

// literal reads a number, true, false or null as it is written.
func (d *decoder) literal() (string, error) {
	d.space()
	start := d.pos
	for d.pos < len(d.text) {
		switch d.text[d.pos] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			if d.pos == start {
				return "", errNotJSON
			}
			return d.text[start:d.pos], nil
		}
		d.pos++
	}
	if d.pos == start {
		return "", errNotJSON
	}
	return d.text[start:], nil
}

// skip passes over a value.
func (d *decoder) skip() error {
	switch d.space() {
	case '{':
		return d.members(func(string) error { return d.skip() })
	case '[':
		return d.elements(d.skip)
	case '"':
		_, _, err := d.rawString()
		return err
	}
	_, err := d.literal()
	return err
}

// mistyped skips a value that is not of its type and stands for it in the tree:
// only the rules that read it fail.
func (d *decoder) mistyped(name, want string) (ref.Val, error) {
	got := "a literal"
	switch d.space() {
	case '{':
		got = "an object"
	case '[':
		got = "a list"
	case '"':
		got = "a string"
	}
	if err := d.skip(); err != nil {
		return nil, err
	}
	return types.NewErr("member %s is %s, want %s", name, got, want), nil
}

// message reads an object of known members.
func (d *decoder) message(m *message) (ref.Val, error) {
	if d.space() != '{' {
		return d.mistyped(m.short, "an object")
	}
	o := &object{msg: m, values: d.slotsFor(len(m.fields))}
	var kept []bool
	if d.mask != nil {
		kept = d.mask[m.id]
	}
	expected := 0
	return o, d.members(func(key string) error {
		i := expected
		for i < len(m.fields) && m.fields[i].name < key {
			i++
		}
		if i == len(m.fields) || m.fields[i].name != key {
			var known bool
			if i, known = m.index[key]; !known {
				return d.skip()
			}
		}
		expected = i + 1
		if kept != nil && !kept[i] {
			return d.skip()
		}
		var err error
		if m.fields[i].list {
			o.values[i], err = d.list(m.fields[i])
		} else {
			o.values[i], err = d.value(m.fields[i])
		}
		return err
	})
}

func (d *decoder) slotsFor(n int) []ref.Val {
	const chunk = 512
	if len(d.slots) < n {
		d.slots = make([]ref.Val, max(chunk, n))
	}
	s := d.slots[:n:n]
	d.slots = d.slots[n:]
	return s
}

func (d *decoder) list(f field) (ref.Val, error) {
	if d.space() != '[' {
		return d.mistyped(f.name, "a list")
	}
	start := len(d.scratch)
	var bad ref.Val
	err := d.elements(func() error {
		v, err := d.value(f)
		if e, is := v.(*types.Err); is {
			bad = e
		}
		d.scratch = append(d.scratch, v)
		return err
	})
	values := d.slotsFor(len(d.scratch) - start)
	copy(values, d.scratch[start:])
	d.scratch = d.scratch[:start]
	if bad != nil {
		return bad, err
	}
	return &list{values: values, meter: d.meter}, err
}

// value reads a member, or an element of a member that is a list.
func (d *decoder) value(f field) (ref.Val, error) {
	first := d.space()
	switch f.kind {
	case kindMessage:
		return d.message(f.of)
	case kindInt:
		if first < '0' || first > '9' {
			return d.mistyped(f.name, "a number")
		}
		return d.integer()
	case kindBool:
		if first != 't' && first != 'f' {
			return d.mistyped(f.name, "true or false")
		}
		literal, err := d.literal()
		return types.Bool(literal == "true"), err
	case kindTexts:
		if first != '{' {
			return d.mistyped(f.name, "an object")
		}
		return d.texts(f)
	case kindFree:
		return d.free()
	default:
		if first != '"' {
			return d.mistyped(f.name, "a string")
		}
		return d.textValue()
	}
}

// words are the values of registries as CEL values: most strings of a statement
// that a rule reads are among them, and need no allocation.
var words = sync.OnceValue(func() map[string]ref.Val {
	m := map[string]ref.Val{}
	for _, r := range predicate.Registries() {
		for _, v := range r.Values {
			m[v.ID] = types.String(v.ID)
		}
	}
	return m
})

func (d *decoder) textValue() (ref.Val, error) {
	s, err := d.str()
	if err != nil {
		return nil, err
	}
	if v, ok := words()[s]; ok {
		return v, nil
	}
	return types.String(s), nil
}

func (d *decoder) integer() (ref.Val, error) {
	literal, err := d.literal()
	if err != nil {
		return nil, err
	}
	n := 0
	for _, c := range []byte(literal) {
		if c < '0' || c > '9' || n > predicate.MaxInteger {
			return types.NewErr("%s is not a whole number from 0 to %d", clip(literal), predicate.MaxInteger), nil
		}
		n = n*10 + int(c-'0')
	}
	return types.Int(n), nil
}

// texts reads an object of free keys whose values are strings.
func (d *decoder) texts(f field) (ref.Val, error) {
	m := map[string]string{}
	var bad ref.Val
	err := d.members(func(key string) error {
		if d.space() != '"' {
			var err error
			bad, err = d.mistyped(f.name, "an object of strings")
			return err
		}
		s, err := d.str()
		m[key] = s
		return err
	})
	if bad != nil {
		return bad, err
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, m), err
}

// free reads any value: those below extensions and annotations have no type.
func (d *decoder) free() (ref.Val, error) {
	switch d.space() {
	case '{':
		m := map[ref.Val]ref.Val{}
		err := d.members(func(key string) error {
			v, err := d.free()
			m[types.String(key)] = v
			return err
		})
		return types.NewRefValMap(types.DefaultTypeAdapter, m), err
	case '[':
		var values []ref.Val
		err := d.elements(func() error {
			v, err := d.free()
			values = append(values, v)
			return err
		})
		return &list{values: values, meter: d.meter}, err
	case '"':
		return d.textValue()
	}
	literal, err := d.literal()
	if err != nil {
		return nil, err
	}
	switch literal {
	case "true", "false":
		return types.Bool(literal == "true"), nil
	case "null":
		return types.NullValue, nil
	}
	d.pos -= len(literal)
	return d.integer()
}

// clip bounds foreign text in an error.
func clip(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
