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

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// policyTestFlags are the flags of policy test.
type policyTestFlags struct {
	verbose bool
	format  format
}

// testedPolicy is what test says about one file of cases; the members of its JSON.
type testedPolicy struct {
	File   string       `json:"file"`
	Policy string       `json:"policy"`
	Cases  []policyCase `json:"cases"`
}

// policyCase is the result of one case.
type policyCase struct {
	Name     string              `json:"name"`
	Line     int                 `json:"line"`
	Expected string              `json:"expected"`
	Got      string              `json:"got"`
	Passed   bool                `json:"passed"`
	Failing  map[string][]string `json:"failing"` // ids by rules that deny
	Problems []string            `json:"problems,omitempty"`

	failing []string // rules that deny, in their order
	rules   []verify.RuleResult
}

func (a *app) policyTest() *cobra.Command {
	f := &policyTestFlags{}
	c := &cobra.Command{
		Use:   "test FILE|DIR...",
		Short: "Run the cases beside policies: statements, and the verdict that is expected",
		Long: `Run the cases of policies. The cases of policy.yaml are in policy.cases.yaml beside it; a case names
statements, relative to its file, and the verdict that it expects. With failing exactly those
rules must deny, each by exactly those ids. The statements are judged as if they were verified
and signed by whom the policy names. Of a directory every file that ends in .cases.yaml is run.

  apiVersion: ` + policy.CasesVersion + `
  cases:
    - name: recipient in the USA
      at: 2026-11-23T12:00:00Z
      statements: [statements/usa.json]
      parameters: {CONTRACT_END: "2028-12-31"}      # may be left out, as may approved and failing
      approved: [statements/in-use.json]
      expect: reject                                # or accept
      failing: {P01: [telemetry], P08: []}

Exit code 0: all is as expected; 1: something is not; 2: a policy or a case could not be used.`,
		Example: `  avow policy test policy.yaml
  avow policy test policies/ -v`,
		Args: arguments(1, -1, "which cases? give a policy that has cases beside it, a file of cases, or a directory"),
		RunE: func(c *cobra.Command, args []string) error { return a.runPolicyTest(c.Context(), args, f) },
	}
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print every rule of every case")
	f.format.register(c)
	return c
}

func (a *app) runPolicyTest(ctx context.Context, args []string, f *policyTestFlags) error {
	files, err := caseFiles(args)
	if err != nil {
		return err
	}
	var all []testedPolicy
	for _, file := range files {
		tested, err := runCases(ctx, file)
		if err != nil {
			return err
		}
		all = append(all, *tested)
	}
	if f.format.json() {
		err = a.printJSON(all)
	} else {
		err = a.printTested(all, f.verbose)
	}
	if err != nil {
		return err
	}
	for _, t := range all {
		if slices.ContainsFunc(t.Cases, func(c policyCase) bool { return !c.Passed }) {
			return no()
		}
	}
	return nil
}

// casesOf is the file of cases beside a policy, policyOf the policy beside a file of cases.
func casesOf(file string) string {
	extension := filepath.Ext(file)
	return strings.TrimSuffix(file, extension) + ".cases" + extension
}

func policyOf(file string) string {
	extension := filepath.Ext(file)
	return strings.TrimSuffix(file, ".cases"+extension) + extension
}

// isCases tells files of cases from policies.
func isCases(file string) bool {
	return strings.HasSuffix(file, ".cases.yaml") || strings.HasSuffix(file, ".cases.yml")
}

// caseFiles finds the files of cases that the arguments name, each once.
func caseFiles(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil:
			return nil, err
		case info.IsDir():
			found := 0
			if err := filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && !entry.IsDir() && isCases(path) {
					files, found = append(files, path), found+1
				}
				return err
			}); err != nil {
				return nil, err
			}
			if found == 0 {
				return nil, failed("the cases of policy.yaml are in policy.cases.yaml beside it", "there is no file of cases in %s", arg)
			}
		case isCases(arg):
			files = append(files, arg)
		case isPolicyFile(arg):
			if _, err := os.Stat(casesOf(arg)); err != nil {
				return nil, failed("write them; `avow policy test --help` shows how", "%s has no cases: %w", arg, err)
			}
			files = append(files, casesOf(arg))
		default:
			return nil, failed("give a policy, or its file of cases, which ends in .cases.yaml", "%s is neither", arg)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// runCases runs one file of cases: of the policy beside it, or of the ready-made one of that name.
func runCases(ctx context.Context, file string) (*testedPolicy, error) {
	name := policyOf(file)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		readyMade := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
		if !slices.Contains(policy.Names(), readyMade) {
			return nil, failed("put the two beside each other", "%s has no policy: there is no %s", file, name)
		}
		name = readyMade
	}
	s, err := openPolicy(file)
	if err != nil {
		return nil, err
	}
	defer s.close()
	results, err := policy.RunCases(ctx, filepath.Base(name), s.files(), s.name, policy.Options{})
	if err != nil {
		return nil, s.problem(file, err)
	}
	t := &testedPolicy{File: file, Policy: name, Cases: []policyCase{}}
	for _, r := range results {
		c := policyCase{Name: r.Name, Line: r.Line, Expected: r.Expected, Got: r.Got, Passed: r.Passed(), Problems: r.Problems,
			Failing: map[string][]string{}, rules: r.Rules}
		for _, rule := range (&verify.PolicyResult{Rules: r.Rules}).Denials() {
			c.failing = append(c.failing, rule.String())
			c.Failing[rule.ID] = append([]string{}, rule.Failing...)
		}
		t.Cases = append(t.Cases, c)
	}
	return t, nil
}

// printTested prints a line for each case, and what is not as expected.
func (a *app) printTested(all []testedPolicy, verbose bool) error {
	w := a.writer()
	passed, total := 0, 0
	for i, t := range all {
		if i > 0 {
			w.Blank()
		}
		w.Line("%s", w.Style(text.Bold, text.Safe(t.File)))
		columns := len("CASE")
		for _, c := range t.Cases {
			columns = max(columns, text.Width(text.Safe(c.Name)))
		}
		columns = min(columns, w.Width()/2)
		w.Line("        %-*s  EXPECTED  GOT     FAILING", columns, "CASE")
		for _, c := range t.Cases {
			total++
			if c.Passed {
				passed++
			}
			printCase(w, t.File, c, columns, verbose)
		}
	}
	w.Blank()
	w.Line("%d of %s as expected", passed, count(total, "case"))
	return w.Err()
}

func printCase(w *text.Writer, file string, c policyCase, columns int, verbose bool) {
	mark := w.Style(text.Green, "ok  ")
	if !c.Passed {
		mark = w.Style(text.Red, "FAIL")
	}
	label := mark + "  " + text.Safe(c.Name)
	label += strings.Repeat(" ", max(columns+6-text.Width(label), 0)) + fmt.Sprintf("  %-8s  %-6s  ", c.Expected, c.Got)
	failing := strings.Join(c.failing, ", ")
	if failing == "" {
		failing = "-"
	}
	w.Item("  ", text.Width(label), strings.TrimRight(label, " "), text.Safe(failing))
	for _, problem := range c.Problems {
		w.Paragraph("        ", fmt.Sprintf("%s:%d: %s", text.Safe(file), c.Line, text.Safe(problem)))
	}
	if verbose {
		plain.RuleResults(w, "      ", c.rules)
	}
}
