package plain

import (
	"regexp"
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/policy"
)

// ExplainedRule is a rule with what there is to say about it.
type ExplainedRule struct {
	Rule policy.Rule
	// Policy is the policy that the rule was found in.
	Policy policy.Metadata
	// ReadyMade is set for a rule that is written in a ready-made policy.
	ReadyMade bool
	// Parameters are those that the rule reads.
	Parameters []policy.Parameter
	// Profiles are the ready-made profiles that contain the rule.
	Profiles []string
}

// Mentions reports whether an expression of the rule reads a name.
func Mentions(r policy.Rule, name string) bool {
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
	return word.MatchString(withoutStrings(r.Require + "\n" + r.ForEach + "\n" + r.Expression))
}

var celString = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'`)

// withoutStrings takes the string literals out of an expression.
func withoutStrings(expression string) string { return celString.ReplaceAllString(expression, `""`) }

// ExplainRule prints what a rule asks for, how it is evaluated, and how it is met.
func ExplainRule(w *text.Writer, e ExplainedRule) {
	r := e.Rule
	w.Line("%s  %s", w.Style(text.Bold, text.Safe(r.ID)), text.Safe(r.Title))
	w.Blank()
	item := func(label, s string) { w.Item("  ", labelColumns, label, s) }
	item("Asks for", text.Safe(strings.TrimSpace(r.Description)))
	item("If it fails", consequence(r))
	item("To meet it", remedy(e))
	item("Part of", partOf(e))
	if r.Expression == "" {
		item("Evaluated", "by comparing what the policy pins with what verification found; there is no expression")
		return
	}
	w.Heading("  How it is evaluated")
	item("Needs", or(strings.Join(r.Needs, ", "), "nothing in particular"))
	if r.Require != "" {
		item("First", "this must be true, or the rule fails:")
		celLines(w, r.Require)
	}
	if r.ForEach != "" {
		item("For each", "x of the following, the expression must be true:")
		celLines(w, r.ForEach)
	}
	w.Line("  Expression")
	celLines(w, r.Expression)
	for _, f := range policy.Functions() {
		if strings.Contains(withoutStrings(r.Require+"\n"+r.ForEach+"\n"+r.Expression), f.Name+"(") {
			item("Function", f.Signature+": "+f.Description)
		}
	}
	for _, q := range e.Parameters {
		item("Parameter", parameter(q))
	}
}

// celLines prints an expression with its line breaks. A line that is too long goes on in the next.
func celLines(w *text.Writer, expression string) {
	const indent = "      "
	for line := range strings.Lines(strings.TrimRight(expression, " \n")) {
		content := strings.TrimLeft(line, " ")
		deeper := indent + strings.Repeat(" ", min(len(line)-len(content), 16))
		w.Paragraph(deeper, text.Safe(strings.TrimRight(content, "\n")))
	}
}

// consequence says what a failure means.
func consequence(r policy.Rule) string {
	s := "the verdict is rejected (deny)"
	if r.Severity == verify.SeverityWarn {
		s = "the verdict stands, with a warning (warn)"
	}
	s += `: "` + text.Safe(strings.TrimSpace(r.Message)) + `".`
	if r.ForEach != "" {
		s += " The verdict names those for which it failed by their ids."
	}
	return s + " What a statement leaves out, and what cannot be evaluated, counts as failed."
}

// remedy says how a vendor meets the rule.
func remedy(e ExplainedRule) string {
	if e.ReadyMade || e.Rule.File == "" {
		if s := satisfied[e.Rule.ID]; s != "" {
			return s
		}
	}
	if e.Rule.ForEach != "" {
		return "every element of " + text.Safe(strings.TrimSpace(e.Rule.ForEach)) + " has to make the expression below true"
	}
	return "the statements have to make the expression below true"
}

// partOf says where the rule is written and which profiles contain it.
func partOf(e ExplainedRule) string {
	s := "policy " + text.Safe(e.Policy.Name) + " " + text.Safe(e.Policy.Version)
	if len(e.Profiles) > 0 {
		return s + "; profiles: " + strings.Join(e.Profiles, ", ")
	}
	if e.ReadyMade {
		return s + "; no profile contains it"
	}
	return s
}

// parameter is a parameter with its value.
func parameter(q policy.Parameter) string {
	s := text.Safe(q.Name) + " (" + string(q.Type) + ")"
	if q.Description != "" {
		s += ", " + text.Safe(strings.TrimRight(q.Description, ". \n"))
	}
	if !q.Set {
		return s + ": not set; the rule fails until you give --policy-param " + text.Safe(q.Name) + "=..."
	}
	return s + ": " + text.Safe(q.Value)
}
