package predicate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// The constants of the in-toto frame around every statement.
const (
	// StatementType is the `_type` of an in-toto Statement v1, the only one
	// that is accepted.
	StatementType = "https://in-toto.io/Statement/v1"
	// PayloadType is the media type of a statement as a DSSE payload.
	PayloadType = "application/vnd.in-toto+json"
)

// The predicate types. A URI is opaque, need not resolve, and never changes
// once a statement was signed under it (specification, section 2).
const (
	// NoBackdoorType is claims about backdoors and the list of mechanisms.
	NoBackdoorType = "https://w3id.org/avow/no-backdoor/v1"
	// DataFlowsType is the list of network peers.
	DataFlowsType = "https://w3id.org/avow/data-flows/v1"
	// UndertakingsType is what a vendor will do over time.
	UndertakingsType = "https://w3id.org/avow/undertakings/v1"
	// WithdrawalType takes a statement, or items of it, back.
	WithdrawalType = "https://w3id.org/avow/withdrawal/v1"
	// DisputeType is one step of a disagreement about a statement.
	DisputeType = "https://w3id.org/avow/dispute/v1"
	// AssessmentType is what somebody else found.
	AssessmentType = "https://w3id.org/avow/assessment/v1"
	// StandingType is the state of a statement, signed by the service.
	StandingType = "https://w3id.org/avow/standing/v1"
)

// Types returns the seven predicate types in the order of the specification.
func Types() []string {
	return []string{
		NoBackdoorType, DataFlowsType, UndertakingsType,
		WithdrawalType, DisputeType, AssessmentType, StandingType,
	}
}

// Mode says how unknown members of the predicate are treated.
type Mode int

const (
	// Issuance refuses unknown members of the predicate: a typo in a legal
	// text is not ignored. It also refuses placeholders of drafts.
	Issuance Mode = iota
	// Consumption ignores unknown members of the predicate, so that a newer
	// minor version of a type can be read. Everything else is as strict as
	// Issuance; unknown members of the statement and of a subject are refused.
	Consumption
)

// Statement is a statement as it was parsed from its exact bytes. Only [Parse]
// makes one that has an id; its members are for reading.
type Statement struct {
	// Type is the predicate type, one of [AllTypes].
	Type string
	// Subjects are the artifacts, in the order of the statement.
	Subjects []Subject

	// Of the types of [Types] exactly one of these is not nil: the one that Type
	// names. Of the [EvidenceTypes] none is but TestResult: what they hold is not
	// read here.

	NoBackdoor   *NoBackdoor
	DataFlows    *DataFlows
	Undertakings *Undertakings
	Withdrawal   *Withdrawal
	Dispute      *Dispute
	Assessment   *Assessment
	Standing     *Standing
	// TestResult is of TestResultType.
	TestResult *TestResult

	payload string
	digest  [sha256.Size]byte
	// deferred are findings of R03 and R05 that the walk of the shape made:
	// values that are well-typed but not in their registry or format.
	deferred Findings
	ignored  bool
}

// ID returns "sha256:" and the lower-case hex SHA-256 of the exact payload
// bytes: the name of the statement everywhere.
func (s *Statement) ID() string {
	return "sha256:" + hex.EncodeToString(s.digest[:])
}

// Payload returns a copy of the exact bytes that were parsed.
func (s *Statement) Payload() []byte { return []byte(s.payload) }

// Text returns the exact bytes that were parsed, as a string and without a copy.
func (s *Statement) Text() string { return s.payload }

// Ignored reports whether the predicate has members that [Parse] passed over in
// mode [Consumption], because a newer minor version of the type may have added
// them. What they say is not known here.
func (s *Statement) Ignored() bool { return s.ignored }

// Common returns the common members of no-backdoor, data-flows and
// undertakings, and nil for the other types, [EvidenceTypes] included.
func (s *Statement) Common() *Common {
	switch {
	case s.NoBackdoor != nil:
		return &s.NoBackdoor.Common
	case s.DataFlows != nil:
		return &s.DataFlows.Common
	case s.Undertakings != nil:
		return &s.Undertakings.Common
	}
	return nil
}

// Target returns the statement that a withdrawal, dispute, assessment or
// standing is about, and nil for the other types, [EvidenceTypes] included.
func (s *Statement) Target() *StatementRef {
	switch {
	case s.Withdrawal != nil:
		return &s.Withdrawal.Target
	case s.Dispute != nil:
		return &s.Dispute.Target
	case s.Assessment != nil:
		return &s.Assessment.Target
	case s.Standing != nil:
		return &s.Standing.Target
	}
	return nil
}

// References returns the statements that this one refers to: what
// [Statement.CheckRelated] needs to be handed, as far as it can be had.
func (s *Statement) References() []StatementRef {
	var refs []StatementRef
	if common := s.Common(); common != nil {
		refs = append(append(refs, common.Related...), common.Supersedes...)
	}
	if target := s.Target(); target != nil {
		refs = append(refs, *target)
	}
	if s.Dispute != nil && s.Dispute.Thread != nil {
		refs = append(refs, *s.Dispute.Thread)
	}
	if s.Withdrawal != nil && s.Withdrawal.Replacement != nil {
		refs = append(refs, *s.Withdrawal.Replacement)
	}
	return refs
}

// InForce reports whether the statement holds at the given time by its own
// words: from notBefore, else issuedAt, until before notAfter; a standing from
// checkedAt; a withdrawal that is not neverValid from effectiveAt; a dispute
// always, and so a statement of [EvidenceTypes]: what was seen was seen. If it does not, the reason says why. Withdrawals of the statement are
// not looked at. A period that cannot be read is not in force.
func (s *Statement) InForce(at time.Time) (bool, string) {
	from, to := s.period()
	if from != "" {
		start, ok := parseTime(from)
		if !ok {
			return false, fmt.Sprintf("start %q is not a time", printable(from))
		}
		if at.Before(start) {
			return false, "not in force before " + from
		}
	}
	if to != "" {
		end, ok := parseTime(to)
		if !ok {
			return false, fmt.Sprintf("end %q is not a time", printable(to))
		}
		if !at.Before(end) {
			return false, "expired at " + to
		}
	}
	if (from == "" || to == "") && s.Withdrawal == nil && s.Dispute == nil && !s.IsEvidence() {
		return false, "the period of validity is not given"
	}
	return true, ""
}

// Period returns when [Statement.InForce] begins and when it ends to answer yes; a time that is not given, or is none, is zero.
func (s *Statement) Period() (from, to time.Time) {
	start, end := s.period()
	from, _ = parseTime(start)
	to, _ = parseTime(end)
	return from, to
}

// period returns start and end of the validity as they are written.
func (s *Statement) period() (from, to string) {
	v := s.validity()
	switch {
	case v != nil && v.NotBefore != "":
		return v.NotBefore, v.NotAfter
	case v != nil:
		return v.IssuedAt, v.NotAfter
	case s.Standing != nil:
		return s.Standing.CheckedAt, s.Standing.NotAfter
	case s.Withdrawal != nil && s.Withdrawal.Effect != "neverValid":
		return s.Withdrawal.EffectiveAt, ""
	}
	return "", ""
}

// validity returns the validity of the types that have one, else nil.
func (s *Statement) validity() *Validity {
	if c := s.Common(); c != nil {
		return &c.Validity
	}
	if s.Assessment != nil {
		return &s.Assessment.Validity
	}
	return nil
}
