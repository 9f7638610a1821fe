package watch

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/leaf"
	"github.com/avow-dev/avow/verify/index/replay"
)

// place is where an entry is in the order of the index: a leaf of the index log, and which of its entries, the late ones
// first.
type place struct{ leaf, offset uint64 }

func (p place) before(q place) bool {
	return p.leaf < q.leaf || p.leaf == q.leaf && p.offset < q.offset
}

// Event is an entry of the statement log that the index covers. It never changes.
type Event struct {
	// LogIndex is its index in the statement log.
	LogIndex uint64
	// Signer is who signed it.
	Signer vindex.Signer
	// StatementID and Type are those of its statement. Both are empty if the statement is missing: the entry is unresolved.
	StatementID, Type string
	// Targets are the ids of the statements that it is about, each once.
	Targets []string
	// Late tells that the entry was told before, unresolved.
	Late bool

	at    place
	next  uint64       // where to begin again after it
	keys  []vindex.Key // each once, in ascending order
	pairs []vindex.Key // those of them that are of the signer with an artifact
}

// Unresolved tells that the entry's statement could not be had when it was indexed.
func (e *Event) Unresolved() bool { return e.StatementID == "" }

// pairKey is the key of what a signer signs about an artifact.
func pairKey(s vindex.Signer, artifact vindex.Key) vindex.Key {
	signer := vindex.SignerKey(s)
	return sha256.Sum256(slices.Concat([]byte("avow watch: signer and artifact\n"), signer[:], artifact[:]))
}

// anyUnresolved is the key of every entry whose statement is or was missing: it may be about every artifact and product.
// everything is that of every event.
var (
	anyUnresolved = vindex.Key(sha256.Sum256([]byte("avow watch: unresolved\n")))
	everything    = vindex.Key(sha256.Sum256([]byte("avow watch: everything\n")))
)

// pairs are the keys of the signer with each artifact of the statement.
func pairs(k Known) []vindex.Key {
	var keys []vindex.Key
	for _, s := range k.Statement.Subjects {
		for alg, digest := range s.Digest {
			keys = append(keys, pairKey(k.Signer, vindex.SubjectKey(alg, digest)))
		}
	}
	return keys
}

// concerns are the keys of the artifacts and products of a statement.
func concerns(st *predicate.Statement) []vindex.Key {
	var keys []vindex.Key
	for _, s := range st.Subjects {
		for alg, digest := range s.Digest {
			keys = append(keys, vindex.SubjectKey(alg, digest))
		}
	}
	if common := st.Common(); common != nil {
		for _, id := range common.Product.Identifiers {
			keys = append(keys, vindex.ProductKey(id.Value))
		}
	}
	return keys
}

// event makes the event of an entry; nil if the entry is nobody's, which the index lists nowhere.
func (h *Hub) event(ctx context.Context, at uint64, entry []byte, late, unresolved bool) (*Event, error) {
	l, err := leaf.Read(entry)
	if err != nil {
		return nil, nil
	}
	e := &Event{LogIndex: at, Signer: l.Signer, Late: late, keys: []vindex.Key{vindex.SignerKey(l.Signer)}}
	if late || unresolved {
		e.keys = append(e.keys, vindex.UnresolvedKey(l.Signer), anyUnresolved)
	}
	if !unresolved {
		payload, err := h.cfg.Statement(ctx, at, entry)
		if err != nil {
			return nil, err
		}
		st := l.Statement(payload)
		if st == nil {
			return nil, fmt.Errorf("%w: that of entry %d", ErrMissing, at)
		}
		if err := h.describe(ctx, e, st); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(e.keys, vindex.Key.Compare)
	e.keys = slices.Compact(e.keys)
	return e, nil
}

// describe takes from the statement what the event says and whom it concerns.
func (h *Hub) describe(ctx context.Context, e *Event, st *predicate.Statement) error {
	e.StatementID, e.Type = st.ID(), st.Type
	e.keys = append(append(e.keys, replay.Keys(st)...), vindex.TargetKey(e.StatementID))
	e.pairs = pairs(Known{e.Signer, st})
	e.keys = append(e.keys, e.pairs...)
	for _, ref := range replay.Targets(st) {
		if id := ref.ID(); id != "" && !slices.Contains(e.Targets, id) {
			e.Targets = append(e.Targets, id)
		}
	}
	for _, id := range e.Targets[:min(len(e.Targets), maxTargets)] {
		found, err := h.cfg.Find(ctx, id)
		if err != nil {
			return err
		}
		for _, k := range found {
			e.keys = append(e.keys, concerns(k.Statement)...)
		}
	}
	return nil
}

// matches reports whether two ascending lists of keys have one in common.
func (e *Event) matches(keys []vindex.Key) bool {
	if len(e.keys) > len(keys) {
		return slices.ContainsFunc(keys, func(k vindex.Key) bool { return contains(e.keys, k) })
	}
	return slices.ContainsFunc(e.keys, func(k vindex.Key) bool { return contains(keys, k) })
}

func contains(ascending []vindex.Key, k vindex.Key) bool {
	_, found := slices.BinarySearchFunc(ascending, k, vindex.Key.Compare)
	return found
}
