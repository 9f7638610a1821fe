package policy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// errCost ends a rule that costs more than it may.
var errCost = fmt.Errorf("costs more than %d units", CostLimit)

// program is a checked expression that can be evaluated.
type program struct {
	checked *cel.Ast
	// exact accounts for every step in CEL's units, and ends at the limit.
	exact cel.Program
	// quick accounts for nothing but the elements of lists that are walked over;
	// nil where that would not bound it (see countable). To account for every step
	// costs more than the steps.
	quick cel.Program
}

// quickElements is how many elements of lists a rule may walk over without CEL's
// accounting; beyond it the evaluation starts again with it.
const quickElements = CostLimit / 10

func newProgram(env *cel.Env, checked *cel.Ast) (*program, error) {
	const interruptEvery = 64 // iterations
	exact, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize, cel.OptTrackCost), cel.CostLimit(CostLimit), functionCosts(),
		cel.InterruptCheckFrequency(interruptEvery))
	if err != nil || !countable(checked) {
		return &program{checked: checked, exact: exact}, err
	}
	quick, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(interruptEvery), quicken(checked))
	return &program{checked: checked, exact: exact, quick: quick}, err
}

// evaluation is one evaluation of one rule, with what it may still cost.
type evaluation struct {
	ctx  context.Context
	in   *inputs
	cost uint64 // of exact programs
	left int    // elements for quick programs
}

func newEvaluation(ctx context.Context, in *inputs) *evaluation {
	return &evaluation{ctx: ctx, in: in, left: quickElements}
}

// run evaluates a program.
func (e *evaluation) run(p *program, vars cel.Activation) (ref.Val, error) {
	if p.quick != nil && e.left > 0 {
		e.in.meter.left = e.left
		value, err := e.once(p.quick, vars)
		e.left = e.in.meter.left
		if !errors.Is(err, errCost) {
			return value, err
		}
	}
	e.in.meter.left = math.MaxInt
	return e.once(p.exact, vars)
}

func (e *evaluation) once(p cel.Program, vars cel.Activation) (ref.Val, error) {
	value, details, err := p.ContextEval(e.ctx, vars)
	if cost := details.ActualCost(); cost != nil {
		e.cost += *cost
	}
	var cancelled interpreter.EvalCancelledError
	switch {
	case e.ctx.Err() != nil:
		return nil, e.ctx.Err()
	case errors.As(err, &cancelled) || e.cost > CostLimit:
		return nil, errCost
	case err != nil:
		return nil, err
	case value == nil || types.IsUnknownOrError(value):
		return nil, errors.New("no value")
	}
	return value, nil
}

// holds evaluates a program whose value is true or false.
func (e *evaluation) holds(p *program, vars cel.Activation) (bool, error) {
	value, err := e.run(p, vars)
	if err != nil {
		return false, err
	}
	b, ok := value.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the value is a %s, want true or false", value.Type().TypeName())
	}
	return bool(b), nil
}

// withElement adds x to the variables.
type withElement struct {
	in *inputs
	x  ref.Val
}

// ResolveName implements cel.Activation.
func (w *withElement) ResolveName(name string) (any, bool) {
	if name == varElement {
		return w.x, true
	}
	return w.in.ResolveName(name)
}

// Parent implements cel.Activation.
func (w *withElement) Parent() cel.Activation { return nil }

// clipError bounds an error, which may quote the statement.
func clipError(err error) string {
	const most = 300
	text, _, _ := strings.Cut(err.Error(), "\n")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
