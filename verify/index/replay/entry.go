package replay

import (
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify/index"
)

// LogEntry is an entry of the statement log as the index sees it.
type LogEntry struct {
	// Index is the entry's place in the log.
	Index uint64
	// Signer is whose key or certificate the leaf holds.
	Signer index.Signer
	// Statement is what was signed; nil if it could not be had, or not be read as one of avow's types. What cannot be read
	// may be a withdrawal, and must not look like nothing.
	Statement *predicate.Statement
	// Late tells that the entry was indexed before, without its statement.
	Late bool
}

// Index adds an entry under every key that it concerns. An entry that came without its statement is added again, Late, when
// there is one.
func (t *Tree) Index(e LogEntry) {
	keys, entry := EntryKeys(e)
	for _, k := range keys {
		t.Add(k, entry)
	}
}

// EntryKeys are the keys under which an entry is listed, each once, and what is listed there.
func EntryKeys(e LogEntry) ([]index.Key, index.Entry) {
	keys := []index.Key{index.SignerKey(e.Signer)}
	if e.Statement == nil || e.Late {
		keys = append(keys, index.UnresolvedKey(e.Signer))
	}
	if e.Statement == nil {
		return keys, index.Entry{LogIndex: e.Index, Kind: index.Unresolved}
	}
	return append(keys, Keys(e.Statement)...), index.Entry{LogIndex: e.Index, Kind: index.Stated}
}

// Keys are the keys that a statement concerns beside its signer's, each once, in ascending order: every digest of every
// subject; the statements that it withdraws, disputes, assesses, gives the standing of or supersedes, and the dispute that it
// goes on with; every product. Only what the statement itself says counts, never what the log or a registry knows.
func Keys(st *predicate.Statement) []index.Key {
	var keys []index.Key
	for _, s := range st.Subjects {
		for alg, digest := range s.Digest {
			keys = append(keys, index.SubjectKey(alg, digest))
		}
	}
	for _, ref := range Targets(st) {
		if id := ref.ID(); id != "" {
			keys = append(keys, index.TargetKey(id))
		}
	}
	if common := st.Common(); common != nil {
		for _, id := range common.Product.Identifiers {
			keys = append(keys, index.ProductKey(id.Value))
		}
	}
	slices.SortFunc(keys, index.Key.Compare)
	return slices.Compact(keys)
}

// Targets are the statements that this one says something about: whose key in the index it has.
func Targets(st *predicate.Statement) []predicate.StatementRef {
	var refs []predicate.StatementRef
	if common := st.Common(); common != nil {
		refs = append(refs, common.Supersedes...)
	}
	if target := st.Target(); target != nil {
		refs = append(refs, *target)
	}
	if st.Dispute != nil && st.Dispute.Thread != nil {
		refs = append(refs, *st.Dispute.Thread)
	}
	return refs
}
