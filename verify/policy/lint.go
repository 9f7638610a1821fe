package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// MaxLintCases bounds how many changed statements one lint looks at.
const MaxLintCases = 50_000

// Hole is a place where a policy is not monotonic: a rule denied, and no longer
// does once something was left out of a statement.
type Hole struct {
	// Rule is the rule's id.
	Rule string
	// Statement is what was changed: data-flows, no-backdoor, undertakings,
	// standing, or assessment and its number from 1.
	Statement string
	// Pointer is the member that was left out, as an RFC 6901 pointer into the
	// statement; empty if the statement as a whole was.
	Pointer string
	// Denied says what the rule denied before: the statements as they were given,
	// or with the value at a pointer replaced by an unknown one.
	Denied string
	// Stopped are the codes of the issuance rules that refuse the statement
	// without the member. Where there are any, the service issues no such
	// statement, and the policy alone would accept one.
	Stopped []string
}

// LintReport is what [Lint] found.
type LintReport struct {
	// Holes are in the order of the rules.
	Holes []Hole
	// Untested are the ids of rules that denied nothing, so that nothing is known
	// of them: give statements that they deny.
	Untested []string
	// Cases is how many changed statements were looked at; Incomplete is set if
	// there would have been more than [MaxLintCases].
	Cases      int
	Incomplete bool
}

// Lint looks for holes: for every rule that denies, it leaves out every member of
// the statements in turn, and the statements themselves. The rules get to deny by
// the statements as given and by those with one value replaced by an unknown one:
// a statement that fails in several places shows nothing. What cannot be seen is a
// flow or a mechanism that the vendor does not list: no policy can.
func Lint(ctx context.Context, p *Policy, f verify.Facts) (*LintReport, error) {
	s, err := p.choose(f)
	if err != nil {
		return nil, err
	}
	l := &linter{ctx: ctx, policy: p, facts: f, selected: s, texts: s.payloads(f.At), denied: map[string]bool{}}
	if err := l.run(); err != nil {
		return nil, err
	}
	for _, r := range p.rules {
		if r.check == nil && !l.denied[r.ID] {
			l.report.Untested = append(l.report.Untested, r.ID)
		}
	}
	order := func(id string) int { return slices.IndexFunc(p.rules, func(r *rule) bool { return r.ID == id }) }
	slices.SortStableFunc(l.report.Holes, func(a, b Hole) int { return order(a.Rule) - order(b.Rule) })
	return &l.report, nil
}

// unknownValue stands for a value that is in no registry.
const unknownValue = "unknown-value"

type linter struct {
	ctx      context.Context
	policy   *Policy
	facts    verify.Facts
	selected *selection
	texts    payloads
	denied   map[string]bool // rules that denied something
	report   LintReport
}

// target is one statement that can be changed.
type target struct {
	name  string
	text  string
	msg   *message
	put   func(p *payloads, text string) // an empty text leaves the statement out
	spans []span                         // that some rule reads
}

var errTooMany = errors.New("too many cases")

func (l *linter) run() error {
	targets, err := l.targets()
	if err != nil {
		return err
	}
	failing, err := l.failing(l.texts, l.policy.rules)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := l.without(t, nil, failing, "the statements as given"); err != nil {
			return l.ended(err)
		}
	}
	passing := slices.DeleteFunc(slices.Clone(l.policy.rules), func(r *rule) bool { return slices.Contains(failing, r) })
	for _, t := range targets {
		for i := range t.spans {
			if err := l.replaced(t, &t.spans[i], passing); err != nil {
				return l.ended(err)
			}
		}
	}
	return nil
}

// ended keeps the report of a lint that was too long.
func (l *linter) ended(err error) error {
	if errors.Is(err, errTooMany) {
		l.report.Incomplete = true
		return nil
	}
	return err
}

// replaced gives one value an unknown one, and leaves out members of the
// statement if that makes rules deny.
func (l *linter) replaced(t target, v *span, rules []*rule) error {
	if !v.leaf {
		return nil
	}
	value := strconv.Quote(unknownValue)
	if t.text[v.start] != '"' {
		value = strconv.Itoa(predicate.MaxInteger)
	}
	replacement := &change{v.start, v.end, value}
	texts := l.texts.clone()
	t.put(&texts, apply(t.text, *replacement))
	failing, err := l.failing(texts, rules)
	if err != nil || len(failing) == 0 {
		return err
	}
	return l.without(t, replacement, failing, v.pointer+" = "+value)
}

