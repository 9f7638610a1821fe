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

// evaluation is one evaluation of one rule, with what it has cost so far.
type evaluation struct {
	ctx  context.Context
	in   *inputs
	cost uint64
	// quick evaluations are bounded by the meter of the lists alone.
	quick bool
}

// restart forgets what it has cost.
func (e *evaluation) restart() {
	e.cost, e.in.meter.left = 0, math.MaxInt
	if e.quick {
		e.in.meter.left = quickElements
	}
}

// run evaluates a program.
func (e *evaluation) run(p cel.Program, vars cel.Activation) (ref.Val, error) {
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
func (e *evaluation) holds(p cel.Program, vars cel.Activation) (bool, error) {
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
