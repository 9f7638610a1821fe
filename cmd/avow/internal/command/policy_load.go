package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/policy"
)

// policySource is where a policy comes from.
type policySource struct {
	given string   // on the command line
	name  string   // as package policy takes it
	dir   string   // of the file, as given
	root  *os.Root // holds what a file includes to its directory; nil for a ready-made policy
}

// isPolicyFile tells files from ready-made policies by the name alone, as inclusions do: what lies in the working
// directory cannot take the place of a ready-made policy.
func isPolicyFile(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// openPolicy finds a policy by the argument that names it.
func openPolicy(given string) (*policySource, error) {
	if !isPolicyFile(given) {
		if slices.Contains(policy.Names(), given) {
			return &policySource{given: given, name: given}, nil
		}
		hint := meant(given, policy.Names(), "run `avow policy list` for the ready-made policies; a file ends in .yaml")
		return nil, failed(hint, "there is no ready-made policy %q", given)
	}
	if _, err := os.Stat(given); err != nil {
		return nil, err
	}
	s := &policySource{given: given, dir: filepath.Dir(given), name: filepath.Base(given)}
	var err error
	s.root, err = os.OpenRoot(s.dir)
	return s, err
}

func (s *policySource) close() {
	if s.root != nil {
		s.root.Close()
	}
}

// files are what the policy may read; nil for a ready-made policy.
func (s *policySource) files() fs.FS {
	if s.root == nil {
		return nil
	}
	return s.root.FS()
}

// load reads the policy. What is wrong with it is a policyProblem.
func (s *policySource) load(ctx context.Context, parameters map[string]string) (*policy.Policy, error) {
	p, err := policy.Load(ctx, s.name, s.files(), policy.Options{Parameters: parameters})
	return p, s.problem("policy "+s.given, err)
}

// loadPolicy finds and reads a policy.
func loadPolicy(ctx context.Context, given string, parameters map[string]string) (*policy.Policy, error) {
	s, err := openPolicy(given)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.load(ctx, parameters)
}

// path is the name of a file of the policy for a person who stands where the command was given.
func (s *policySource) path(file string) string {
	if !isPolicyFile(file) {
		return file
	}
	return filepath.Join(s.dir, filepath.FromSlash(file))
}

// policyFinding is one thing that is wrong with a policy; the members of check's JSON.
type policyFinding struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	source string // the line that it is about
}

// policyProblem says what is wrong with a policy, or with its cases.
type policyProblem struct {
	what     string
	findings []policyFinding
	// unread is set where the policy itself could not be read, so that nothing is known about it.
	unread bool
}

func (p *policyProblem) Error() string {
	return fmt.Sprintf("%s cannot be used: %s", p.what, count(len(p.findings), "error"))
}

// hint is what to do about all of it.
func (p *policyProblem) hint() string {
	if slices.ContainsFunc(p.findings, func(f policyFinding) bool { return f.File != "" }) {
		return "correct what is named; `avow policy check` and `avow policy test` say when it is right"
	}
	return "correct --policy-param; `avow policy list` shows what the parameters are"
}

// problem adds to the errors of package policy what a person needs to find the places.
func (s *policySource) problem(what string, err error) error {
	var found policy.Errors
	if !errors.As(err, &found) {
		return err
	}
	p := &policyProblem{what: what}
	lines := map[string][]string{}
	for _, e := range found {
		f := policyFinding{Line: e.Line, Column: e.Column, Code: string(e.Code), Message: e.Message, Hint: e.Hint}
		if e.File != "" {
			f.File = s.path(e.File)
		}
		p.unread = p.unread || e.Code == policy.CodeRead && e.File == s.name && e.Line == 0
		if e.Line > 0 {
			if lines[e.File] == nil {
				lines[e.File] = s.lines(e.File)
			}
			if e.Line <= len(lines[e.File]) {
				f.source = lines[e.File][e.Line-1]
			}
		}
		p.findings = append(p.findings, f)
	}
	return p
}

// lines returns the lines of a file of the policy; none if it cannot be read any more.
func (s *policySource) lines(file string) []string {
	if s.root == nil || !isPolicyFile(file) {
		return []string{}
	}
	data, err := readFileOf(s.files(), file, policy.MaxPolicyBytes)
	if err != nil {
		return []string{}
	}
	return strings.Split(string(data), "\n")
}

// leastWidth is the least number of columns that a finding is laid out for.
const leastWidth = 40

// describe returns the finding for a person: place and message, the line with a caret below the column, the hint. All
// of it is safe to print.
func (f *policyFinding) describe(width int) []string {
	if width <= 0 {
		width = text.DefaultWidth
	}
	head := f.Message + " (" + f.Code + ")"
	switch {
	case f.Line > 0:
		head = fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, max(f.Column, 1), head)
	case f.File != "":
		head = f.File + ": " + head
	}
	lines := []string{text.Safe(head)}
	if strings.TrimSpace(f.source) != "" {
		number := fmt.Sprintf("%5d | ", f.Line)
		line, caret := excerpt(f.source, f.Column, max(width, leastWidth)-len(number))
		lines = append(lines, number+line, strings.Repeat(" ", len(number)-2)+"| "+caret)
	}
	if f.Hint != "" {
		for _, line := range text.Wrap(text.Safe(f.Hint), max(width, leastWidth)-8) {
			lines = append(lines, "        "+line)
		}
	}
	return lines
}

// excerpt returns as much of a line around a column (from 1, in characters) as fits into a width, and the caret that
// points at it.
func excerpt(line string, column, width int) (safe, caret string) {
	const cut = "..."
	characters := []rune(strings.TrimRight(line, " \t\r"))
	at := min(max(column-1, 0), len(characters))
	from, to := max(at-width, 0), min(at+width, len(characters)) // no more than this can be shown
	before, after := text.Safe(string(characters[from:at])), text.Safe(string(characters[at:to]))
	if most := width * 2 / 3; text.Width(before) > most {
		for text.Width(before) > most-len(cut) {
			_, n := utf8.DecodeRuneInString(before)
			before = before[n:]
		}
		before = cut + before
	}
	if room := width - text.Width(before); text.Width(after) > room {
		for text.Width(after) > room-len(cut) {
			_, n := utf8.DecodeLastRuneInString(after)
			after = after[:len(after)-n]
		}
		after += cut
	}
	return before + after, strings.Repeat(" ", text.Width(before)) + "^"
}
