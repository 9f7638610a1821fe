package policy

import (
	"math"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// Function is a function that expressions have besides CEL's own.
type Function struct {
	// Name is the name in expressions, Signature shows arguments and result.
	Name, Signature string
	// Description says what it answers, in one line.
	Description string
}

// Functions returns the functions of this package in the order of their names.
func Functions() []Function {
	return []Function{
		{"byId", "byId(list, string) -> element", "the element with that id; an error, and so a deny, if there is none"},
		{"changes", "changes(old, new) -> list(avow.policy.v1.Change)",
			"what differs between two statements of one type, as avow diff says it; an error where one is not there"},
		{"date", "date(string) -> timestamp", "a day (2028-12-31, its start in UTC) or a time (2028-12-31T00:00:00Z)"},
		{"days", "days(int) -> duration", "that many times 24 hours"},
		{"hostIn", "hostIn(string, list) -> bool", "the host name equals one of the list, or lies below one that starts with \"*.\""},
		{"known", "known(place or list) -> bool", "every place is stated: a country, a part of one, EU or EEA; false for an empty list"},
		{"outside", "outside(place or list, list) -> bool",
			"every place is known and neither listed nor part of a listed country; false for an empty list"},
		{"region", "region(string) -> list", "the members of \"EU\" or \"EEA\" as places, and the word itself"},
		{"within", "within(place or list, list) -> bool", "every place is one of the list, letter by letter; false for an empty list"},
	}
}

// declareFunctions declares them. They check their arguments themselves; CEL's own
// checks before every call would look into the elements of lists again.
func declareFunctions() cel.EnvOption {
	text, texts, element := cel.StringType, cel.ListType(cel.StringType), cel.TypeParamType("A")
	unary := func(id string, arg, result *cel.Type, f functions.UnaryOp) cel.FunctionOpt {
		return cel.Overload(id, []*cel.Type{arg}, result, cel.UnaryBinding(f))
	}
	binary := func(id string, first, second, result *cel.Type, f functions.BinaryOp) cel.FunctionOpt {
		return cel.Overload(id, []*cel.Type{first, second}, result, cel.BinaryBinding(f))
	}
	declared := map[string][]cel.FunctionOpt{
		"byId":    {binary("byId_list_string", cel.ListType(element), text, element, byID)},
		"changes": comparisons(binary),
		"date":    {unary("date_string", text, cel.TimestampType, date)},
		"days":    {unary("days_int", cel.IntType, cel.DurationType, days)},
		"hostIn":  {binary("hostIn_string_list", text, texts, cel.BoolType, hostIn)},
		"known":   {unary("known_string", text, cel.BoolType, known), unary("known_list", texts, cel.BoolType, known)},
		"outside": {binary("outside_string_list", text, texts, cel.BoolType, outside),
			binary("outside_list_list", texts, texts, cel.BoolType, outside)},
		"region": {unary("region_string", text, texts, region)},
		"within": {binary("within_string_list", text, texts, cel.BoolType, within),
			binary("within_list_list", texts, texts, cel.BoolType, within)},
	}
	return func(e *cel.Env) (*cel.Env, error) {
		for _, f := range Functions() {
			var err error
			if e, err = cel.Function(f.Name, append(declared[f.Name], decls.DisableTypeGuards(true))...)(e); err != nil {
				return nil, err
			}
		}
		return e, nil
	}
}

// functionCosts makes the functions that walk lists cost what they walk; a step is
// cheaper than one of CEL's.
func functionCosts() cel.ProgramOption {
	size := func(v ref.Val) uint64 {
		if l, ok := v.(traits.Lister); ok {
			return uint64(l.Size().(types.Int)) + 1
		}
		return 1
	}
	walk := func(args []ref.Val, _ ref.Val) *uint64 {
		cost := uint64(1)
		for _, a := range args {
			cost *= size(a)
		}
		cost = 1 + cost/8
		return &cost
	}
	comparing := func([]ref.Val, ref.Val) *uint64 {
		cost := uint64(costOfChanges)
		return &cost
	}
	var options []interpreter.CostTrackerOption
	for _, m := range compared() {
		options = append(options, interpreter.OverloadCostTracker(changesOf(m), comparing))
	}
	for _, overload := range []string{"byId_list_string", "hostIn_string_list", "known_list", "outside_string_list",
		"outside_list_list", "within_string_list", "within_list_list"} {
		options = append(options, interpreter.OverloadCostTracker(overload, walk))
	}
	return cel.CostTrackerOptions(options...)
}

// each calls visit for a string, or for every string of a list, until it answers
// false. The result is false for an empty list: where nothing is stated, nothing
// is as it should be.
func each(v ref.Val, visit func(string) bool) ref.Val {
	if s, ok := v.(types.String); ok {
		return types.Bool(visit(string(s)))
	}
	if l, ok := v.(*list); ok {
		return l.each(visit)
	}
	l, ok := v.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	n, _ := l.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		s, ok := l.Get(i).(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(l.Get(i))
		}
		if !visit(string(s)) {
			return types.False
		}
	}
	return types.Bool(n > 0)
}

