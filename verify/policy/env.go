package policy

import (
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
)

// Variable is a variable of expressions.
type Variable struct {
	// Name and Type are as expressions use them.
	Name, Type string
	// Description says what it holds, in one line.
	Description string

	typ *types.Type
	of  *message // of an input: its type; nil for the others
}

// The names of the inputs: what a rule can need.
const (
	inputDataFlows    = "dataFlows"
	inputNoBackdoor   = "noBackdoor"
	inputUndertakings = "undertakings"
	inputStanding     = "standing"
	inputDisputes     = "disputes"
	inputAssessments  = "assessments"
	inputApproved     = "approved"

	varStatements = "statements"
	varArtifact   = "artifact"
	varNow        = "now"
	varElement    = "x"
)

// Inputs returns what a rule can name under needs.
func Inputs() []string {
	return []string{inputDataFlows, inputNoBackdoor, inputUndertakings, inputStanding, inputDisputes, inputAssessments, inputApproved}
}

// Variables returns the variables of expressions; parameters come on top, and x
// in the expression of a rule with forEach.
func Variables() []Variable { return slices.Clone(variables()) }

var variables = sync.OnceValue(func() []Variable {
	s := theSchema()
	one := func(name string, m *message, description string) Variable {
		return Variable{name, m.name, description, m.typ, m}
	}
	many := func(name string, m *message, description string) Variable {
		t := types.NewListType(m.typ)
		return Variable{name, "list(" + m.name + ")", description, t, m}
	}
	return []Variable{
		one(inputDataFlows, s.dataFlows, "the predicate of the data-flows statement that counts"),
		one(inputNoBackdoor, s.noBackdoor, "the predicate of the no-backdoor statement that counts"),
		one(inputUndertakings, s.undertakings, "the predicate of the undertakings statement that counts"),
		one(inputStanding, s.shown, "how that data-flows statement stands: by its status, or by the newest standing of a signer for standings"),
		many(inputDisputes, s.dispute, "the open disputes of the statements that count: id, about, ground, summary, party, signer, items, occurredAt, respondBy"),
		many(inputAssessments, s.assessment, "the assessments of that data-flows statement by accepted assessors"),
		one(inputApproved, s.approved, "the statements of the release that the buyer approved before: dataFlows, noBackdoor, undertakings"),
		many(varStatements, s.statement, "one entry per statement that counts: id (data-flows, ...), digest, common, signer, log, signedBy, pledgedLogs, pledgeKept, standing"),
		one(varArtifact, s.artifact, "the artifact: sha256, and name as the statements call it"),
		{varNow, "timestamp", "the time of verification", types.TimestampType, nil},
	}
})

// environment holds what all policies share.
type environment struct {
	env      *cel.Env
	provider *provider
}

// theEnvironment is made once; it never changes.
var theEnvironment = sync.OnceValues(func() (*environment, error) {
	p, err := newProvider(theSchema())
	if err != nil {
		return nil, err
	}
	options := []cel.EnvOption{
		cel.StdLib(),
		cel.CustomTypeProvider(p), cel.CustomTypeAdapter(p),
		cel.DefaultUTCTimeZone(true), cel.EagerlyValidateDeclarations(true),
		cel.ParserRecursionLimit(64), cel.ParserExpressionSizeLimit(2 * MaxExpressionBytes),
		cel.ASTValidators(cel.ValidateDurationLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateRegexLiterals(),
			cel.ValidateComprehensionNestingLimit(6)),
		declareFunctions(),
	}
	for _, v := range variables() {
		options = append(options, cel.Variable(v.Name, v.typ))
	}
	env, err := cel.NewCustomEnv(options...)
	return &environment{env: env, provider: p}, err
})

// fieldNames returns the names of all members, for suggestions.
func (s *schema) fieldNames() []string {
	seen := map[string]bool{}
	var names []string
	for _, m := range s.byName {
		for _, f := range m.fields {
			if !seen[f.name] {
				seen[f.name] = true
				names = append(names, f.name)
			}
		}
	}
	slices.Sort(names)
	return names
}
