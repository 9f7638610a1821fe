package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/attest/predicate/diff"
)

// Which statement counts, when a buyer holds several of one type about one
// artifact: the newest that is in force. The rules, type by type:
//
//   - A statement that a later one names in common.supersedes does not count,
//     also when that later one has expired by now: the vendor took it back.
//   - A statement that is not in force does not count. Its bundle is not refused
//     for that, if another statement of the type counts.
//   - Of those left, two that state different things about the same item
//     contradict each other, and the input is rejected: the verifier does not
//     choose what a vendor meant.
//   - Of those that agree, the newest counts: by log index within one log, by
//     the verified time of signature across logs.
//   - Two bundles of one statement (two signers) count both.
//
// Statements about statements (assessments, standings) all count, and so does
// evidence (predicate.EvidenceTypes): several observations of one artifact are
// several observations.

// judged is a bundle after its checks.
type judged struct {
	name     string
	checks   []Check // those that are required, one line each
	notAsked []Check // the other lines of the verdict
	run      *run
	result   BundleResult
	evidence Evidence // where every check but CheckValidity passed
	valid    bool     // evidence is set
	inForce  bool
}

// judge runs the checks of one bundle.
func (v *Verifier) judgeBundle(req *request, b NamedBundle) *judged {
	j := &judged{name: b.Name, result: BundleResult{Name: b.Name}, run: &run{v: v, req: req, data: b.Data}}
	j.checks = j.run.walk(b.Name, req.checks)
	j.notAsked = req.notAsked(b.Name)
	j.inForce = passedAll(j.checks, req.checks)
	if j.valid = j.inForce || j.onlyValidityFailed(); j.valid {
		j.evidence = j.run.evidence(b.Name)
	}
	return j
}

// onlyValidityFailed reports whether everything but the period of validity was verified.
func (j *judged) onlyValidityFailed() bool {
	for i := range j.checks {
		if j.checks[i].ID == CheckValidity && failed(j.checks[i]) {
			rest := slices.Clone(j.checks)
			rest[i].Status = StatusPass
			return passedAll(rest, j.run.req.checks)
		}
	}
	return false
}

// settle decides which statements count, and completes the bundles' results. It
// returns the check over all of them.
func settle(all []*judged) Check {
	agree := pass("no two statements in force contradict each other")
	for _, t := range predicate.AllTypes() {
		var group []*judged
		for _, j := range all {
			if j.valid && j.evidence.Statement.Type == t {
				group = append(group, j)
			}
		}
		if !slices.Contains(declarations, t) {
			for _, j := range group {
				if j.inForce {
					j.result.Use = UseCounts
				}
			}
			continue
		}
		if c := settleType(group); failed(c) && !failed(agree) {
			agree = c
		}
	}
	for _, j := range all {
		j.finish()
	}
	agree.ID = CheckStatementsAgree
	return agree
}

// settleType decides among the statements of one type.
func settleType(group []*judged) Check {
	for _, j := range group {
		if by := successor(j, group); by != nil {
			j.result.Use, j.result.SupersededBy = UseSuperseded, by.name
		}
	}
	var left []*judged
	for _, j := range group {
		if j.inForce && j.result.Use == UseNone {
			left = append(left, j)
		}
	}
	if len(left) == 0 {
		return Check{}
	}
	for i, a := range left {
		for _, b := range left[i+1:] {
			if c := contradiction(a, b); failed(c) {
				for _, j := range left {
					j.result.Use = UseCounts
				}
				return c
			}
		}
	}
	newest := slices.MaxFunc(left, older)
	for _, j := range left {
		if j.evidence.StatementID == newest.evidence.StatementID {
			j.result.Use = UseCounts
		} else {
			j.result.Use, j.result.SupersededBy = UseSuperseded, newest.name
		}
	}
	for _, j := range group {
		if !j.inForce {
			j.tolerate(newest)
		}
	}
	return Check{}
}

// successor returns the statement that replaces j by its own word: one in force,
// or one that was in force before and has ended.
func successor(j *judged, group []*judged) *judged {
	for _, by := range group {
		begun := by.inForce || !by.run.req.at.Before(beginning(by.evidence.Statement))
		for _, ref := range by.evidence.Statement.Common().Supersedes {
			if begun && "sha256:"+ref.Digest["sha256"] == j.evidence.StatementID {
				return by
			}
		}
	}
	return nil
}

// beginning is the start of a declaration's validity; its form was checked by the rules.
func beginning(s *predicate.Statement) time.Time {
	v := s.Common().Validity
	from := v.NotBefore
	if from == "" {
		from = v.IssuedAt
	}
	t, _ := time.Parse(time.RFC3339, from)
	return t // the zero time for what cannot be read: it has begun
}

// older orders statements: by place within one log, else by the time of signature.
func older(a, b *judged) int {
	if slices.Equal(a.evidence.LogID, b.evidence.LogID) {
		switch {
		case a.evidence.LogIndex < b.evidence.LogIndex:
			return -1
		case a.evidence.LogIndex > b.evidence.LogIndex:
			return 1
		}
	}
	return a.evidence.SignedBy.Compare(b.evidence.SignedBy)
}

// contradiction compares two statements in force.
func contradiction(a, b *judged) Check {
	if a.evidence.StatementID == b.evidence.StatementID {
		return Check{}
	}
	changes := diff.Contradictions(a.evidence.Statement, b.evidence.Statement)
	if len(changes) == 0 {
		return Check{}
	}
	const most = 3
	var about []string
	for i, c := range changes {
		if i == most {
			about = append(about, fmt.Sprintf("%d more", len(changes)-most))
			break
		}
		about = append(about, clip(strings.TrimSpace(string(c.What)+" "+c.Item)))
	}
	return fail("statements in force that agree",
		fmt.Sprintf("%s (%s) and %s (%s) differ in: %s", a.name, a.evidence.StatementID, b.name, b.evidence.StatementID,
			strings.Join(about, ", ")),
		"two statements in force say different things about the artifact, and neither replaces the other",
		"ask the vendor which one holds: it has to withdraw one, or issue one that names the other in common.supersedes")
}

// tolerate notes that the statement is not in force, and that another one counts.
func (j *judged) tolerate(newest *judged) {
	if j.result.Use == UseNone {
		j.result.Use, j.result.SupersededBy = UseNotInForce, newest.name
	}
	for i := range j.checks {
		if c := &j.checks[i]; c.ID == CheckValidity {
			*c = Check{ID: c.ID, Bundle: c.Bundle, Status: StatusWarning,
				Detail: fmt.Sprintf("%s; %s counts instead", c.Detail, newest.name)}
		}
	}
}

// finish computes the bundle's outcome from its checks as they stand now.
func (j *judged) finish() {
	if passedAll(j.checks, j.run.req.checks) {
		j.result.Outcome = Accepted
		return
	}
	j.result.Use, j.result.SupersededBy = UseNone, ""
	if i := slices.IndexFunc(j.checks, failed); i >= 0 {
		j.result.Reason = j.checks[i].ID
	}
}
