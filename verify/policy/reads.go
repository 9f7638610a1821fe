package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// reads are the variables and members that expressions read. What no rule reads
// is skipped where a statement is decoded: most of it is text for people.
type reads struct {
	vars []string
	// members holds, by message and member, what is read; nil is everything.
	members [][]bool
	// all is set where an expression handles a message as a whole.
	all bool
}

func newReads() *reads {
	r := &reads{members: make([][]bool, len(theSchema().byName))}
	for _, m := range theSchema().byName {
		r.members[m.id] = make([]bool, len(m.fields))
		if i, ok := m.index["id"]; ok {
			r.members[m.id][i] = true // elements are named by it
		}
	}
	return r
}

// reading reports whether a variable is read.
func (r *reads) reading(name string) bool { return slices.Contains(r.vars, name) }

// mark notes a member as read.
func (r *reads) mark(message, member string) {
	if m := theSchema().byName[message]; m != nil {
		if i, ok := m.index[member]; ok {
			r.members[m.id][i] = true
		}
	}
}

// mask is what the decoder is told: nil for everything.
func (r *reads) mask() [][]bool {
	if r.all {
		return nil
	}
	return r.members
}

// add notes what a checked expression reads.
func (r *reads) add(checked *cel.Ast) {
	native := checked.NativeRep()
	for _, reference := range native.ReferenceMap() {
		// The dot of a variable that something hides is kept in its name.
		if name := strings.TrimPrefix(reference.Name, "."); name != "" && !r.reading(name) {
			r.vars = append(r.vars, name)
		}
	}
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			of := native.GetType(e.AsSelect().Operand().ID())
			if of.Kind() == types.StructKind {
				r.mark(of.TypeName(), e.AsSelect().FieldName())
			} else if of.Kind() == types.DynKind || of.Kind() == types.AnyKind {
				r.all = true
			}
		case ast.CallKind:
			r.call(native, e.AsCall())
		}
	}))
	if r.reading(varStatements) {
		for _, m := range []*message{theSchema().dataFlows, theSchema().noBackdoor, theSchema().undertakings} {
			r.mark(m.name, "common")
		}
	}
}

// call notes a call that takes a message as a whole, as a comparison does.
func (r *reads) call(native *ast.AST, call ast.CallExpr) {
	switch call.FunctionName() {
	case overloads.Size, operators.Index, operators.Conditional, operators.Add, "byId", "changes":
		return // the message itself is not looked into, or the whole text is
	}
	args := call.Args()
	if call.IsMemberFunction() {
		args = append(args[:len(args):len(args)], call.Target())
	}
	for _, arg := range args {
		if holdsMessage(native.GetType(arg.ID())) {
			r.all = true
		}
	}
}

func holdsMessage(t *types.Type) bool {
	return t.Kind() == types.StructKind || slices.ContainsFunc(t.Parameters(), holdsMessage)
}

// countable reports whether all that an expression can do again and again is
// walking lists that are counted themselves (see meter), with operations on their
// elements that cost little. Only then may it run without CEL's accounting.
func countable(checked *cel.Ast) bool {
	ok, literals, native := true, 0, checked.NativeRep()
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			ok = ok && !strings.HasPrefix(e.AsIdent(), ".") // a variable that something inside hides
		case ast.ComprehensionKind:
			over := e.AsComprehension().IterRange()
			if over.Kind() == ast.ListKind && over.AsList().Size() <= maxLiteral {
				literals++
				return
			}
			ok = ok && native.GetType(over.ID()).Kind() == types.ListKind && countedList(over)
		case ast.CallKind:
			// A sum of strings makes ever longer ones.
			sum := e.AsCall().FunctionName() == operators.Add && native.GetType(e.ID()).Kind() == types.StringKind
			ok = ok && !sum && slices.Contains(cheap(), e.AsCall().FunctionName())
		}
	}))
	return ok && literals <= 1
}

// maxLiteral is the longest list in the text of an expression that may be walked
// over without being counted; of two, one could stand inside the other.
const maxLiteral = 16

// countedList reports whether an expression yields a list that counts: a member
// or a parameter, or a sum of such.
func countedList(e ast.Expr) bool {
	switch e.Kind() {
	case ast.SelectKind, ast.IdentKind:
		return true
	case ast.CallKind:
		return e.AsCall().FunctionName() == operators.Add && !slices.ContainsFunc(e.AsCall().Args(),
			func(arg ast.Expr) bool { return !countedList(arg) })
	}
	return false
}

// cheap are the functions whose cost does not grow with what they are given, and
// those that count it.
func cheap() []string {
	return []string{
		operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse, operators.Conditional,
		operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
		operators.In, operators.Index, operators.Add, operators.Subtract,
		overloads.Size, overloads.TypeConvertTimestamp, overloads.TypeConvertDuration, overloads.StartsWith, overloads.EndsWith,
		"byId", "date", "days", "known", "outside", "within",
	}
}
