package policy

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// textList is a list of strings that a buyer supplies; `in` looks it up as a set.
type textList struct {
	traits.Lister
	texts []string
	set   map[types.String]bool
}

func newTextList(texts []string) *textList {
	l := &textList{texts: texts, set: make(map[types.String]bool, len(texts))}
	values := make([]ref.Val, len(texts))
	for i, s := range texts {
		values[i] = types.String(s)
		l.set[types.String(s)] = true
	}
	l.Lister = types.NewRefValList(types.DefaultTypeAdapter, values)
	return l
}

// Contains implements traits.Container.
func (l *textList) Contains(v ref.Val) ref.Val {
	s, ok := v.(types.String)
	return types.Bool(ok && l.set[s])
}
