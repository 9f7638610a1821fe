package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/verify"
)

// Rule is one rule of a policy, as it is shown to people.
type Rule struct {
	// ID is the rule's stable name.
	ID string
	// Title, Description and Message are for people: short, in full, and what is
	// said when the rule fails.
	Title, Description, Message string
	// Severity says what a failure does, inclusions counted in.
	Severity verify.Severity
	// Needs are the inputs without which the rule fails.
	Needs []string
	// Require, ForEach and Expression are CEL; empty for the rules with reserved
	// ids, which are not.
	Require, ForEach, Expression string
	// File and Line are where the rule is written; empty and 0 for the others.
	File string
	Line int
}

// rule is a rule with its programs.
type rule struct {
	Rule
	doc      *document
	node     *yaml.Node
	declared verify.Severity // before inclusions

	require, forEach, expression expression

	required *program // of require; nil if there is none
	elements *program // of forEach; nil if there is none
	single   *program // of expression, over one element where there are some
	whole    *program // of the expression over all elements at once

	// check is what a rule with a reserved id does instead.
	check func(*inputs) outcome
}

// outcome is what came of a rule.
type outcome struct {
	passed  bool
	failing []string
	err     error
}

// compile checks the rules of a document and makes their programs.
func (d *document) compile(env *environment) {
	options := make([]cel.EnvOption, len(d.parameters))
	for i, p := range d.parameters {
		options[i] = cel.Variable(p.Name, p.Type.celType())
	}
	extended, err := env.env.Extend(options...)
	if err != nil {
		d.bad(d.node, CodeParameter, "", "parameters: %v", err)
		return
	}
	names := variableNames(d)
	for _, r := range d.rules {
		r.declared = r.Severity
		r.compile(extended, names)
	}
}

func variableNames(d *document) []string {
	names := []string{varElement}
	for _, v := range variables() {
		names = append(names, v.Name)
	}
	for _, f := range Functions() {
		names = append(names, f.Name)
	}
	for _, p := range d.parameters {
		names = append(names, p.Name)
	}
	return names
}

func (r *rule) compile(env *cel.Env, names []string) {
	if !r.expression.given() {
		return // reported as missing
	}
	if r.require.given() {
		r.required = r.program(env, r.require, cel.BoolType, names)
	}
	if !r.forEach.given() {
		r.single = r.program(env, r.expression, cel.BoolType, names)
		return
	}
	ast := r.forEach.compile(env, names)
	if ast == nil {
		return
	}
	if ast.OutputType().Kind() != types.ListKind {
		r.doc.bad(r.forEach.node, CodeType, "", "forEach is of type %s, want a list", cel.FormatCELType(ast.OutputType()))
		return
	}
	inner, err := env.Extend(cel.Variable(varElement, ast.OutputType().Parameters()[0]))
	if err != nil {
		r.doc.bad(r.forEach.node, CodeType, "", "forEach: %v", err)
		return
	}
	r.elements = r.plan(env, ast, r.forEach.node)
	if r.single = r.program(inner, r.expression, cel.BoolType, names); r.single == nil {
		return
	}
	// Both parts are complete expressions by themselves, so that the text of the
	// two is what it looks like; the line ends close comments.
	all, issues := env.Compile("(" + r.ForEach + "\n).all(" + varElement + ", (" + r.Expression + "\n))")
	if issues.Err() != nil {
		code, hint := classify(issues.Errors()[0].Message, names)
		r.doc.bad(r.expression.node, code, hint, "over all elements: %s", issues.Errors()[0].Message)
		return
	}
	r.whole = r.plan(env, all, r.expression.node)
}

// program compiles an expression of a type; nil after an error was reported.
func (r *rule) program(env *cel.Env, e expression, want *cel.Type, names []string) *program {
	ast := e.compile(env, names)
	if ast == nil {
		return nil
	}
	if !ast.OutputType().IsExactType(want) {
		r.doc.bad(e.node, CodeType, "", "the expression is of type %s, want %s", cel.FormatCELType(ast.OutputType()), want)
		return nil
	}
	return r.plan(env, ast, e.node)
}

// plan makes a program of a checked expression.
func (r *rule) plan(env *cel.Env, checked *cel.Ast, node *yaml.Node) *program {
	p, err := newProgram(env, checked)
	if err != nil {
		r.doc.bad(node, CodeType, "", "%v", err)
		return nil
	}
	return p
}

// programs are all that it evaluates.
func (r *rule) programs() []*program {
	return slices.DeleteFunc([]*program{r.required, r.elements, r.single, r.whole}, func(p *program) bool { return p == nil })
}

// judge evaluates the rule.
func (r *rule) judge(ctx context.Context, in *inputs) verify.RuleResult {
	result := verify.RuleResult{ID: r.ID, Description: r.Description, Severity: r.Severity}
	o := r.evaluate(ctx, in)
	result.Passed = o.passed && o.err == nil && len(o.failing) == 0
	if result.Passed {
		return result
	}
	result.Message, result.Failing = r.Message, o.failing
	if o.err != nil {
		result.Error = clipError(o.err)
	}
	return result
}

func (r *rule) evaluate(ctx context.Context, in *inputs) outcome {
	if r.check != nil {
		return r.check(in)
	}
	for _, name := range r.Needs {
		if why := in.missing[name]; why != "" {
			return outcome{err: errors.New(why)}
		}
	}
	e := newEvaluation(ctx, in)
	if r.required != nil {
		if ok, err := e.holds(r.required, in); !ok || err != nil {
			return outcome{err: err}
		}
	}
	if r.elements == nil {
		ok, err := e.holds(r.single, in)
		return outcome{passed: ok, err: err}
	}
	ok, err := e.holds(r.whole, in)
	switch {
	case ok && err == nil:
		return outcome{passed: true}
	case errors.Is(err, errCost):
		return outcome{err: err} // to try every element would cost more
	}
	o := r.blame(newEvaluation(ctx, in)) // the first one stopped at the first element that is false
	if o.err == nil && len(o.failing) == 0 {
		o.err = err
	}
	return o
}

// blame evaluates the expression over each element to find those that made the
// rule fail. The rule has failed already: nothing here makes it pass.
func (r *rule) blame(e *evaluation) outcome {
	elements, err := e.run(r.elements, e.in)
	if err != nil {
		return outcome{err: err}
	}
	l, ok := elements.(traits.Lister)
	if !ok {
		return outcome{err: fmt.Errorf("forEach is a %s, want a list", elements.Type().TypeName())}
	}
	var o outcome
	n, _ := l.Size().(types.Int)
	for i := types.Int(0); i < n; i++ {
		x := l.Get(i)
		holds, err := e.holds(r.single, &withElement{in: e.in, x: x})
		if errors.Is(err, errCost) || e.ctx.Err() != nil {
			return outcome{failing: o.failing, err: err}
		}
		if holds && err == nil {
			continue
		}
		id := nameOf(x, int(i))
		o.failing = append(o.failing, id)
		if err != nil && o.err == nil {
			o.err = fmt.Errorf("%s: %w", id, err)
		}
	}
	return o
}

// nameOf is the id of an element, its text, or its position.
func nameOf(x ref.Val, position int) string {
	switch x := x.(type) {
	case *object:
		if id := x.text("id"); id != "" {
			return clip(id)
		}
	case types.String:
		return clip(string(x))
	}
	return "#" + strconv.Itoa(position+1)
}
