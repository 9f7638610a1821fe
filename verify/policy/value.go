package policy

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// object is a value of a message type: what the JSON holds and no more. A member
// that is not there has no value, and reading it is an error: a default would
// make silence look like good news.
type object struct {
	msg *message
	// values are the members in the message's order; nil is absent. A member
	// whose JSON is not of its type holds a *types.Err.
	values []ref.Val
	// absent says, for a statement that is not there at all, what is missing.
	absent string
	// whole is of a statement's predicate alone, not of the objects in it.
	whole *whole
}

// newObject makes a value from members by name; empty strings are left out.
func newObject(m *message, members map[string]ref.Val) *object {
	o := &object{msg: m, values: make([]ref.Val, len(m.fields))}
	for name, v := range members {
		if v != types.String("") {
			o.values[m.index[name]] = v
		}
	}
	return o
}

func (o *object) get(i int) (any, error) {
	if o.absent != "" {
		return nil, errors.New(o.absent)
	}
	v := o.values[i]
	if v == nil {
		return nil, fmt.Errorf("%s has no member %s", o.msg.short, o.msg.fields[i].name)
	}
	if err, bad := v.(*types.Err); bad {
		return nil, fmt.Errorf("%s: %w", o.msg.short, err.Unwrap())
	}
	return v, nil
}

// text returns a member that is a string, or "".
func (o *object) text(name string) string {
	i, ok := o.msg.index[name]
	if !ok || o.values == nil {
		return ""
	}
	s, _ := o.values[i].(types.String)
	return string(s)
}

// fieldType gives the checker the member's type and the evaluation its value.
func (m *message) fieldType(i int) *types.FieldType {
	return &types.FieldType{
		Type: m.fields[i].typ,
		IsSet: func(target any) bool {
			o, ok := target.(*object)
			if !ok || o.msg != m || o.values == nil {
				return false
			}
			member, isObject := o.values[i].(*object)
			return o.values[i] != nil && !(isObject && member.absent != "")
		},
		GetFrom: func(target any) (any, error) {
			o, ok := target.(*object)
			if !ok || o.msg != m {
				return nil, fmt.Errorf("not a %s", m.short)
			}
			return o.get(i)
		},
	}
}

// ConvertToNative implements ref.Val. No Go type stands for an object.
func (o *object) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot become a %s", o.msg.name, t)
}

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	switch {
	case t == types.TypeType:
		return o.msg.typ
	case t.TypeName() == o.msg.name:
		return o
	}
	return types.NewErr("type conversion error from '%s' to '%s'", o.msg.name, t.TypeName())
}

// Equal implements ref.Val: the same members with equal values.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	if !ok || o.msg != p.msg || o.absent != "" || p.absent != "" {
		return types.False
	}
	for i, v := range o.values {
		w := p.values[i]
		if (v == nil) != (w == nil) {
			return types.False
		}
		if v == nil {
			continue
		}
		if equal := v.Equal(w); equal != types.True {
			return equal
		}
	}
	return types.True
}

// Type implements ref.Val.
func (o *object) Type() ref.Type { return o.msg.typ }

// Value implements ref.Val; the evaluation hands it to fieldType's functions.
func (o *object) Value() any { return o }

// provider resolves the message types for CEL, and everything else as CEL's own
// registry does.
type provider struct {
	*types.Registry
	schema *schema
	// fields holds the field types, made once.
	fields map[string]map[string]*types.FieldType
}

func newProvider(s *schema) (*provider, error) {
	registry, err := types.NewProtoRegistry()
	if err != nil {
		return nil, err
	}
	p := &provider{Registry: registry, schema: s, fields: map[string]map[string]*types.FieldType{}}
	for name, m := range s.byName {
		p.fields[name] = make(map[string]*types.FieldType, len(m.fields))
		for i, f := range m.fields {
			p.fields[name][f.name] = m.fieldType(i)
		}
	}
	return p, nil
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if m, ok := p.schema.byName[name]; ok {
		return types.NewTypeTypeWithParam(m.typ), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	m, ok := p.schema.byName[name]
	if !ok {
		return p.Registry.FindStructFieldNames(name)
	}
	names := make([]string, len(m.fields))
	for i, f := range m.fields {
		names[i] = f.name
	}
	return names, true
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, member string) (*types.FieldType, bool) {
	if fields, ok := p.fields[name]; ok {
		f, ok := fields[member]
		return f, ok
	}
	return p.Registry.FindStructFieldType(name, member)
}

// FindIdent implements types.Provider.
func (p *provider) FindIdent(name string) (ref.Val, bool) {
	if m, ok := p.schema.byName[name]; ok {
		return m.typ, true
	}
	return p.Registry.FindIdent(name)
}

// NewValue implements types.Provider: a rule reads statements, it makes none.
func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("a rule cannot make a %s", name)
}

// NativeToValue implements types.Adapter.
func (p *provider) NativeToValue(value any) ref.Val {
	if v, ok := value.(ref.Val); ok {
		return v
	}
	return p.Registry.NativeToValue(value)
}
