package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// quicken returns a decorator that replaces steps of a program by ones that come
// to the same and cost less. It is for the programs that run over all elements,
// and no result depends on it: whatever it does not know is left to CEL.
func quicken(checked *cel.Ast) cel.ProgramOption {
	members := memberReads(checked)
	return cel.CustomDecoratorV2(func(step interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		switch s := step.(type) {
		case *reader:
			return s, nil
		case interpreter.InterpretableAttribute:
			if named, ok := s.Attr().(interpreter.NamespacedAttribute); ok && len(named.Qualifiers()) == 0 &&
				len(named.CandidateVariableNames()) == 1 {
				return &reader{InterpretableAttribute: s, name: named.CandidateVariableNames()[0], members: members}, nil
			}
		case interpreter.InterpretableCall:
			return quickenCall(s), nil
		}
		return step, nil
	})
}

func quickenCall(call interpreter.InterpretableCall) interpreter.InterpretableV2 {
	switch args := call.Args(); {
	case call.Function() == operators.NotStrictlyFalse && len(args) == 1:
		// The condition of a comprehension goes on unless it is false; an error is
		// not false by itself.
		return args[0]
	case call.Function() == overloads.Size && len(args) == 1 && isAttribute(args[0]):
		return &sizeOf{InterpretableV2: call, arg: args[0]}
	case call.Function() == operators.In && len(args) == 2 && isAttribute(args[1]):
		return &isIn{InterpretableV2: call, element: args[0], of: args[1]}
	}
	return call
}

// memberRead is a member that an expression selects.
type memberRead struct {
	of    *message
	index int
}

// memberReads are the selections of an expression by their ids.
func memberReads(checked *cel.Ast) map[int64]memberRead {
	reads, native := map[int64]memberRead{}, checked.NativeRep()
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind {
			return
		}
		m := theSchema().byName[native.GetType(e.AsSelect().Operand().ID()).TypeName()]
		if m == nil {
			return
		}
		if i, ok := m.index[e.AsSelect().FieldName()]; ok {
			reads[e.ID()] = memberRead{m, i}
		}
	}))
	return reads
}

// reader reads a variable and members of it: x.activation.control.
type reader struct {
	interpreter.InterpretableAttribute
	name    string
	members map[int64]memberRead
	path    []memberRead
	other   bool // something else than members is read too
}

// AddQualifier implements interpreter.InterpretableAttribute.
func (r *reader) AddQualifier(q interpreter.Qualifier) (interpreter.Attribute, error) {
	if m, ok := r.members[q.ID()]; ok {
		r.path = append(r.path, m)
	} else {
		r.other = true
	}
	return r.InterpretableAttribute.AddQualifier(q)
}

// Exec implements interpreter.InterpretableV2. A member that is not there is left
// to CEL, which makes the error.
func (r *reader) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	if r.other {
		return r.InterpretableAttribute.Exec(frame)
	}
	found, _ := frame.ResolveName(r.name)
	value, _ := found.(ref.Val)
	for _, m := range r.path {
		o, ok := value.(*object)
		if !ok || o.msg != m.of || o.absent != "" {
			return r.InterpretableAttribute.Exec(frame)
		}
		value = o.values[m.index]
	}
	switch value.(type) {
	case nil, *types.Err:
		return r.InterpretableAttribute.Exec(frame)
	}
	return value
}

// isAttribute reports whether a step reads a member or a variable: that can be
// done twice where the quick way does not apply.
func isAttribute(step interpreter.InterpretableV2) bool {
	_, ok := step.(interpreter.InterpretableAttribute)
	return ok
}

// sizeOf is size() of a list.
type sizeOf struct {
	interpreter.InterpretableV2
	arg interpreter.InterpretableV2
}

// Exec implements interpreter.InterpretableV2.
func (s *sizeOf) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	if l, ok := s.arg.Exec(frame).(*list); ok {
		return types.Int(len(l.values))
	}
	return s.InterpretableV2.Exec(frame)
}

// isIn is `in` of a list.
type isIn struct {
	interpreter.InterpretableV2
	element, of interpreter.InterpretableV2
}

// Exec implements interpreter.InterpretableV2.
func (s *isIn) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	if l, ok := s.of.Exec(frame).(*list); ok {
		if v, ok := s.element.Exec(frame).(types.String); ok {
			return l.Contains(v)
		}
	}
	return s.InterpretableV2.Exec(frame)
}
