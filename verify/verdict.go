package verify

import (
	"fmt"
	"slices"
)

// Outcome is the answer of a verification. Its zero value is [Rejected].
type Outcome int

// The two outcomes.
const (
	// Rejected is the zero value: whatever was not positively accepted.
	Rejected Outcome = iota
	// Accepted means that every required check passed for every bundle.
	Accepted
)

// String returns "accepted" or "rejected".
func (o Outcome) String() string {
	if o == Accepted {
		return "accepted"
	}
	return "rejected"
}

// Status is the result of one check. Its zero value is [StatusSkipped].
type Status int

// The results that a check can have.
const (
	// StatusSkipped: not run, because an earlier check failed. Never a pass.
	StatusSkipped Status = iota
	// StatusFail: run and failed; the verdict is rejected.
	StatusFail
	// StatusWarning: run, nothing to reject, something to read. A check with a
	// warning counts as passed.
	StatusWarning
	// StatusPass: run and passed.
	StatusPass
)

// String returns "pass", "fail", "warning" or "skipped".
func (s Status) String() string {
	switch s {
	case StatusPass:
		return "pass"
	case StatusFail:
		return "fail"
	case StatusWarning:
		return "warning"
	default:
		return "skipped"
	}
}

// Check is one line of a verdict: what was checked and what came of it.
type Check struct {
	// ID is the stable name of the check, one of [CheckIDs].
	ID CheckID
	// Status is what came of it.
	Status Status
	// Bundle is the name of the bundle that was checked, as in
	// [NamedBundle.Name]; empty for the checks of the whole input.
	Bundle string
	// Expected and Got are set when the check failed. Got may quote the
	// unverified bundle: show it, never act on it.
	Expected, Got string
	// Detail is a sentence for a person: why it failed, or what was found.
	Detail string
	// Hint says what to do about a failure.
	Hint string
}

// String returns the check as one line of text.
func (c Check) String() string {
	s := fmt.Sprintf("%s %s", c.Status, c.ID)
	if c.Bundle != "" {
		s += " " + c.Bundle
	}
	if c.Detail != "" {
		s += ": " + c.Detail
	}
	return s
}

// BundleResult is the outcome of one bundle of the input.
type BundleResult struct {
	// Name is the bundle's name in the checks.
	Name string
	// Outcome is Accepted if every check required of a bundle passed.
	Outcome Outcome
	// Reason is the first check that failed; empty when accepted.
	Reason CheckID
	// Use says whether the bundle's statement is among those that count.
	Use Use
	// SupersededBy is the name of the bundle whose statement replaces this one or
	// counts instead; set with UseSuperseded and UseNotInForce.
	SupersededBy string
}

// Use says whether a bundle's statement counts. The zero value is [UseNone].
type Use int

// The uses of a bundle's statement.
const (
	// UseNone: the bundle was rejected, nothing is known of its statement.
	UseNone Use = iota
	// UseCounts: the verdict and the policy build on the statement.
	UseCounts
	// UseSuperseded: a newer statement of the type counts instead.
	UseSuperseded
	// UseNotInForce: the statement is not in force at the time of verification,
	// and another of its type counts.
	UseNotInForce
)

// String returns "none", "counts", "superseded" or "not in force".
func (u Use) String() string {
	switch u {
	case UseCounts:
		return "counts"
	case UseSuperseded:
		return "superseded"
	case UseNotInForce:
		return "not in force"
	default:
		return "none"
	}
}

// Verdict is the evaluated answer to one [Input]. The zero value is rejected.
type Verdict struct {
	// Outcome is Accepted only if every bundle passed every required check and
	// the checks of the whole input passed.
	Outcome Outcome
	// Checks are all checks in the order of [CheckIDs], bundle by bundle; the
	// checks of the whole input come last. There is one line per check, run or not.
	Checks []Check
	// Bundles has one entry per bundle of the input, in its order.
	Bundles []BundleResult
	// Evidence holds the verified facts of the bundles whose statements count
	// ([UseCounts]). It may be non-empty although the verdict is rejected, because
	// of another bundle.
	Evidence []Evidence
	// Policy is what the policy of the input said; nil where none was given, or
	// where it was not asked because a check before it failed.
	Policy *PolicyResult

	// established is set by Verifier.Verify, where it accepted, and by nothing else.
	established *Facts
}

// Established returns the facts that an accepted verdict rests on: for what was asked, when it was judged, and the
// statements that count. The second result is false for a rejected verdict and for one that no [Verifier] gave: what is
// built on verified facts starts from here, and cannot start from a verdict that somebody wrote.
func (v *Verdict) Established() (Facts, bool) {
	if v == nil || v.Outcome != Accepted || v.established == nil {
		return Facts{}, false
	}
	f := *v.established
	f.Evidence = slices.Clone(f.Evidence)
	return f, true
}

// Failures returns the checks that failed, in order.
func (v *Verdict) Failures() []Check {
	var failed []Check
	for _, c := range v.Checks {
		if c.Status == StatusFail {
			failed = append(failed, c)
		}
	}
	return failed
}

// passedAll reports whether checks hold exactly one line for every required
// id, each of them run and not failed. This is the only way to Accepted.
func passedAll(checks []Check, required []CheckID) bool {
	if len(required) == 0 || len(checks) != len(required) {
		return false
	}
	passed := make(map[CheckID]bool, len(checks))
	for _, c := range checks {
		if c.Status != StatusPass && c.Status != StatusWarning {
			return false
		}
		passed[c.ID] = true
	}
	return !slices.ContainsFunc(required, func(id CheckID) bool { return !passed[id] })
}

// conclude computes the outcome from what was run. perBundle holds the checks
// of each bundle and ofBundle the ids that each must hold, whole those of the
// input and ofInput the ids that it must hold.
func conclude(perBundle [][]Check, ofBundle []CheckID, whole []Check, ofInput []CheckID) Outcome {
	if len(perBundle) == 0 || !passedAll(whole, ofInput) {
		return Rejected
	}
	for _, checks := range perBundle {
		if !passedAll(checks, ofBundle) {
			return Rejected
		}
	}
	return Accepted
}
