package policy

import (
	"cmp"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
)

// costOfChanges is what a comparison of two statements costs, in units of
// [CostLimit]: two large ones take some milliseconds.
const costOfChanges = CostLimit / 50

// compared are the types of statements that can be compared.
func compared() []*message {
	s := theSchema()
	return []*message{s.dataFlows, s.noBackdoor, s.undertakings}
}

// changesOf is the id of the overload for a type.
func changesOf(m *message) string { return "changes_" + m.short }

// comparisons declares the function for every type, so that two different ones are an error when the policy is loaded.
func comparisons(binary func(string, *types.Type, *types.Type, *types.Type, functions.BinaryOp) cel.FunctionOpt) []cel.FunctionOpt {
	var overloads []cel.FunctionOpt
	for _, m := range compared() {
		overloads = append(overloads, binary(changesOf(m), m.typ, m.typ, types.NewListType(theSchema().change.typ), changes))
	}
	return overloads
}

// whole is a statement as it was signed, with the last comparison, so that a rule
// that asks again is answered at once. It belongs to one judgement, as the object does.
type whole struct {
	payload string
	old     *object
	changes ref.Val
}

// changes lists what differs between two statements of one type, as avow diff
// does. A statement that is not there, or that does not parse strictly, is an
// error: what cannot be compared is not unchanged.
func changes(older, newer ref.Val) ref.Val {
	before, ok1 := older.(*object)
	after, ok2 := newer.(*object)
	if !ok1 || !ok2 {
		return types.MaybeNoSuchOverloadErr(newer)
	}
	if after.whole == nil || before.whole == nil {
		return compare(before, after) // one of them is not there
	}
	if after.whole.old != before {
		after.whole.old, after.whole.changes = before, compare(before, after)
	}
	return after.whole.changes
}

func compare(before, after *object) ref.Val {
	was, err := before.statement()
	if err != nil {
		return types.WrapErr(err)
	}
	is, err := after.statement()
	if err != nil {
		return types.WrapErr(err)
	}
	report, err := diff.Compare(was, is)
	if err != nil {
		return types.WrapErr(err)
	}
	l := &list{}
	for _, c := range report.Changes {
		id := c.Item
		if id == "" {
			id = c.Pointer // as diff names what belongs to no item
		}
		l.values = append(l.values, newObject(theSchema().change, map[string]ref.Val{
			"id": types.String(id), "what": types.String(c.What), "part": types.String(c.Part),
			"kind": types.String(c.Kind), "direction": types.String(c.Direction.String()),
			"old": types.String(c.Old), "new": types.String(c.New), "why": types.String(c.Why),
		}))
	}
	return l
}

// statement parses the statement that the object was read from.
func (o *object) statement() (*predicate.Statement, error) {
	if o.absent != "" || o.whole == nil {
		return nil, errAbsent(cmp.Or(o.absent, "it is no statement"))
	}
	return predicate.Parse([]byte(o.whole.payload), predicate.Consumption)
}

// errAbsent says which statement is not there.
type errAbsent string

// Error implements error.
func (e errAbsent) Error() string { return string(e) }
