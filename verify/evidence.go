package verify

import (
	"time"

	"github.com/avow-dev/avow/attest/predicate"
)

// Timestamp is one verified RFC 3161 timestamp.
type Timestamp struct {
	// Time is what the authority signed, in UTC.
	Time time.Time
	// Authority is the authority's URI in the trusted root.
	Authority string
}

// Cosignature is a witness's verified word that it saw the log's checkpoint, grown
// from all that it saw of the log before.
type Cosignature struct {
	// Name is the name that the witness signs under, from the witness policy.
	Name string
	// KeyID is "sha256:" and the SHA-256 of the witness's SubjectPublicKeyInfo DER.
	KeyID string
	// Time is when the witness says that it cosigned, in UTC, to the second.
	Time time.Time
}

// Evidence is what verification established about one bundle. It holds
// verified facts only: every field is covered by a signature that was checked
// against the caller's trust, or is computed from such a field.
type Evidence struct {
	// Bundle is the bundle's name in the input.
	Bundle string
	// StatementID is "sha256:" and the SHA-256 of the signed bytes.
	StatementID string
	// Statement is the strict parse of the signed bytes.
	Statement *predicate.Statement
	// Warnings are the issuance rules' warnings about the statement.
	Warnings predicate.Findings
	// Signer is the requirement of the input that the bundle met.
	Signer Signer
	// KeyID is "sha256:" and the SHA-256 of the signing key's SubjectPublicKeyInfo DER.
	KeyID string
	// PAEDigest is the SHA-256 of the DSSE pre-authentication encoding: what was
	// signed and what the log holds.
	PAEDigest [32]byte
	// LogOrigin is the log's origin, as its checkpoint signs it.
	LogOrigin string
	// LogID is the log's id in the trusted root.
	LogID []byte
	// LogIndex is the entry's index in the log; TreeSize and RootHash are those of
	// the checkpoint that covers it.
	LogIndex, TreeSize uint64
	RootHash           []byte
	// Timestamps are all of the bundle's timestamps, in its order.
	Timestamps []Timestamp
	// SignedBy is the earliest of the timestamps: the signature existed then.
	SignedBy time.Time
	// Cosignatures are the valid cosignatures of the checkpoint by witnesses of
	// the input's policy, one a key, earliest first; empty where no policy was given.
	Cosignatures []Cosignature
	// WitnessedBy is when they met the policy's quorum: the signature was in
	// the log then, on the word of the witnesses and not of the log's operator.
	// Zero where no policy was given.
	WitnessedBy time.Time
	// Standing is how the statement stands, where the input asked for it and the
	// statement is a declaration; else nil, and nothing is known of it.
	Standing *StandingResult
	// LogPledge is the signer's pledge to publish in certain logs only, where the bundles or their statuses hold one; else nil, and
	// none is known of.
	LogPledge *LogPledge
	// SubjectName is the name of the subject that the artifact's digest matched;
	// empty where no artifact was given.
	SubjectName string
}