// each is the function of that name for a list of this package.
func (l *list) each(visit func(string) bool) ref.Val {
	l.meter.walk(len(l.values))
	for _, v := range l.values {
		s, ok := v.(types.String)
		if !ok {
			return types.MaybeNoSuchOverloadErr(v)
		}
		if !visit(string(s)) {
			return types.False
		}
	}
	return types.Bool(len(l.values) > 0)
}

// notPlaces returns an error if an element of a list is not a place: a country
// that is misspelt would match nothing. An empty list is none.
func notPlaces(v ref.Val) ref.Val {
	if l, ok := v.(*list); ok && l.places {
		return nil
	}
	var bad *string
	result := each(v, func(s string) bool {
		if !isPlace(s) {
			bad = &s
		}
		return bad == nil
	})
	switch {
	case bad != nil:
		return types.NewErr("%q in the list is not a place: want a country as DE, a part as DE-BY, EU or EEA", clip(*bad))
	case types.IsError(result):
		return result
	}
	return nil
}

// isPlace reports whether a token names a place: two capital letters, perhaps
// with a part of that country, or EEA (specification, section 9). "anywhere" and
// whatever is unknown is none.
func isPlace(s string) bool {
	if s == "EEA" {
		return true
	}
	country, part, divided := strings.Cut(s, "-")
	if len(country) != 2 || !all(country, 'A', 'Z') {
		return false
	}
	if !divided {
		return true
	}
	return len(part) >= 1 && len(part) <= 3 &&
		strings.IndexFunc(part, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) < 0
}

func all(s string, from, to byte) bool {
	for i := range len(s) {
		if s[i] < from || s[i] > to {
			return false
		}
	}
	return true
}

func known(places ref.Val) ref.Val { return each(places, isPlace) }

// within matches whole tokens: DE-BY is not within DE, because a part of a
// country can lie outside the bloc of its country, as FR-NC does.
func within(places, allowed ref.Val) ref.Val {
	if err := notPlaces(allowed); err != nil {
		return err
	}
	l, ok := allowed.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(allowed)
	}
	return each(places, func(s string) bool { return l.Contains(types.String(s)) == types.True })
}

// outside matches prefixes: CN-GD is not outside CN.
func outside(places, listed ref.Val) ref.Val {
	if err := notPlaces(listed); err != nil {
		return err
	}
	l, ok := listed.(traits.Lister)
	if !ok {
		return types.MaybeNoSuchOverloadErr(listed)
	}
	return each(places, func(s string) bool {
		country, _, divided := strings.Cut(s, "-")
		return isPlace(s) && l.Contains(types.String(s)) == types.False &&
			(!divided || l.Contains(types.String(country)) == types.False)
	})
}

// Members of the European Union, and the others of the European Economic Area.
const (
	euMembers  = "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE"
	eeaMembers = "IS LI NO"
)

func region(name ref.Val) ref.Val {
	switch s, _ := name.(types.String); s {
	case "EU":
		return newTextList(append(strings.Fields(euMembers), "EU"))
	case "EEA":
		return newTextList(append(strings.Fields(euMembers+" "+eeaMembers), "EU", "EEA"))
	default:
		return types.NewErr("%q is not a region: want EU or EEA", clip(string(s)))
	}
}

// hostIn compares host names without case and a final dot. "*.example.com" in the
// list matches every name below example.com, at any depth, but not example.com;
// as a name it stands for all of them, and is matched by itself or a wider one.
func hostIn(host, patterns ref.Val) ref.Val {
	name, ok := host.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(host)
	}
	found := false
	h := hostName(string(name))
	result := each(patterns, func(p string) bool {
		p = hostName(p)
		below, wide := strings.CutPrefix(p, "*")
		found = found || h == p || wide && strings.HasPrefix(below, ".") && len(below) > 1 && strings.HasSuffix(h, below)
		return true
	})
	if types.IsError(result) {
		return result
	}
	return types.Bool(found && h != "")
}

func hostName(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }

func days(n ref.Val) ref.Val {
	d, ok := n.(types.Int)
	const most = math.MaxInt64 / int64(24*time.Hour)
	if !ok || int64(d) > most || int64(d) < -most {
		return types.NewErr("days(%v) is out of range", n.Value())
	}
	return types.Duration{Duration: time.Duration(d) * 24 * time.Hour}
}

func date(v ref.Val) ref.Val {
	s, _ := v.(types.String)
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(s)); err == nil {
			return types.Timestamp{Time: t.UTC()}
		}
	}
	return types.NewErr("%q is not a date: want 2028-12-31 or 2028-12-31T00:00:00Z", clip(string(s)))
}

func byID(elements, id ref.Val) ref.Val {
	l, ok := elements.(traits.Lister)
	want, isText := id.(types.String)
	if !ok || !isText {
		return types.MaybeNoSuchOverloadErr(elements)
	}
	n, _ := l.Size().(types.Int)
	if l, ok := l.(*list); ok {
		l.meter.walk(1 + len(l.values)/8)
	}
	for i := types.Int(0); i < n; i++ {
		if o, ok := l.Get(i).(*object); ok && o.text("id") == string(want) && want != "" {
			return o
		}
	}
	return types.NewErr("there is none with id %s", clip(string(want)))
}
