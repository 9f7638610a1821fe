package follow

import "github.com/avow-dev/avow/attest/predicate"

// Class says what a finding means for whoever is on duty.
type Class string

// Classes of findings.
const (
	// Notice: as expected.
	Notice Class = "notice"
	// Unexpected: an entry that a watched signer or product should know about. Somebody may have their key.
	Unexpected Class = "unexpected"
	// Misbehaviour: the log did what a log must not do.
	Misbehaviour Class = "misbehaviour"
	// Unchecked: something could not be looked at. It accuses nobody.
	Unchecked Class = "outage"
)

// Code names a kind of finding. Codes never change their meaning.
type Code string

// Codes of findings.
const (
	// CodeChecked: everything up to a checkpoint was looked at.
	CodeChecked Code = "checked"
	// CodeUnavailable: the service did not answer, or not with what was asked for.
	CodeUnavailable Code = "unavailable"
	// CodeExpected: a new entry of a watched signer or product whose statement was expected.
	CodeExpected Code = "expected-entry"
	// CodeEntry: a new entry of a watched signer or product, where nothing was said about what is expected.
	CodeEntry Code = "new-entry"
	// CodeUnexpected: a new entry of a watched signer or product whose statement was not expected.
	CodeUnexpected Code = "unexpected-entry"
	// CodeUnreadable: the statement of a watched signer, or any statement while products are watched, is none that
	// can be read strictly.
	CodeUnreadable Code = "statement-unreadable"
	// CodeBare: an entry without a statement, of a signer whom nobody watches, where such entries are allowed.
	CodeBare Code = "entry-bare"
	// CodeFound: a statement that was missing or another one is there now.
	CodeFound Code = "statement-found"
	// CodeMissing: the service does not hand out the statement of an entry.
	CodeMissing Code = "statement-missing"
	// CodeMismatch: the service hands out another statement than the one that was logged.
	CodeMismatch Code = "statement-mismatch"
	// CodeEntryInvalid: the log holds an entry that is not well formed or not signed by its key.
	CodeEntryInvalid Code = "entry-invalid"
	// CodeTile: a tile or an entry bundle is not that of the tree that the log signed.
	CodeTile Code = "tile-mismatch"
	// CodeRolledBack: the log shows a smaller tree than before.
	CodeRolledBack Code = "rolled-back"
	// CodeFork: the log signed two roots for one size.
	CodeFork Code = "fork"
	// CodeInconsistent: the log signed a larger tree that does not contain the remembered one.
	CodeInconsistent Code = "inconsistent"
	// CodeIndexLeaf: a leaf of the index log is not in its form, or cannot follow the one before it.
	CodeIndexLeaf Code = "index-root-malformed"
	// CodeIndexTree: a leaf names another statement log, or another root than that log has.
	CodeIndexTree Code = "index-log-differs"
	// CodeIndexLate: a leaf calls an entry late that was not unresolved.
	CodeIndexLate Code = "index-late-unknown"
	// CodeIndexDiffers: entries and statements give another index than a leaf says.
	CodeIndexDiffers Code = "index-differs"
	// CodeIndexMissing: a statement that a leaf does not call unresolved cannot be had or read.
	CodeIndexMissing Code = "index-statement-missing"
	// CodeIndexAhead: a leaf covers more entries than the statement log shows.
	CodeIndexAhead Code = "index-ahead"
)

// Finding is something that a round found. Its texts are foreign; see package text.
type Finding struct {
	Code  Code  `json:"code"`
	Class Class `json:"class"`
	// Origin and Size are those of the checkpoint under which it was found; zero if there was none.
	Origin string `json:"origin"`
	Size   uint64 `json:"treeSize"`
	// Detail is a sentence.
	Detail string `json:"detail"`
	// Entry is what is known of the entry that this is about, nil if it is about the log.
	Entry *Entry `json:"entry,omitempty"`
	// Evidence is the path of the evidence file, empty if there is none.
	Evidence string `json:"evidence,omitempty"`
}

// Entry is what is known of an entry of the log.
type Entry struct {
	Index uint64 `json:"index"`
	// KeyID is "sha256:" and the SHA-256 of the signer's SubjectPublicKeyInfo; empty if the entry cannot be read.
	KeyID string `json:"keyId,omitempty"`
	// Identity is whom the signer's certificate names, nil for a bare key. The certificate's chain is not checked.
	Identity *Identity `json:"identity,omitempty"`
	// StatementID, PredicateType and Products are known if the statement is there and matches.
	StatementID   string   `json:"statementId,omitempty"`
	PredicateType string   `json:"predicateType,omitempty"`
	Products      []string `json:"products,omitempty"`
}

// Identity is whom a certificate names: the subject and the issuer of the token, each compared exactly.
type Identity struct {
	SAN    string `json:"san"`
	Issuer string `json:"issuer"`
}

// Read takes from a statement what is compared and shown. A statement that cannot be read strictly leaves the
// predicate type empty.
func (e *Entry) Read(payload []byte) {
	e.StatementID = StatementID(payload)
	st, err := predicate.Parse(payload, predicate.Consumption)
	if err != nil {
		return
	}
	e.PredicateType = st.Type
	if common := st.Common(); common != nil {
		for _, id := range common.Product.Identifiers {
			e.Products = append(e.Products, id.Value)
		}
	}
}
