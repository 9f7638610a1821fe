package report

import (
	"slices"

	"github.com/avow-dev/avow/cmd/avow/internal/plain"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/verify"
)

// entry is one line of a verdict: a check, or a rule of the policy. All texts are safe to print.
type entry struct {
	// ID is the check's id, or the rule's where Rule is set.
	ID   string
	Rule bool
	// Bundle is the bundle that it is about, or "".
	Bundle string
	Status verify.Status
	// Sentence says what is asked for, Detail what came of it.
	Sentence, Detail string
	// Expected, Got and Hint are set for failures: the last says what to do.
	Expected, Got, Hint string
	// Failing are the ids of what made a rule fail.
	Failing []string
}

// The ids of entries that are neither checks nor rules.
const (
	idNotEvaluated = "not-evaluated"
	idVerdict      = "verdict"
)

// key names an entry across checks and rules: rules have names of the buyer's choice.
func (e *entry) key() string {
	if e.Rule {
		return "policy/" + e.ID
	}
	return e.ID
}

// entries are all checks and all rules of an item that was evaluated.
func entries(v *verify.Verdict) []entry {
	list := make([]entry, 0, len(v.Checks))
	for _, c := range v.Checks {
		list = append(list, entry{ID: text.Safe(string(c.ID)), Bundle: text.Safe(c.Bundle), Status: c.Status,
			Sentence: plain.CheckSentence(c.ID), Detail: text.Safe(c.Detail), Expected: text.Safe(c.Expected),
			Got: text.Safe(c.Got), Hint: text.Safe(c.Hint)})
	}
	if v.Policy != nil {
		for _, r := range v.Policy.Rules {
			list = append(list, ruleEntry(&r))
		}
	}
	return list
}

func ruleEntry(r *verify.RuleResult) entry {
	e := entry{ID: text.Safe(r.ID), Rule: true, Sentence: text.Safe(r.Description), Status: verify.StatusPass}
	if r.Passed {
		return e
	}
	e.Status = verify.StatusFail
	if r.Severity == verify.SeverityWarn {
		e.Status = verify.StatusWarning
	}
	e.Detail = text.Safe(r.Message)
	if r.Error != "" {
		e.Detail = "could not be evaluated: " + text.Safe(r.Error)
	}
	for _, id := range r.Failing {
		e.Failing = append(e.Failing, text.Safe(id))
	}
	return e
}

// findings are the entries that somebody has to read: what failed, then what warns. The check that stands for the whole
// policy is left out where the rules speak for themselves. An item that is not accepted has at least one failure.
func findings(i *Item) []entry {
	switch outcomeOf(i) {
	case notEvaluated:
		return []entry{{ID: idNotEvaluated, Status: verify.StatusFail, Sentence: "The question can be answered.",
			Detail: i.problem(), Hint: "correct what the message names, and verify again"}}
	case rejected, accepted:
	}
	list := slices.DeleteFunc(entries(i.Verdict), func(e entry) bool {
		spoken := e.ID == string(verify.CheckPolicy) && !e.Rule && i.Verdict.Policy != nil &&
			len(i.Verdict.Policy.Denials())+len(i.Verdict.Policy.Warnings()) > 0
		return spoken || e.Status != verify.StatusFail && e.Status != verify.StatusWarning
	})
	slices.SortStableFunc(list, func(a, b entry) int { return int(a.Status) - int(b.Status) }) // StatusFail is the smaller
	if !i.Accepted() && (len(list) == 0 || list[0].Status != verify.StatusFail) {
		list = append([]entry{{ID: idVerdict, Status: verify.StatusFail, Sentence: "The verdict is an acceptance.",
			Detail: "the verdict is a rejection, and no check says why", Hint: "treat it as rejected"}}, list...)
	}
	return list
}

// labelled are the parts of an entry that are set, each with its label.
func (e *entry) labelled() [][2]string {
	var list [][2]string
	for _, p := range [][2]string{{"bundle", e.Bundle}, {"expected", e.Expected}, {"got", e.Got}, {"what to do", e.Hint}} {
		if p[1] != "" {
			list = append(list, p)
		}
	}
	return list
}
