package standing

import (
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
)

// Standing is the answer. The list is closed.
type Standing int

// The standings, and where two could be said the first of them is, in this order: Withdrawn, Unknown, Superseded, Expired,
// Stale, PartlyWithdrawn, InForce.
const (
	// Unknown: it is not shown how the statement stands. It never passes for anything.
	Unknown Standing = iota
	// InForce: nothing takes the statement back as of Result.AsOf.
	InForce
	// Withdrawn: its signer withdrew the whole statement.
	Withdrawn
	// PartlyWithdrawn: its signer withdrew some of its items, Result.Items; the rest is in force.
	PartlyWithdrawn
	// Superseded: its signer issued a statement that names it in common.supersedes.
	Superseded
	// Expired: it is not within its own period of validity.
	Expired
	// Stale: it was in force, as of a time that lies further back than the caller allows.
	Stale
)

// String is the standing's name.
func (s Standing) String() string {
	switch s {
	case InForce:
		return "in force"
	case Withdrawn:
		return "withdrawn"
	case PartlyWithdrawn:
		return "partly withdrawn"
	case Superseded:
		return "superseded"
	case Expired:
		return "expired"
	case Stale:
		return "stale"
	}
	return "unknown"
}

// Reason says why, in one word. The list is closed.
type Reason string

// The reasons.
const (
	// ReasonNothing: nothing was said that changes the standing.
	ReasonNothing Reason = "NOTHING_SAID"
	// ReasonWithdrawal: a withdrawal by the signer.
	ReasonWithdrawal Reason = "WITHDRAWAL"
	// ReasonSuccessor: a successor by the signer.
	ReasonSuccessor Reason = "SUCCESSOR"
	// ReasonPeriod: the statement's own period of validity.
	ReasonPeriod Reason = "PERIOD"
	// ReasonOld: the index is older than the caller allows.
	ReasonOld Reason = "OLD"
	// ReasonNoTime: no witness says, and the caller does not, as of when the index is.
	ReasonNoTime Reason = "NO_TIME"
	// ReasonNotCovered: the index does not cover the statement's entry yet.
	ReasonNotCovered Reason = "NOT_COVERED"
	// ReasonUnresolved: the signer signed something that nobody could read when it was indexed, and perhaps a withdrawal.
	ReasonUnresolved Reason = "UNRESOLVED"
	// ReasonUndelivered: something that was said about the statement is not in the status bundle.
	ReasonUndelivered Reason = "UNDELIVERED"
	// ReasonUnverified: something that was said about the statement does not verify.
	ReasonUnverified Reason = "UNVERIFIED"
)

// Reasons returns the closed list of reasons.
func Reasons() []Reason {
	return []Reason{ReasonNothing, ReasonWithdrawal, ReasonSuccessor, ReasonPeriod, ReasonOld, ReasonNoTime, ReasonNotCovered, ReasonUnresolved,
		ReasonUndelivered, ReasonUnverified}
}

// Said is something that was said about the target, verified.
type Said struct {
	// LogIndex is its place in the statement log.
	LogIndex uint64
	// StatementID and Statement are what was said.
	StatementID string
	Statement   *predicate.Statement
	// Signer is who said it, and Own tells that it is the target's signer.
	Signer index.Signer
	Own    bool
	// SignedBy is the earliest timestamp.
	SignedBy time.Time
}

// Result is how a statement stands. The zero value is Unknown.
type Result struct {
	// Standing is the answer, Reason and Detail say why.
	Standing Standing
	Reason   Reason
	Detail   string
	// AsOf is the time that the answer is about: nothing that was logged later is known. Zero if it is not known.
	AsOf time.Time
	// Witnessed tells that AsOf is the time of a quorum of witnesses, and not what the caller allowed.
	Witnessed bool
	// TreeSize is the number of entries of the statement log that the answer covers.
	TreeSize uint64
	// Items are the items that the signer withdrew; also set where the standing is another.
	Items []string
	// Cosignatures are those of the index log's checkpoint.
	Cosignatures []verify.Cosignature
	// Said is everything that was said about the target and verified, in the order of the index.
	Said []Said
}
