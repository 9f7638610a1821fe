package statements

import "time"

// State says how far a statement has come.
type State int

const (
	// StatePending: stored, but the log entry is not known yet. The zero value.
	StatePending State = iota
	// StateCommitted: logged; Entry, Tokens and LogIndex are set.
	StateCommitted
)

// String gives "pending" or "committed".
func (s State) String() string {
	if s == StateCommitted {
		return "committed"
	}
	return "pending"
}

// Pending is a statement that was received and checked, before anything
// irreversible is done with it.
type Pending struct {
	// StatementID is "sha256:" and 64 lower-case hex digits: the digest of the DSSE payload.
	StatementID string
	// KeyID is "sha256:" and 64 lower-case hex digits: the digest of Signer.
	KeyID string
	// Vendor is the name, in the registry, of the vendor that sent the statement.
	Vendor string
	// PredicateType is the statement's predicate type URI.
	PredicateType string
	// Envelope is the exact DSSE envelope, at most MaxEnvelopeBytes.
	Envelope []byte
	// Signer says who signed: a key's SubjectPublicKeyInfo in DER form, or an identity's canonical text; at most
	// MaxSignerBytes.
	Signer []byte
	// Certificate is the certificate, DER, of the key that signed for an identity, at most MaxCertificateBytes; nil for a
	// key.
	Certificate []byte
	// ReceiptTokens are RFC 3161 tokens over the signature that were there before the statement was stored, in DER form, at
	// most MaxTokens of MaxTokenBytes. A certificate needs them: it expires before a pending row may be completed.
	ReceiptTokens [][]byte
	// Subjects are the SHA-256 digests of the subjects, 64 lower-case hex digits each, at most MaxSubjects.
	Subjects []string
	// Products are the identifiers of the product (purl, CPE, URL), at most MaxProducts.
	Products []string
	// LogSize is the size of the log when the statement was received: its leaf is not below it.
	LogSize uint64
	// Leaf is the RFC 6962 hash of the statement's leaf, by which [Store.Leaf] finds it; the zero value: it is not to be
	// found. Records do not carry it.
	Leaf [32]byte
	// ReceivedAt is stored with microseconds and comes back in UTC.
	ReceivedAt time.Time
	// Declaration is the id that joins the statements of one release; it may be empty.
	Declaration string
}

// Record is a stored statement.
type Record struct {
	Pending
	// Sequence numbers the rows in the order of receipt, from 1.
	Sequence uint64
	// State tells whether the fields below are set.
	State State
	// Tokens are RFC 3161 TimeStampResp in DER form.
	Tokens [][]byte
	// Entry is the serialised TransparencyLogEntry.
	Entry []byte
	// LogIndex is the index of the leaf in the log.
	LogIndex uint64
	// CommittedAt is when Commit stored the entry, by the store's clock, UTC.
	CommittedAt time.Time
}

// Committed completes a pending statement.
type Committed struct {
	// StatementID and KeyID name the row that PutPending stored.
	StatementID, KeyID string
	// Entry is the serialised TransparencyLogEntry, at most MaxEntryBytes.
	Entry []byte
	// LogIndex is the index of the leaf in the log.
	LogIndex uint64
	// Tokens are the RFC 3161 tokens over the signature, at most MaxTokens of MaxTokenBytes.
	Tokens [][]byte
}

// Query selects committed statements. Empty fields select everything; fields
// that are set must all match.
type Query struct {
	// SubjectSHA256 is a subject digest, 64 lower-case hex digits.
	SubjectSHA256 string
	// Vendor is a vendor's name in the registry, Product an exact product identifier,
	// PredicateType a predicate type URI.
	Vendor, Product, PredicateType string
	// From is the first log index to consider: 0, or the next value of the preceding page.
	From uint64
	// Limit is the size of the page: DefaultPage if 0, at most MaxPage.
	Limit int
}

// Summary is one line of a list.
type Summary struct {
	// StatementID and KeyID lead to the record, by [Store.GetBy].
	StatementID, KeyID string
	// Vendor and PredicateType are as in [Pending].
	Vendor, PredicateType string
	// Subjects are SHA-256 digests in hex, Products the product identifiers.
	Subjects, Products []string
	// LogIndex is the index of the leaf in the log.
	LogIndex uint64
	// ReceivedAt and CommittedAt are UTC, with microseconds.
	ReceivedAt, CommittedAt time.Time
}

// Facts are what the derived tables hold about one statement: the answer of the
// function that [Store.Reindex] is given.
type Facts struct {
	// Vendor is the vendor under which the statement is listed; empty means the recorded one.
	Vendor string
	// Leaf is as in [Pending].
	Leaf [32]byte
	// PredicateType, Subjects and Products are as in [Pending].
	PredicateType      string
	Subjects, Products []string
}
