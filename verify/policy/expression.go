package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v3"
)

// expression is CEL as it stands in a policy.
type expression struct {
	text string
	node *yaml.Node
	src  *source
}

func (e expression) given() bool { return e.text != "" }

// read takes the expression from a node.
func (e *expression) read(s *source, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s.words(&e.text, what, MaxExpressionBytes)(n)
		e.node, e.src = n, s
	}
}

// compile checks the expression in an environment. Errors are reported at their
// place in the file; then the result is nil.
func (e expression) compile(env *cel.Env, names []string) *cel.Ast {
	ast, issues := env.Compile(e.text)
	if issues.Err() == nil {
		return ast
	}
	for _, problem := range issues.Errors() {
		line, column := e.place(problem.Location.Line(), problem.Location.Column())
		code, hint := classify(problem.Message, names)
		message, _, _ := strings.Cut(problem.Message, " (in container")
		e.src.problem(code, line, column, hint, "%s", message)
	}
	return nil
}

// classify turns CEL's message into a code, and a hint where a name is wrong.
func classify(message string, names []string) (Code, string) {
	quoted := func() string {
		_, rest, _ := strings.Cut(message, "'")
		name, _, _ := strings.Cut(rest, "'")
		return name
	}
	switch {
	case strings.HasPrefix(message, "undefined field"):
		return CodeUnknownField, suggest(quoted(), theSchema().fieldNames())
	case strings.HasPrefix(message, "undeclared reference"):
		return CodeUnknownName, suggest(quoted(), names)
	case strings.HasPrefix(message, "Syntax error"):
		return CodeSyntax, "CEL: https://cel.dev"
	case strings.Contains(message, "limit"):
		return CodeLimit, "split the rule"
	}
	return CodeType, ""
}

// place finds where in the file a place of the expression's text is (line from
// 1, column from 0). YAML folds lines and takes indentation away, but it keeps
// what is not white space in its order, so that is what is counted.
func (e expression) place(line, column int) (int, int) {
	before, l, c := 0, 1, 0
	for _, r := range e.text {
		if l > line || l == line && c >= column {
			break
		}
		if !unicode.IsSpace(r) {
			before++
		}
		if c++; r == '\n' {
			l, c = l+1, 0
		}
	}
	s := scalar{lines: e.src.lines, line: e.node.Line, column: e.node.Column, style: e.node.Style}
	s.start()
	for ; before > 0 && s.next(); before-- {
	}
	s.space()
	return s.line, s.column
}

// scalar walks over a scalar as it is written in the file.
type scalar struct {
	lines        []string
	line, column int // from 1, in characters
	style        yaml.Style
}

// start goes to the first character of the value.
func (s *scalar) start() {
	switch {
	case s.style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s.line, s.column = s.line+1, 1
	case s.style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		s.column++
	}
}

// rest is what remains of the current line.
func (s *scalar) rest() string {
	if s.line > len(s.lines) {
		return ""
	}
	line := s.lines[s.line-1]
	for i := 1; i < s.column && line != ""; i++ {
		_, n := utf8.DecodeRuneInString(line)
		line = line[n:]
	}
	return line
}

// space skips white space; it stays at the end of the text where nothing follows.
func (s *scalar) space() {
	line, column := s.line, s.column
	for s.line <= len(s.lines) {
		rest := s.rest()
		trimmed := strings.TrimLeftFunc(rest, unicode.IsSpace)
		s.column += utf8.RuneCountInString(rest) - utf8.RuneCountInString(trimmed)
		if trimmed != "" {
			return
		}
		s.line, s.column = s.line+1, 1
	}
	s.line, s.column = line, column
}

// next passes over one character of the value that is not white space.
func (s *scalar) next() bool {
	for {
		s.space()
		rest := s.rest()
		if rest == "" {
			return false
		}
		switch {
		case s.style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(rest, "''"):
			s.column += 2
		case s.style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\' && len(rest) > 1:
			s.column += 2
			if strings.IndexByte("ntrvf0 _NLP", rest[1]) >= 0 {
				continue // an escaped white space or control character
			}
		default:
			s.column++
		}
		return true
	}
}
