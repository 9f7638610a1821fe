package policy

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"go.yaml.in/yaml/v3"
)

// ParameterType is the kind of value that a parameter takes.
type ParameterType string

// The types of parameters.
const (
	// ParameterList is a list of strings, list(string) in expressions.
	ParameterList ParameterType = "list"
	// ParameterString is a string.
	ParameterString ParameterType = "string"
	// ParameterInt is a whole number, int in expressions.
	ParameterInt ParameterType = "int"
	// ParameterDuration is a period as 90d or 36h, duration in expressions.
	ParameterDuration ParameterType = "duration"
)

// Parameter is a value that a buyer sets.
type Parameter struct {
	// Name is the name in expressions.
	Name string
	// Type is the kind of value.
	Type ParameterType
	// Description says what it is, in plain words; may be empty.
	Description string
	// Value is the value in effect, as it would be given in [Options]; Set is
	// false where there is none, and every rule that reads it fails.
	Value string
	Set   bool
}

// parameter is a parameter of one file.
type parameter struct {
	Parameter
	src  *source
	node *yaml.Node
	// value is the value in effect; nil where none is set.
	value ref.Val
}

// readParameters reads the mapping of parameters: a value by itself, whose kind
// is the type, or type, default and description.
func (d *document) readParameters(n *yaml.Node) {
	switch {
	case n.Kind != yaml.MappingNode:
		d.bad(n, CodeType, "", "parameters is %s, want members (NAME: value)", kindOf(n))
		return
	case len(n.Content)/2 > MaxParameters:
		d.bad(n, CodeLimit, "", "%d parameters, want at most %d", len(n.Content)/2, MaxParameters)
		return
	}
	d.pairs(n, func(key, value *yaml.Node) {
		if !isParameterName(key.Value) {
			d.bad(key, CodeValue, "capital letters, digits, underscore; at most 64", "%q is not a parameter name", clip(key.Value))
			return
		}
		p := &parameter{Parameter: Parameter{Name: key.Value}, src: d.source, node: key}
		if value.Kind != yaml.MappingNode {
			p.Type = typeOf(value)
			d.readValue(p, value)
		} else {
			d.readLongParameter(p, value)
		}
		d.parameters = append(d.parameters, p)
	})
}

func (d *document) readLongParameter(p *parameter, n *yaml.Node) {
	var given *yaml.Node
	d.mapping(n, "a parameter",
		member{"type", true, func(n *yaml.Node) {
			p.Type = ParameterType(n.Value)
			known := []string{string(ParameterList), string(ParameterString), string(ParameterInt), string(ParameterDuration)}
			if n.Kind != yaml.ScalarNode || !slices.Contains(known, n.Value) {
				d.bad(n, CodeValue, suggest(n.Value, known), "%q is not a type of parameter", clip(n.Value))
				p.Type = ""
			}
		}},
		member{"default", false, func(n *yaml.Node) { given = n }},
		member{"description", false, d.words(&p.Description, "description", MaxTextBytes)})
	if given != nil && p.Type != "" {
		d.readValue(p, given)
	}
}

// typeOf is the type of a parameter that is given as a bare value.
func typeOf(n *yaml.Node) ParameterType {
	switch {
	case n.Kind == yaml.SequenceNode:
		return ParameterList
	case n.Tag == "!!int":
		return ParameterInt
	}
	return ParameterString
}

// readValue reads the value of a parameter of a known type from YAML.
func (d *document) readValue(p *parameter, n *yaml.Node) {
	before := len(d.errors)
	switch p.Type {
	case ParameterList:
		texts := []string{}
		d.items(n, p.Name, MaxParameterValues, func(n *yaml.Node) {
			var s string
			d.words(&s, "an element of "+p.Name, MaxTextBytes)(n)
			texts = append(texts, s)
		})
		p.set(newTextList(texts))
	case ParameterInt:
		var v int
		d.number(&v, p.Name, math.MaxInt32)(n)
		p.set(types.Int(v))
	case ParameterDuration:
		var s string
		d.words(&s, p.Name, 64)(n)
		v, err := parseDuration(s)
		if err != nil && len(d.errors) == before {
			d.bad(n, CodeValue, "days as 90d, or hours as 36h", "%s: %v", p.Name, err)
		}
		p.set(types.Duration{Duration: v})
	default:
		var s string
		d.words(&s, p.Name, MaxTextBytes)(n)
		p.set(types.String(s))
	}
}

