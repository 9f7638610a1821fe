package plain

import (
	"strings"

	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// policyRules prints what a policy said: a line for each rule, and for one that failed what made it fail.
func policyRules(w *text.Writer, p *verify.PolicyResult) {
	w.Heading("Policy " + text.Safe(p.Name) + " " + text.Safe(p.Version))
	columns := 0
	for _, r := range p.Rules {
		columns = max(columns, text.Width(text.Safe(r.ID))+2)
	}
	columns = min(columns, checkColumns)
	for _, r := range p.Rules {
		rule(w, r, columns)
	}
	if len(p.Rules) == 0 {
		w.Line("  the policy has no rule, so nothing was evaluated")
	}
}

// rule prints one rule. The zero value of a result is one that failed and rejects.
func rule(w *text.Writer, r verify.RuleResult, columns int) {
	mark, colour, says := "FAIL", text.Red, r.Message
	switch {
	case r.Passed:
		mark, colour, says = "ok  ", text.Green, sentence(r.Description)
	case r.Severity == verify.SeverityWarn:
		mark, colour = "warn", text.Yellow
	}
	label := w.Style(colour, mark) + "  " + text.Safe(r.ID)
	indent := len(mark) + 2 + columns
	w.Item("  ", indent, label, or(strings.TrimSpace(says), notStated))
	if r.Passed {
		return
	}
	w.Item("  ", indent, "", prefixed("failing: ", strings.Join(r.Failing, ", ")))
	w.Item("  ", indent, "", prefixed("could not be evaluated: ", r.Error))
}

// sentence returns the first sentence of a text.
func sentence(s string) string {
	if end := strings.Index(s, ". "); end >= 0 {
		return s[:end+1]
	}
	return strings.TrimSpace(s)
}
