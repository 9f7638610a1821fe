package verify

import (
	"context"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// StandingFunc says how a statement whose bundle was verified stands. Package verify/standing makes one from a status
// file; this package knows of neither its proofs nor its form. It is called for each declaration that counts, must not
// change the evidence, and must be safe for concurrent use.
//
// A status that cannot be believed is an answer, [StandingUnknown]. The error is for a caller's mistake or an ended context.
type StandingFunc func(ctx context.Context, e *Evidence) (*StandingResult, error)

// Standing says whether a statement still stands. The zero value is [StandingUnknown].
type Standing int

// The standings. Where two could be said it is the first of: withdrawn, unknown, superseded, expired, stale, partly withdrawn,
// in force.
const (
	// StandingUnknown: it is not shown how the statement stands. It never passes for anything.
	StandingUnknown Standing = iota
	// StandingInForce: nothing takes the statement back as of [StandingResult.AsOf].
	StandingInForce
	// StandingWithdrawn: its signer withdrew the whole statement.
	StandingWithdrawn
	// StandingPartlyWithdrawn: its signer withdrew some of its items.
	StandingPartlyWithdrawn
	// StandingSuperseded: its signer issued a statement that names it in common.supersedes.
	StandingSuperseded
	// StandingExpired: the time asked for is not within the statement's own period of validity.
	StandingExpired
	// StandingStale: it was in force, as of a time that lies further back than the caller allows.
	StandingStale
)

// String returns the standing in lower-case words, such as "partly withdrawn".
func (s Standing) String() string {
	switch s {
	case StandingInForce:
		return "in force"
	case StandingWithdrawn:
		return "withdrawn"
	case StandingPartlyWithdrawn:
		return "partly withdrawn"
	case StandingSuperseded:
		return "superseded"
	case StandingExpired:
		return "expired"
	case StandingStale:
		return "stale"
	}
	return "unknown"
}

// StandingReason says why, in one word from the closed list of package verify/standing, or with the code of the status that
// was refused.
type StandingReason string

// SaidStatement is something that was said about a statement, verified.
type SaidStatement struct {
	// LogIndex is its place in the statement log.
	LogIndex uint64
	// StatementID and Statement are what was said.
	StatementID string
	Statement   *predicate.Statement
	// Signer is the id of who said it, a key's or an identity's, and Own tells that it is the target's signer.
	Signer string
	Own    bool
	// Identity is the identity of who said it; nil for a key.
	Identity *Identity
	// SignedBy is the earliest timestamp.
	SignedBy time.Time
}

// StandingResult is how a statement stands. The zero value is [StandingUnknown].
type StandingResult struct {
	// Standing is the answer, Reason and Detail say why.
	Standing Standing
	Reason   StandingReason
	Detail   string
	// AsOf is the time that the answer is about: nothing that was logged later is known. Zero if it is not known.
	AsOf time.Time
	// NotAfter is until when the answer is not stale, by the caller's limit; zero where AsOf is.
	NotAfter time.Time
	// Witnessed tells that AsOf is the time of a quorum of witnesses, and not what the caller allowed.
	Witnessed bool
	// TreeSize is the number of entries of the statement log that the answer covers.
	TreeSize uint64
	// Items are the items that were withdrawn; also set where the standing is another.
	Items []string
	// Cosignatures are those of the index log's checkpoint.
	Cosignatures []Cosignature
	// Said is everything that was said about the target and verified, in the order of the index.
	Said []SaidStatement
	// OpenDisputes are those of Said with which a dispute was opened that is not closed.
	OpenDisputes []SaidStatement
}

// Complete reports whether Said is all that there was to say as of a time that the caller finds recent enough: only then does
// what is missing in it say something.
func (r *StandingResult) Complete() bool {
	return r != nil && r.Standing != StandingUnknown && r.Standing != StandingStale
}
