package plain

import (
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// policyRules prints what a policy said: a line for each rule, and for one that failed what made it fail.
func policyRules(w *text.Writer, p *verify.PolicyResult) {
	w.Heading("Policy " + text.Safe(p.Name) + " " + text.Safe(p.Version))
	RuleResults(w, "  ", p.Rules)
	if len(p.Rules) == 0 {
		w.Line("  the policy has no rule, so nothing was evaluated")
	}
}

// RuleResults prints the outcomes of rules, each line after the indent.
func RuleResults(w *text.Writer, indent string, rules []verify.RuleResult) {
	columns := 0
	for _, r := range rules {
		columns = max(columns, text.Width(text.Safe(r.ID))+2)
	}
	columns = min(columns, checkColumns)
	for _, r := range rules {
		rule(w, indent, r, columns)
	}
}

// rule prints one rule. The zero value of a result is one that failed and rejects.
func rule(w *text.Writer, indent string, r verify.RuleResult, columns int) {
	mark, colour, says := "FAIL", text.Red, r.Message
	switch {
	case r.Passed:
		mark, colour, says = "ok  ", text.Green, sentence(r.Description)
	case r.Severity == verify.SeverityWarn:
		mark, colour = "warn", text.Yellow
	}
	label := w.Style(colour, mark) + "  " + text.Safe(r.ID)
	columns += len(mark) + 2
	w.Item(indent, columns, label, or(strings.TrimSpace(says), notStated))
	if r.Passed {
		return
	}
	w.Item(indent, columns, "", prefixed("failing: ", strings.Join(r.Failing, ", ")))
	w.Item(indent, columns, "", prefixed("could not be evaluated: ", r.Error))
}

// sentence returns the first sentence of a text.
func sentence(s string) string {
	if end := strings.Index(s, ". "); end >= 0 {
		return s[:end+1]
	}
	return strings.TrimSpace(s)
}
