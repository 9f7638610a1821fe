package predicate

import (
	"fmt"
	"time"
)

// lifecycleRules are those of withdrawal, dispute, assessment and standing.
func lifecycleRules() []Rule {
	return []Rule{
		{Code: "R40", Severity: SeverityError, Needs: "T, I", related: relatedTarget,
			When: "a withdrawal or answer is signed by another identity than that of the target or its successor; the target is not in " +
				"the store; the subjects differ from the target's; a withdrawal is about a withdrawal, a dispute about a dispute, an " +
				"assessment about something else than a declaration, any of them about a standing; a thread does not begin with the " +
				"dispute that it names, or is about another target; a statement supersedes one of another type",
			Why: "nobody withdraws for another",
			Fix: "sign with the key of the target; copy all its subjects"},
		{Code: "R41", Severity: SeverityError, Needs: "T, I", related: relatedAssessor,
			When: "an assessment with independence thirdParty is by the declarant: same name, identifier or signing identity",
			Why:  "nobody marks one's own work",
			Fix:  "say firstParty"},
		{Code: "R42", Severity: SeverityError, Needs: "S, I", check: checkStanding,
			When: "a standing is not signed by a key of the service; notAfter is not after checkedAt, or more than 7 days after it",
			Why:  "freshness is the point",
			Fix:  "issue a new standing"},
	}
}

func checkStanding(c *checker) {
	if c.s.Standing == nil {
		return
	}
	checked, ok1 := parseTime(c.s.Standing.CheckedAt)
	end, ok2 := parseTime(c.s.Standing.NotAfter)
	switch {
	case !ok1 || !ok2: // R05
	case !end.After(checked):
		c.report("/predicate/notAfter", c.s.Standing.NotAfter, "is not after checkedAt", "issue a new standing")
	case end.Sub(checked) > MaxStandingValidity:
		c.report("/predicate/notAfter", c.s.Standing.NotAfter,
			fmt.Sprintf("is more than %d days after checkedAt", MaxStandingValidity/(24*time.Hour)), "a standing lives at most 7 days")
	}
}
