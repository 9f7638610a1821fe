package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// LogPledge is what the signer of a statement pledged, in a logged undertakings statement of its own (U-LOG-ONLY): that it publishes in
// these logs only. Where it holds, a list that is proved to be complete in these logs is everything that the signer published.
type LogPledge struct {
	// StatementID is the undertakings statement with the pledge.
	StatementID string
	// Logs are the origins that it names.
	Logs []string
	// Kept tells that the log of this evidence is among them.
	Kept bool
}

// pledge is a pledge of somebody.
type pledge struct {
	signer    string
	statement *predicate.Statement
}

// attachPledges looks for pledges of the signers in all that was verified: statements that count, and what their own signers said about
// them. A statement in another log than its signer pledged contradicts the pledge, which statements-agree then warns of.
func attachPledges(verdict *Verdict, req *request) {
	var all []pledge
	for i := range verdict.Evidence {
		e := &verdict.Evidence[i]
		withdrawn := e.Standing != nil && (slices.Contains(e.Standing.Items, predicate.UndertakingLogOnly) || e.Standing.Standing == StandingWithdrawn)
		if !withdrawn {
			all = append(all, pledge{signerOf(e), e.Statement})
		}
		if e.Standing == nil {
			continue
		}
		for _, s := range e.Standing.Said {
			if s.Own && s.Statement != nil && inForce(s.Statement, req.at) {
				all = append(all, pledge{signerOf(e), s.Statement})
			}
		}
	}
	for i := range verdict.Evidence {
		e := &verdict.Evidence[i]
		for _, p := range all {
			logs := p.statement.PledgedLogs()
			if len(logs) == 0 || p.signer != signerOf(e) || e.LogPledge != nil && !e.LogPledge.Kept {
				continue
			}
			e.LogPledge = &LogPledge{StatementID: p.statement.ID(), Logs: logs, Kept: slices.Contains(logs, e.LogOrigin)}
		}
		if e.LogPledge != nil && !e.LogPledge.Kept {
			warnOfPledge(verdict, e)
		}
	}
}

// signerOf names who signed, so that two statements of one signer have one name.
func signerOf(e *Evidence) string {
	if id := e.Signer.Identity; id != nil {
		return "identity\n" + id.Issuer + "\n" + id.SAN
	}
	return "key\n" + e.KeyID
}

// warnOfPledge makes the check of statements that agree a warning, once.
func warnOfPledge(verdict *Verdict, e *Evidence) {
	for i := range verdict.Checks {
		c := &verdict.Checks[i]
		if c.ID == CheckStatementsAgree && c.Status == StatusPass {
			c.Status = StatusWarning
			c.Detail = fmt.Sprintf("%s is in the log %s, and its signer pledged to publish in %s only (%s)", e.Bundle, e.LogOrigin,
				clipTo(strings.Join(e.LogPledge.Logs, ", "), 400), e.LogPledge.StatementID)
		}
	}
}

func inForce(s *predicate.Statement, at time.Time) bool {
	in, _ := s.InForce(at)
	return in
}