// without leaves out every member of a statement, and the statement itself, and
// notes the rules that pass then.
func (l *linter) without(t target, replacement *change, rules []*rule, denied string) error {
	if len(rules) == 0 {
		return nil
	}
	whole := span{member: true, cutEnd: len(t.text)}
	for _, v := range append([]span{whole}, t.spans...) {
		if !v.member {
			continue
		}
		changes := []change{{v.cutStart, v.cutEnd, ""}}
		removed := apply(t.text, changes...)
		if replacement != nil {
			changes = append(changes, *replacement)
		}
		text, texts := apply(t.text, changes...), l.texts.clone()
		t.put(&texts, text)
		failing, err := l.failing(texts, rules)
		if err != nil {
			return err
		}
		for _, r := range rules {
			if !slices.Contains(failing, r) {
				l.hole(Hole{Rule: r.ID, Statement: t.name, Pointer: v.pointer, Denied: denied, Stopped: stopped(removed)})
			}
		}
	}
	return nil
}

// hole notes a hole once per rule and member.
func (l *linter) hole(h Hole) {
	if !slices.ContainsFunc(l.report.Holes, func(o Hole) bool {
		return o.Rule == h.Rule && o.Statement == h.Statement && o.Pointer == h.Pointer
	}) {
		l.report.Holes = append(l.report.Holes, h)
	}
}

// stopped are the codes of the rules that refuse a statement.
func stopped(text string) []string {
	if text == "" {
		return nil
	}
	return predicate.Lint([]byte(text), nil).Errors().Codes()
}

// failing returns those of the rules that deny over these texts.
func (l *linter) failing(texts payloads, rules []*rule) ([]*rule, error) {
	if err := l.ctx.Err(); err != nil {
		return nil, err
	}
	if l.report.Cases == MaxLintCases {
		return nil, errTooMany
	}
	l.report.Cases++
	in, err := l.policy.bind(l.facts, l.selected, texts)
	if err != nil {
		return nil, err
	}
	var failing []*rule
	for _, r := range rules {
		if r.check == nil && !r.judge(l.ctx, in).Passed {
			failing = append(failing, r)
			l.denied[r.ID] = true
		}
	}
	return failing, l.ctx.Err()
}

// targets are the statements that the vendor or others wrote, with the values
// that rules read. The buyer's approved statements are not theirs to change.
func (l *linter) targets() ([]target, error) {
	sc := theSchema()
	var all []target
	for _, d := range []struct {
		uri string
		msg *message
	}{{predicate.DataFlowsType, sc.dataFlows}, {predicate.NoBackdoorType, sc.noBackdoor}, {predicate.UndertakingsType, sc.undertakings}} {
		all = append(all, target{name: shortType(d.uri), text: l.texts.declarations[d.uri], msg: d.msg,
			put: func(p *payloads, text string) { p.declarations[d.uri] = text }})
	}
	all = append(all, target{name: "standing", text: l.texts.standing, msg: sc.shown,
		put: func(p *payloads, text string) { p.standing = text }})
	for i, text := range l.texts.assessments {
		all = append(all, target{name: fmt.Sprintf("assessment %d", i+1), text: text, msg: sc.assessment,
			put: func(p *payloads, text string) {
				if p.assessments[i] = text; text == "" {
					p.assessments = slices.Delete(p.assessments, i, i+1)
				}
			}})
	}
	all = slices.DeleteFunc(all, func(t target) bool { return t.text == "" })
	for i, t := range all {
		spans, err := spansOf(t.text)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errFacts, t.name, err)
		}
		all[i].spans = slices.DeleteFunc(spans, func(v span) bool { return !l.policy.reads.pointer(t.msg, v.pointer) })
	}
	return all, nil
}

// pointer reports whether some rule reads the value at a pointer into a
// statement, or something in it.
func (r *reads) pointer(m *message, pointer string) bool {
	inside, ok := strings.CutPrefix(pointer, "/predicate/")
	if !ok {
		return false
	}
	mask := r.mask()
	for token := range strings.SplitSeq(inside, "/") {
		if m == nil {
			return true // below something without a type, which is read as a whole
		}
		if _, err := strconv.Atoi(token); err == nil {
			continue // an element of the list before
		}
		i, known := m.index[token]
		if !known || mask != nil && !mask[m.id][i] {
			return false
		}
		m = m.fields[i].of
	}
	return true
}

func (p payloads) clone() payloads {
	p.declarations = maps.Clone(p.declarations)
	p.assessments = slices.Clone(p.assessments)
	return p
}
