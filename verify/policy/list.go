package policy

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// meter counts the elements that one evaluation has walked over. Where CEL's own
// accounting is left out because of what it costs itself, every list that a rule
// can walk counts here.
type meter struct {
	left int
}

// walk takes n elements from what is left. Where nothing is left it ends the
// evaluation in the way that CEL's cost limit does.
func (m *meter) walk(n int) {
	if m == nil {
		return
	}
	if m.left -= n; m.left < 0 {
		panic(interpreter.EvalCancelledError{Message: "too many elements", Cause: interpreter.CostLimitExceeded})
	}
}

// list is a list of CEL values: a list of a statement, or of a parameter. Unlike
// CEL's own it is counted, and looks its strings up as a set.
type list struct {
	values []ref.Val
	meter  *meter
	set    map[ref.Val]struct{} // of strings; made when it pays
	places bool                 // every element is a place: checked once, for parameters
}

// newTextList makes the value of a parameter.
func newTextList(texts []string) *list {
	l := &list{values: make([]ref.Val, len(texts)), places: true}
	for i, s := range texts {
		l.values[i] = types.String(s)
		l.places = l.places && isPlace(s)
	}
	l.index()
	return l
}

// counted returns the list with a meter of one evaluation.
func (l *list) counted(m *meter) *list {
	c := *l
	c.meter = m
	return &c
}

// texts returns the elements of a list of strings.
func (l *list) texts() []string {
	texts := make([]string, len(l.values))
	for i, v := range l.values {
		s, _ := v.(types.String)
		texts[i] = string(s)
	}
	return texts
}

// index makes the set.
func (l *list) index() {
	l.set = make(map[ref.Val]struct{}, len(l.values))
	for _, v := range l.values {
		if _, ok := v.(types.String); !ok {
			l.set = nil
			return
		}
		l.set[v] = struct{}{}
	}
}

// Add implements traits.Adder.
func (l *list) Add(other ref.Val) ref.Val {
	o, ok := other.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(other)
	}
	n, _ := o.Size().(types.Int)
	l.meter.walk(len(l.values) + int(n))
	values := append(make([]ref.Val, 0, len(l.values)+int(n)), l.values...)
	for i := types.Int(0); i < n; i++ {
		values = append(values, o.Get(i))
	}
	return &list{values: values, meter: l.meter}
}

// Contains implements traits.Container.
func (l *list) Contains(v ref.Val) ref.Val {
	const few = 8
	s, ok := v.(types.String)
	if ok && l.set == nil && len(l.values) > few && l.meter != nil {
		l.index() // the list belongs to this evaluation
	}
	if ok && l.set != nil {
		_, found := l.set[s]
		return types.Bool(found)
	}
	l.meter.walk(len(l.values))
	for _, w := range l.values {
		if types.Equal(w, v) == types.True {
			return types.True
		}
	}
	return types.False
}

// ConvertToNative implements ref.Val. The values never leave this package.
func (l *list) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a list cannot become a %s", t)
}

// ConvertToType implements ref.Val.
func (l *list) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case types.ListType:
		return l
	case types.TypeType:
		return types.ListType
	}
	return types.NewErr("type conversion error from 'list' to '%s'", t.TypeName())
}

// Equal implements ref.Val.
func (l *list) Equal(other ref.Val) ref.Val {
	o, ok := other.(traits.Lister)
	if !ok || o.Size() != types.Int(len(l.values)) {
		return types.False
	}
	l.meter.walk(len(l.values))
	for i, v := range l.values {
		if types.Equal(v, o.Get(types.Int(i))) != types.True {
			return types.False
		}
	}
	return types.True
}

// Get implements traits.Indexer.
func (l *list) Get(index ref.Val) ref.Val {
	i, err := types.IndexOrError(index)
	if err != nil {
		return types.WrapErr(err)
	}
	if i < 0 || i >= len(l.values) {
		return types.NewErr("index %d in a list of %d", i, len(l.values))
	}
	return l.values[i]
}

// Iterator implements traits.Iterable.
func (l *list) Iterator() traits.Iterator {
	l.meter.walk(1)
	return &iterator{list: l}
}

// Size implements traits.Sizer.
func (l *list) Size() ref.Val { return types.Int(len(l.values)) }

// Type implements ref.Val.
func (l *list) Type() ref.Type { return types.ListType }

// Value implements ref.Val.
func (l *list) Value() any { return l.values }

// iterator walks a list. It is a value for CEL's interfaces alone: no expression
// can hold one.
type iterator struct {
	ref.Val
	list *list
	next int
}

// HasNext implements traits.Iterator.
func (it *iterator) HasNext() ref.Val { return types.Bool(it.next < len(it.list.values)) }

// Next implements traits.Iterator.
func (it *iterator) Next() ref.Val {
	if it.next >= len(it.list.values) {
		return nil
	}
	it.list.meter.walk(1)
	it.next++
	return it.list.values[it.next-1]
}
