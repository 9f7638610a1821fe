package standing

import "github.com/avow-dev/avow/verify"

// Standing, Reason, Said and Result are package verify's, so that evidence can hold them.
type (
	// Standing says whether a statement still stands.
	Standing = verify.Standing
	// Reason says why, in one word. The list is closed: [Reasons], and where a status was refused one of [Codes].
	Reason = verify.StandingReason
	// Said is something that was said about the target, verified.
	Said = verify.SaidStatement
	// Result is how a statement stands.
	Result = verify.StandingResult
)

// The standings; the zero value is Unknown.
const (
	Unknown         = verify.StandingUnknown
	InForce         = verify.StandingInForce
	Withdrawn       = verify.StandingWithdrawn
	PartlyWithdrawn = verify.StandingPartlyWithdrawn
	Superseded      = verify.StandingSuperseded
	Expired         = verify.StandingExpired
	Stale           = verify.StandingStale
)

// The reasons.
const (
	// ReasonNothing: nothing was said that changes the standing.
	ReasonNothing Reason = "NOTHING_SAID"
	// ReasonWithdrawal: a withdrawal by the signer, or by one of [Options.Withdrawers].
	ReasonWithdrawal Reason = "WITHDRAWAL"
	// ReasonForeign: a withdrawal by somebody else.
	ReasonForeign Reason = "FOREIGN_WITHDRAWAL"
	// ReasonSuccessor: a successor by the signer, or by one of [Options.Withdrawers].
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
	return []Reason{ReasonNothing, ReasonWithdrawal, ReasonForeign, ReasonSuccessor, ReasonPeriod, ReasonOld, ReasonNoTime, ReasonNotCovered,
		ReasonUnresolved, ReasonUndelivered, ReasonUnverified}
}
