package policy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
)

// CasesVersion is the first line of every file of cases of this version.
const CasesVersion = "avow.dev/policy-cases/v1"

// Limits of a file of cases.
const (
	// MaxCases is the number of cases of a file.
	MaxCases = 256
	// MaxCaseStatements is the number of statements of one case.
	MaxCaseStatements = 64
)

// CaseResult is what came of one case.
type CaseResult struct {
	// Name is the case's name, Line where it is written.
	Name string
	Line int
	// Expected and Got are "accept" or "reject".
	Expected, Got string
	// Problems say what is not as the case expects, one sentence each; a case
	// without problems has passed.
	Problems []string
	// Rules are the rules' outcomes.
	Rules []verify.RuleResult
}

// Passed reports whether all is as the case expects.
func (c CaseResult) Passed() bool { return len(c.Problems) == 0 }

// testCase is one case as it is written.
type testCase struct {
	name, expect string
	node         *yaml.Node
	at           time.Time
	statements   []file
	approved     []file
	parameters   map[string]string
	failing      map[string][]string
	failingGiven bool
}

// file is a statement that a case names.
type file struct {
	name string
	node *yaml.Node
}

// RunCases judges the statements of a file of cases by a policy (as for [Load])
// and compares the outcome with what each case expects. The statements are files
// relative to the file of cases; nothing is verified, see [UnverifiedFacts]. Errors
// are [Errors], of the policy or of the cases, or the context's.
func RunCases(ctx context.Context, name string, files fs.FS, cases string, options Options) ([]CaseResult, error) {
	l := &loader{ctx: ctx, files: files}
	data, err := l.file(cases, MaxPolicyBytes)
	if err != nil {
		return nil, Errors{{Code: CodeRead, File: cases, Message: err.Error()}}
	}
	s := newSource(cases, data)
	parsed := s.cases()
	if len(s.errors) == 0 && len(parsed) == 0 {
		s.problem(CodeNoRule, 1, 1, "add a case", "no case")
	}
	if len(s.errors) > 0 {
		return nil, s.errors
	}
	results := make([]CaseResult, 0, len(parsed))
	policies := map[string]*Policy{} // by parameters: most cases share them
	for _, c := range parsed {
		key := fmt.Sprint(c.parameters)
		if policies[key] == nil {
			if policies[key], err = Load(ctx, name, files, options.with(c.parameters)); err != nil {
				return nil, err
			}
		}
		result, err := l.judgeCase(policies[key], s, c)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	return results, nil
}

// with returns the options with more parameters.
func (o Options) with(parameters map[string]string) Options {
	all := map[string]string{}
	maps.Copy(all, o.Parameters)
	maps.Copy(all, parameters)
	return Options{Parameters: all}
}

func (l *loader) judgeCase(p *Policy, s *source, c *testCase) (CaseResult, error) {
	statements, approved := l.statements(s, c.statements), l.statements(s, c.approved)
	if len(s.errors) > 0 {
		return CaseResult{}, s.errors
	}
	facts := p.UnverifiedFacts(c.at, statements...)
	facts.Approved = approved
	verdict, err := p.Judge(l.ctx, facts)
	if err != nil {
		return CaseResult{}, err
	}
	return c.compare(verdict), nil
}

// statements reads the statements that a case names.
func (l *loader) statements(s *source, files []file) []*predicate.Statement {
	var all []*predicate.Statement
	for _, f := range files {
		data, err := l.file(path.Join(path.Dir(s.name), f.name), predicate.MaxStatementBytes)
		if err != nil {
			s.bad(f.node, CodeRead, "the path is relative to the file of cases", "statement %q: %v", clip(f.name), err)
			continue
		}
		statement, err := predicate.Parse(data, predicate.Consumption)
		if err != nil {
			s.bad(f.node, CodeValue, "`avow lint` shows what is wrong with it", "statement %q: %v", clip(f.name), err)
			continue
		}
		all = append(all, statement)
	}
	return all
}

// cases reads the file.
func (s *source) cases() []*testCase {
	root := s.document()
	if root == nil {
		return nil
	}
	var version string
	var all []*testCase
	s.mapping(root, "a file of cases",
		member{"apiVersion", true, s.words(&version, "apiVersion", 64)},
		member{"cases", true, func(n *yaml.Node) {
			s.items(n, "cases", MaxCases, func(n *yaml.Node) {
				c := s.testCase(n)
				if slices.ContainsFunc(all, func(o *testCase) bool { return o.name == c.name }) {
					s.bad(n, CodeDuplicate, "choose another name", "the case %q twice", clip(c.name))
				}
				all = append(all, c)
			})
		}})
	if version != "" && version != CasesVersion {
		s.bad(root, CodeValue, "write "+CasesVersion, "apiVersion is %q, want %s", clip(version), CasesVersion)
	}
	return all
}

func (s *source) testCase(n *yaml.Node) *testCase {
	c := &testCase{node: n, parameters: map[string]string{}, failing: map[string][]string{}}
	files := func(what string, target *[]file) func(*yaml.Node) {
		return func(n *yaml.Node) {
			s.items(n, what, MaxCaseStatements, func(n *yaml.Node) {
				f := file{node: n}
				s.words(&f.name, "a statement", MaxTextBytes)(n)
				*target = append(*target, f)
			})
		}
	}
	s.mapping(n, "a case",
		member{"name", true, s.words(&c.name, "name", MaxTextBytes)},
		member{"at", true, func(n *yaml.Node) {
			// A bare time is YAML's timestamp; both ways of writing it are unambiguous.
			var err error
			if c.at, err = time.Parse(time.RFC3339, n.Value); err != nil || n.Kind != yaml.ScalarNode {
				s.bad(n, CodeValue, "write 2026-11-23T12:00:00Z", "at is %q, which is not a time", clip(n.Value))
			}
		}},
		member{"statements", true, files("statements", &c.statements)},
		member{"approved", false, files("approved", &c.approved)},
		member{"parameters", false, s.caseParameters(c)},
		member{"expect", true, func(n *yaml.Node) {
			if c.expect = n.Value; c.expect != accept && c.expect != reject {
				s.bad(n, CodeValue, "one of: accept, reject", "expect is %q", clip(n.Value))
			}
		}},
		member{"failing", false, s.caseFailing(c)})
	return c
}

const (
	accept = "accept"
	reject = "reject"
)

func (s *source) caseParameters(c *testCase) func(*yaml.Node) {
	return func(n *yaml.Node) {
		d := &document{source: s}
		d.readParameters(n)
		for _, p := range d.parameters {
			c.parameters[p.Name] = p.Value
		}
	}
}

func (s *source) caseFailing(c *testCase) func(*yaml.Node) {
	return func(n *yaml.Node) {
		c.failingGiven = true
		if n.Kind != yaml.MappingNode {
			s.bad(n, CodeType, "", "failing is %s, want members (rule: [ids])", kindOf(n))
			return
		}
		s.pairs(n, func(key, value *yaml.Node) {
			c.failing[key.Value] = []string{}
			s.items(value, "the ids of "+clip(key.Value), predicate.MaxFlows, func(n *yaml.Node) {
				var id string
				s.words(&id, "an id", MaxTextBytes)(n)
				c.failing[key.Value] = append(c.failing[key.Value], id)
			})
		})
	}
}

// compare holds the outcome against what the case expects: the verdict and, where
// failing is given, exactly the rules that deny, and for each rule that is named,
// one that only warns included, exactly the ids.
func (c *testCase) compare(verdict *verify.PolicyResult) CaseResult {
	result := CaseResult{Name: c.name, Line: c.node.Line, Expected: c.expect, Got: accept, Rules: verdict.Rules}
	denials := verdict.Denials()
	if len(denials) > 0 || len(verdict.Rules) == 0 {
		result.Got = reject
	}
	problem := func(format string, args ...any) {
		result.Problems = append(result.Problems, fmt.Sprintf(format, args...))
	}
	if result.Got != result.Expected {
		problem("got %s, want %s", result.Got, result.Expected)
		if !c.failingGiven {
			for _, r := range denials {
				problem("%s denies: %s", r, reasonOf(r))
			}
		}
	}
	if !c.failingGiven {
		return result
	}
	for _, r := range denials {
		if _, ok := c.failing[r.ID]; !ok {
			problem("%s denies, which is not expected: %s", r, reasonOf(r))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.failing)) {
		i := slices.IndexFunc(verdict.Rules, func(r verify.RuleResult) bool { return r.ID == id })
		switch {
		case i < 0:
			problem("the policy has no rule %s", id)
		case verdict.Rules[i].Passed:
			problem("%s passes, want it to fail", id)
		case !slices.Equal(verdict.Rules[i].Failing, c.failing[id]) && len(verdict.Rules[i].Failing)+len(c.failing[id]) > 0:
			problem("%s names %q, want %q", id, verdict.Rules[i].Failing, c.failing[id])
		}
	}
	return result
}

func reasonOf(r verify.RuleResult) string {
	if r.Error != "" {
		return r.Error
	}
	return r.Message
}
