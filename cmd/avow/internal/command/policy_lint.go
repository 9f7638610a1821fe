package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify/policy"
)

// policyLintFlags are the flags of policy lint.
type policyLintFlags struct {
	statements []string
	parameters policyParameters
	at         string
	format     format
}

// lintedPolicy is what lint says about a policy over one release; the members of its JSON.
type lintedPolicy struct {
	Policy     string       `json:"policy"`
	Statements string       `json:"statements"`
	Cases      int          `json:"cases"`
	Incomplete bool         `json:"incomplete"`
	Untested   []string     `json:"untestedRules"`
	Holes      []policyHole `json:"holes"`
}

// policyHole is a place where a policy can be got round by leaving something out.
type policyHole struct {
	Rule      string   `json:"rule"`
	Statement string   `json:"statement"`
	Pointer   string   `json:"pointer"`
	Denied    string   `json:"denied"`
	Stopped   []string `json:"stoppedByRules"`
}

func (a *app) policyLint() *cobra.Command {
	f := &policyLintFlags{}
	c := &cobra.Command{
		Use:   "lint FILE|NAME",
		Short: "Find what a vendor could leave out to get past a policy",
		Long: `A policy must never accept because something was left out. Lint takes statements, makes each rule
deny, leaves out each member of the statements in turn, and reports every rule that does not deny
any more: the member as a JSON pointer, and the issuance rules that refuse such a statement, if
any do. Without one of these, only the policy stands in the way.

The statements are this program's examples (` + "`avow policy lint`" + ` judges them at their own time), or every
*.json in the directories that you name: one release each, as statements or bundles. Nothing of
them is verified. A rule that denied none of them was not tested, and is named. A flow or a
mechanism that the vendor does not list at all, no policy can see.

Exit code 0: no hole; 1: holes; 2: the policy cannot be used, or a statement could not be read.` + policyHelp,
		Example: `  avow policy lint policy.yaml
  avow policy lint strict --statements app-1.2/ --statements app-1.3/ --format json`,
		Args: arguments(1, 1, errNoPolicy.Error()),
		RunE: func(c *cobra.Command, args []string) error { return a.runPolicyLint(c, args[0], f) },

		ValidArgsFunction: completePolicy,
	}
	o := c.Flags()
	o.StringArrayVar(&f.statements, "statements", nil, "`DIR` with the statements of one release; may be repeated")
	f.parameters.register(c)
	o.StringVar(&f.at, "at", "", "`TIME` at which the statements of --statements are judged, as 2026-11-23T12:00:00Z (default now)")
	f.format.register(c)
	if err := c.MarkFlagDirname("statements"); err != nil {
		panic(err) // as in completes
	}
	return c
}

// releases are the statements to leave something out of.
func (f *policyLintFlags) releases(c *cobra.Command, now time.Time) ([]release, error) {
	if len(f.statements) == 0 {
		if f.at != "" {
			return nil, usageFailure(c.CommandPath(), errors.New("--at is for --statements: the examples have a time of their own"))
		}
		return exampleReleases()
	}
	at := now
	if f.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, failed("write --at as 2026-11-23T12:00:00Z", "--at %q is not a time", f.at)
		}
	}
	var all []release
	for _, dir := range f.statements {
		r, err := directoryRelease(dir, at)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func (a *app) runPolicyLint(c *cobra.Command, name string, f *policyLintFlags) error {
	values, err := f.parameters.values(c)
	if err != nil {
		return err
	}
	releases, err := f.releases(c, a.env.Now())
	if err != nil {
		return err
	}
	p, err := loadPolicy(c.Context(), name, values)
	if err != nil {
		return err
	}
	var all []lintedPolicy
	for i, r := range releases {
		facts, err := r.facts(p)
		if err != nil {
			return err
		}
		clear := a.working(fmt.Sprintf("leaving things out of %s (%d of %d)", r.name, i+1, len(releases)))
		report, err := policy.Lint(c.Context(), p, facts)
		clear()
		if err != nil {
			return about(r.name, err)
		}
		all = append(all, linted(name, r.name, report))
	}
	if f.format.json() {
		err = a.printJSON(all)
	} else {
		err = a.printPolicyLint(all, unset(p))
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(l lintedPolicy) bool { return len(l.Holes) > 0 }) {
		return no()
	}
	return nil
}

// linted converts a report.
func linted(name, statements string, report *policy.LintReport) lintedPolicy {
	l := lintedPolicy{Policy: name, Statements: statements, Cases: report.Cases, Incomplete: report.Incomplete,
		Untested: append([]string{}, report.Untested...), Holes: []policyHole{}}
	for _, h := range report.Holes {
		l.Holes = append(l.Holes, policyHole{Rule: h.Rule, Statement: h.Statement, Pointer: h.Pointer, Denied: h.Denied,
			Stopped: append([]string{}, h.Stopped...)})
	}
	return l
}

// printPolicyLint prints the holes, and what was not tested by any of the releases.
func (a *app) printPolicyLint(all []lintedPolicy, unset []string) error {
	w := a.writer()
	holes, cases := map[string]bool{}, 0
	untested := slices.Clone(all[0].Untested)
	for _, l := range all {
		for _, h := range l.Holes {
			if place := h.Rule + " " + h.Statement + " " + h.Pointer; !holes[place] {
				holes[place] = true
				printHole(w, l, h)
			}
		}
		if l.Incomplete {
			w.Paragraph("", fmt.Sprintf("%s: stopped after %d cases; give smaller statements", text.Safe(l.Statements), l.Cases))
		}
		cases += l.Cases
		untested = slices.DeleteFunc(untested, func(id string) bool { return !slices.Contains(l.Untested, id) })
	}
	name := text.Safe(all[0].Policy)
	if len(untested) > 0 {
		w.Paragraph("", fmt.Sprintf("%s: not tested, because nothing made them deny: %s; give --statements that can",
			name, text.Safe(strings.Join(untested, ", "))))
	}
	if len(unset) > 0 {
		w.Paragraph("", fmt.Sprintf("%s: without a value, so that rules that read them deny everything: %s; give --policy-param",
			name, text.Safe(strings.Join(unset, ", "))))
	}
	w.Line("%s: %s in %s", name, count(len(holes), "hole"), count(cases, "case"))
	return w.Err()
}

// printHole prints one hole.
func printHole(w *text.Writer, l lintedPolicy, h policyHole) {
	pointer, left := h.Pointer, "its member "+h.Pointer
	if pointer == "" {
		pointer, left = "(the whole statement)", "it"
	}
	w.Line("%s: %s %s %s", w.Style(text.Red, "hole"), text.Safe(h.Rule), text.Safe(h.Statement), text.Safe(pointer))
	w.Paragraph("    ", fmt.Sprintf("denied (%s; %s), and no longer once the vendor leaves %s out", text.Safe(l.Statements),
		text.Safe(h.Denied), text.Safe(left)))
	if len(h.Stopped) > 0 {
		w.Paragraph("    ", "such a statement is not issued (rules "+strings.Join(h.Stopped, ", ")+"), so only the policy has the hole")
	} else {
		w.Paragraph("    ", "nothing else stops such a statement")
	}
}

// working says on a terminal what goes on, until it is called off.
func (a *app) working(what string) (clear func()) {
	if !a.env.ErrorIsTerminal {
		return func() {}
	}
	fmt.Fprintf(a.env.Stderr, "%s ...", text.Safe(what))
	return func() { fmt.Fprint(a.env.Stderr, "\r\x1b[K") }
}
