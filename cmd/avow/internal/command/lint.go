package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/observation"
	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
)

// lintFlags are the flags of lint.
type lintFlags struct {
	strict      bool
	declaration bool
	format      format
}

// lintResult is what lint says about one file; the members of its JSON.
type lintResult struct {
	File          string             `json:"file"`
	StatementID   string             `json:"statementId,omitempty"`
	PredicateType string             `json:"predicateType,omitempty"`
	Findings      predicate.Findings `json:"findings"`

	statement *predicate.Statement
}

func (a *app) lint() *cobra.Command {
	f := &lintFlags{}
	c := &cobra.Command{
		Use:   "lint STATEMENT...",
		Short: "Check statements against the issuance rules",
		Long: `Check statements against every rule that one statement shows (R01 to R34) and print each finding
with its code, the place as a JSON pointer, what was found and what to do. Warnings (W01 to W08)
do not block issuing.

Observations (avow observe) and results of comparisons (avow compare) are checked for their form,
and that they are small enough to be logged.

Of several files, references between them are checked too. With --declaration the files are
taken as a whole declaration: a reference to a statement that is not among them is a finding.

The file "-" is standard input. Exit code 0: clean; 1: findings (with --strict warnings too); 2:
a file could not be read.`,
		Example: `  avow lint no-backdoor.json data-flows.json --declaration
  avow lint --strict --format json data-flows.json`,
		Args: arguments(1, -1, "which statement? give its file, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error { return a.runLint(args, f) },
	}
	c.Flags().BoolVar(&f.strict, "strict", false, "warnings count as findings")
	c.Flags().BoolVar(&f.declaration, "declaration", false, "references must lead to one of the files")
	f.format.register(c)
	return c
}

func (a *app) runLint(paths []string, f *lintFlags) error {
	results := make([]*lintResult, 0, len(paths))
	tables := predicate.EmbeddedTables()
	for _, path := range paths {
		data, err := a.readUpTo(path, predicate.MaxStatementBytes+1) // one byte more: R01 says what is wrong with it
		if err != nil {
			return err
		}
		r := &lintResult{File: path, Findings: predicate.Lint(data, tables)}
		if st, err := predicate.Parse(data, predicate.Issuance); err == nil {
			r.StatementID, r.PredicateType, r.statement = st.ID(), st.Type, st
			r.Findings = append(r.Findings, lintObservation(st)...)
		}
		results = append(results, r)
	}
	if f.declaration || len(results) > 1 {
		lintRelated(results, f.declaration)
	}
	if err := a.printLint(results, f.format); err != nil {
		return err
	}
	for _, r := range results {
		if len(r.Findings.Errors()) > 0 || f.strict && len(r.Findings) > 0 {
			return no()
		}
	}
	return nil
}

// lintObservation reads a runtime trace as its reader does: the rules look at its form alone.
func lintObservation(st *predicate.Statement) predicate.Findings {
	if st.Type != predicate.RuntimeTraceType {
		return nil
	}
	if _, err := observation.Parse(st.Payload()); err != nil {
		return predicate.Findings{{Code: "R02", Severity: predicate.SeverityError, Pointer: "/predicate", Message: err.Error(),
			Hint: "make it with `avow observe`; docs/observing.md has its members"}}
	}
	return nil
}

// lintRelated adds what the statements show about each other. Unless the files are said to be a whole declaration, a
// statement that refers to others that are not here is left to the service, which has them.
func lintRelated(results []*lintResult, whole bool) {
	var all []*predicate.Statement
	for _, r := range results {
		if r.statement != nil {
			all = append(all, r.statement)
		}
	}
	for _, r := range results {
		if r.statement != nil && (whole || allKnown(r.statement, all)) {
			r.Findings = append(r.Findings, r.statement.CheckRelated(all)...)
		}
	}
}

func (a *app) printLint(results []*lintResult, f format) error {
	if f.json() {
		for _, r := range results {
			if r.Findings == nil {
				r.Findings = predicate.Findings{} // [] and not null
			}
		}
		return a.printJSON(results)
	}
	w := a.writer()
	for _, r := range results {
		name := text.Safe(r.File)
		if len(r.Findings) == 0 {
			w.Line("%s: %s, clean, %s", name, plain.TypeName(r.PredicateType), r.StatementID)
			continue
		}
		for _, finding := range foldPlaceholders(r.Findings) {
			colour := text.Red
			if finding.Severity == predicate.SeverityWarning {
				colour = text.Yellow
			}
			w.Line("%s: %s %s", name, w.Style(colour, severityWord(finding)), text.Safe(findingLine(finding)))
			if finding.Hint != "" {
				w.Paragraph("    ", text.Safe(finding.Hint))
			}
		}
		summary := count(len(r.Findings.Errors()), "error") + ", " + count(len(r.Findings.Warnings()), "warning")
		if len(r.Findings.Errors()) == 0 { // the bytes may stay as they are, so the id means something
			summary += ", " + r.StatementID
		}
		w.Line("%s: %s", name, summary)
	}
	return w.Err()
}

// foldPlaceholders puts one finding into the place of those of which each says that a placeholder is still there.
func foldPlaceholders(findings predicate.Findings) predicate.Findings {
	var folded predicate.Findings
	n, first := 0, 0
	for _, f := range findings {
		if f.Code != "R02" || !strings.HasPrefix(f.Found, placeholder) {
			folded = append(folded, f)
			continue
		}
		if n++; n == 1 {
			first = len(folded)
			folded = append(folded, f)
		}
	}
	if n > 1 {
		folded[first].Message = fmt.Sprintf("is the first of %d places that still say \"%s\"", n, placeholder)
		folded[first].Hint = "replace each by your own text, or remove what does not apply; the texts name the values"
	}
	return folded
}

func severityWord(f predicate.Finding) string {
	if f.Severity == predicate.SeverityWarning {
		return "warning"
	}
	return "error"
}

// findingLine is one finding on one line: code, place, what is wrong, what was found.
func findingLine(f predicate.Finding) string { return f.String() }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