func (p *parameter) set(v ref.Val) {
	p.value, p.Set = v, true
	switch v := v.(type) {
	case *list:
		p.Value = "[" + strings.Join(quoteAll(v.texts()), ", ") + "]"
	case types.Duration:
		p.Value = v.String()
	default:
		p.Value = fmt.Sprint(v.Value())
	}
}

func quoteAll(texts []string) []string {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = strconv.Quote(s)
	}
	return quoted
}

// parse reads the value of an option.
func (p *parameter) parse(text string) error {
	if !utf8.ValidString(text) {
		return errors.New("not UTF-8")
	}
	switch p.Type {
	case ParameterList:
		texts, err := parseList(text)
		if err != nil {
			return err
		}
		p.set(newTextList(texts))
	case ParameterInt:
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 || v > math.MaxInt32 {
			return fmt.Errorf("%q is not a whole number from 0 to %d", clip(text), math.MaxInt32)
		}
		p.set(types.Int(v))
	case ParameterDuration:
		v, err := parseDuration(text)
		if err != nil {
			return err
		}
		p.set(types.Duration{Duration: v})
	default:
		if strings.TrimSpace(text) == "" || len(text) > MaxTextBytes {
			return fmt.Errorf("a text of %d bytes, want 1 to %d", len(text), MaxTextBytes)
		}
		p.set(types.String(text))
	}
	return nil
}

// parseList reads elements between commas, or in brackets and quotes as in YAML,
// where an element holds a comma.
func parseList(text string) ([]string, error) {
	if len(text) > MaxPolicyBytes {
		return nil, fmt.Errorf("a list of %d bytes, want at most %d", len(text), MaxPolicyBytes)
	}
	texts := []string{}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		d := &document{source: newSource("", []byte(text))}
		if root := d.document(); root != nil {
			p := &parameter{Parameter: Parameter{Type: ParameterList, Name: "the list"}}
			d.readValue(p, root)
			if l, ok := p.value.(*list); ok {
				texts = l.texts()
			}
		}
		if len(d.errors) > 0 {
			return nil, fmt.Errorf("%s", d.errors[0].Message)
		}
		return texts, nil
	}
	for _, s := range strings.Split(text, ",") {
		if s = strings.TrimSpace(s); s == "" || len(s) > MaxTextBytes {
			return nil, fmt.Errorf("an element of %d bytes, want 1 to %d", len(s), MaxTextBytes)
		}
		if texts = append(texts, s); len(texts) > MaxParameterValues {
			return nil, fmt.Errorf("more than %d elements", MaxParameterValues)
		}
	}
	return texts, nil
}

// parseDuration reads 90d, or what Go calls a duration: 36h, 1h30m.
func parseDuration(text string) (time.Duration, error) {
	if number, isDays := strings.CutSuffix(text, "d"); isDays {
		n, err := strconv.Atoi(number)
		if err != nil || n < 0 || n > 36525 {
			return 0, fmt.Errorf("%q is not a number of days from 0 to 36525", clip(text))
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is not a duration: want days as 90d, or hours as 36h", clip(text))
	}
	return v, nil
}

// celType is the type of the parameter in expressions.
func (t ParameterType) celType() *cel.Type {
	switch t {
	case ParameterList:
		return cel.ListType(cel.StringType)
	case ParameterInt:
		return cel.IntType
	case ParameterDuration:
		return cel.DurationType
	}
	return cel.StringType
}
