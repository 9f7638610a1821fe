package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// standingNotAsked is why there is no answer where none was asked for.
const standingNotAsked = "no status was given: whether anything was withdrawn is not shown"

// askStanding finds out how every declaration that counts stands, if all that came before was accepted.
func askStanding(ctx context.Context, ask StandingFunc, verdict *Verdict, before Outcome) (Check, error) {
	if before != Accepted {
		return Check{ID: CheckStanding, Status: StatusSkipped, Detail: "the standing of accepted bundles alone is asked for"}, nil
	}
	var judged []*Evidence
	for i := range verdict.Evidence {
		e := &verdict.Evidence[i]
		if !slices.Contains(declarations, e.Statement.Type) {
			continue // what is said about a statement belongs to that one's standing
		}
		result, err := ask(ctx, e)
		if err != nil {
			return Check{}, err
		}
		if result == nil {
			result = &StandingResult{}
		}
		e.Standing = result
		judged = append(judged, e)
	}
	c := checkStanding(judged)
	c.ID = CheckStanding
	return c, nil
}

// checkStanding turns the answers into the check. Nothing to ask about is nothing that is in force.
func checkStanding(judged []*Evidence) Check {
	var bad []*Evidence
	for _, e := range judged {
		if e.Standing.Standing != StandingInForce && e.Standing.Standing != StandingPartlyWithdrawn {
			bad = append(bad, e)
		}
	}
	const wanted = "every declaration in force, as its status shows"
	switch {
	case len(judged) == 0:
		return fail(wanted, "no declaration", "there is no declaration whose status could be looked at", "leave the status out, or give the bundle of a declaration")
	case len(bad) > 0:
		var got []string
		for _, e := range bad {
			got = append(got, fmt.Sprintf("%s (%s): %s", e.Standing.Standing, e.Standing.Reason, e.Bundle))
		}
		first := bad[0]
		return fail(wanted, strings.Join(got, "; "), fmt.Sprintf("%s is %s: %s%s", first.Bundle, word(first.Standing.Standing), clipTo(first.Standing.Detail, 400),
			when(first.Standing)), standingHint(first.Standing))
	}
	oldest := judged[0].Standing
	for _, e := range judged {
		if e.Standing.AsOf.Before(oldest.AsOf) {
			oldest = e.Standing
		}
	}
	c := pass("%s in force as of %s, %s", counted(len(judged), "statement", "statements"), oldest.AsOf.UTC().Format(time.RFC3339), whoseTime(oldest))
	if notes := standingNotes(judged); len(notes) > 0 {
		c.Status, c.Detail = StatusWarning, c.Detail+"; "+strings.Join(notes, "; ")
	}
	return c
}

// word is a standing in a sentence.
func word(s Standing) string {
	if s == StandingUnknown {
		return "of unknown standing"
	}
	return s.String()
}

// when says as of when an answer is, if that is known and the answer's sentence does not say it.
func when(r *StandingResult) string {
	if r.AsOf.IsZero() || r.Standing == StandingStale {
		return ""
	}
	return fmt.Sprintf(" (as of %s, %s)", r.AsOf.UTC().Format(time.RFC3339), whoseTime(r))
}

// whoseTime says who is to be believed for the time of an answer.
func whoseTime(r *StandingResult) string {
	if r.Witnessed {
		return fmt.Sprintf("by the word of %s", counted(len(r.Cosignatures), "witness", "witnesses"))
	}
	return "the time that you gave; the operator is trusted for it"
}

// standingNotes are what to read where nothing rejects.
func standingNotes(judged []*Evidence) []string {
	const most = 8
	var notes []string
	for _, e := range judged {
		if items := e.Standing.Items; len(items) > 0 {
			more := ""
			if len(items) > most {
				items, more = items[:most], fmt.Sprintf(", %d more", len(items)-most)
			}
			notes = append(notes, fmt.Sprintf("partly withdrawn: %s of %s", clipTo(strings.Join(items, ", "), 400)+more, e.Bundle))
		}
		if n := len(e.Standing.OpenDisputes); n > 0 {
			notes = append(notes, fmt.Sprintf("%s of %s", counted(n, "open dispute", "open disputes"), e.Bundle))
		}
	}
	return notes
}

// standingHint says what to do about a standing that rejects.
func standingHint(r *StandingResult) string {
	switch r.Standing {
	case StandingWithdrawn:
		return "do not rely on the statement; ask the vendor what holds instead"
	case StandingSuperseded:
		return "get the bundle of the newer statement, and its status"
	case StandingExpired:
		return "ask the vendor for a statement that is in force"
	case StandingStale:
		return "get a newer status from the operator (avow status), or allow an older one (--max-staleness)"
	}
	switch r.Reason {
	case "NO_TIME":
		return "name the witnesses whom you trust (--witness-policy), or say when you got the status from the operator (--status-time)"
	case "FOREIGN_WITHDRAWAL":
		return "ask the vendor whether the withdrawal is by a successor; if so, name its key (--withdrawer)"
	case "STATUS_ABSENT":
		return "get the status of this statement from the operator (avow status)"
	}
	return "get the status from the operator again (avow status); if it stays so, do not rely on the statement, and ask the operator why"
}

// clipTo bounds text that names what others wrote.
func clipTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
