package listing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	statusv1 "github.com/avow-dev/avow/api/avow/status/v1"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/internal/newest"
)

// Limits of a listing proof, checked before the work that they bound.
const (
	// MaxEntries is the largest number of entries of all lists together.
	MaxEntries = 200_000
	// MaxLists is the largest number of lists.
	MaxLists = 256
	// MaxKeyBytes is the longest text of a key.
	MaxKeyBytes = 8 << 10

	entryBytes = 9
)

// Options are the caller's: none of it is taken from a listing proof.
type Options struct {
	// Log and IndexLog are the keys of both logs. Required.
	Log, IndexLog *verify.LogKey
	// Keys are the texts of the keys that were asked for, such as "subject:sha256:" and a digest (docs/index.md), each once, in
	// ascending order. Required.
	Keys []string
	// Witnesses say by whom the checkpoints of both logs must be cosigned, by the time At and 5 minutes. Nil asks for none: then
	// the operator alone says that everybody is shown the same.
	Witnesses *verify.WitnessPolicy
	// At is the time asked for. Required with Witnesses.
	At time.Time
}

func (o *Options) check() error {
	switch {
	case o.Log == nil || o.IndexLog == nil:
		return fmt.Errorf("%w: the keys of both logs are needed", verify.ErrInput)
	case o.Log.Origin() == o.IndexLog.Origin():
		return fmt.Errorf("%w: both logs have the origin %s", verify.ErrInput, o.Log.Origin())
	case len(o.Keys) == 0 || len(o.Keys) > MaxLists:
		return fmt.Errorf("%w: %d keys are asked for, want 1 to %d", verify.ErrInput, len(o.Keys), MaxLists)
	case o.Witnesses != nil && o.At.IsZero():
		return fmt.Errorf("%w: no time for the witnesses", verify.ErrInput)
	}
	for n := 1; n < len(o.Keys); n++ {
		if o.Keys[n-1] >= o.Keys[n] {
			return fmt.Errorf("%w: key %d is not above the one before it", verify.ErrInput, n)
		}
	}
	return nil
}

// List is the whole list of a key, in the order of the index.
type List struct {
	// Key is the text of the key.
	Key string
	// Entries may be empty: then the index has nothing under the key.
	Entries []index.Entry
}

// Result is what a listing proof shows.
type Result struct {
	// Lists are those of the keys asked for, in their order.
	Lists []List
	// TreeSize is the number of entries of the statement log among which there are no others.
	TreeSize uint64
	// WitnessedBy is when a quorum of witnesses had cosigned the index log's checkpoint; zero without a witness policy.
	WitnessedBy time.Time
	// Cosignatures are those of the index log's checkpoint by witnesses of the policy.
	Cosignatures []verify.Cosignature
}

// Check verifies a listing proof. The error is an [*Error] or wraps verify.ErrInput; there is no result beside an error.
func Check(p *statusv1.ListingProof, o Options) (*Result, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := checkForm(p); err != nil {
		return nil, err
	}
	for n, l := range p.GetLists() {
		if n >= len(o.Keys) || l.GetKey() != o.Keys[n] {
			return nil, refuse(CodeKeys, "list %d is that of the key %.200q, want %d lists, of %.200q", n, l.GetKey(), len(o.Keys), o.Keys)
		}
	}
	if len(p.GetLists()) != len(o.Keys) {
		return nil, refuse(CodeKeys, "%d lists, want %d, of %.200q", len(p.GetLists()), len(o.Keys), o.Keys)
	}
	root, roots, err := newest.Open(p, newest.Trust{Log: o.Log, IndexLog: o.IndexLog, Witnesses: o.Witnesses, At: o.At})
	var refused *newest.Error
	if errors.As(err, &refused) {
		return nil, refuse("LISTING_"+string(refused.Kind), "%s", refused.Detail)
	}
	if err != nil {
		return nil, err
	}
	r := &Result{TreeSize: root.Size, WitnessedBy: roots.WitnessedBy, Cosignatures: roots.Cosignatures}
	for _, l := range p.GetLists() {
		entries, err := checkList(l, root)
		if err != nil {
			return nil, err
		}
		r.Lists = append(r.Lists, List{Key: l.GetKey(), Entries: entries})
	}
	return r, nil
}

// checkForm holds a proof against the limits.
func checkForm(p *statusv1.ListingProof) error {
	if n := len(p.GetIndexRootProof()); n > verify.MaxProofHashes {
		return refuse(CodeMalformed, "an inclusion proof of %d hashes, want at most %d", n, verify.MaxProofHashes)
	}
	for _, h := range p.GetIndexRootProof() {
		if len(h) != len(index.Hash{}) {
			return refuse(CodeMalformed, "a hash of %d bytes, want %d", len(h), len(index.Hash{}))
		}
	}
	if n := len(p.GetLists()); n == 0 || n > MaxLists {
		return refuse(CodeMalformed, "%d lists, want 1 to %d", n, MaxLists)
	}
	total := 0
	for n, l := range p.GetLists() {
		if k := len(l.GetKey()); k == 0 || k > MaxKeyBytes {
			return refuse(CodeMalformed, "list %d: a key of %d bytes, want 1 to %d", n, k, MaxKeyBytes)
		}
		if b := len(l.GetEntries()); b%entryBytes != 0 {
			return refuse(CodeMalformed, "list %d: %d bytes of entries, want a multiple of %d", n, b, entryBytes)
		}
		total += len(l.GetEntries()) / entryBytes
	}
	if total > MaxEntries {
		return refuse(CodeMalformed, "%d entries, want at most %d", total, MaxEntries)
	}
	return nil
}

// checkList verifies that a list is all that the index has under its key.
func checkList(l *statusv1.KeyListing, root *index.Root) ([]index.Entry, error) {
	entries, err := decode(l.GetEntries(), root.Size)
	if err != nil {
		return nil, refuse(CodeList, "%.200q: %v", l.GetKey(), err)
	}
	p, err := index.ParseProof(l.GetProof())
	if err != nil {
		return nil, refuse(CodeProof, "%.200q: %v", l.GetKey(), err)
	}
	key := index.TextKey(l.GetKey())
	if len(entries) == 0 {
		if err := p.Absence(root.Index, key); err != nil {
			return nil, refuse(CodeProof, "%.200q: %v", l.GetKey(), err)
		}
		return nil, nil
	}
	value, err := p.Presence(root.Index, key)
	if err != nil {
		return nil, refuse(CodeProof, "%.200q: %v", l.GetKey(), err)
	}
	if got := index.ListValue(entries); got != value {
		return nil, refuse(CodeList, "%.200q: %d entries with root %x, the index has %d with root %x", l.GetKey(), got.Count, got.Root,
			value.Count, value.Root)
	}
	return entries, nil
}

// Encode writes entries one after the other, as a listing proof has them.
func Encode(entries []index.Entry) []byte {
	b := make([]byte, 0, len(entries)*entryBytes)
	for _, e := range entries {
		b = append(binary.BigEndian.AppendUint64(b, e.LogIndex), byte(e.Kind))
	}
	return b
}

// decode reads the entries of a log of this size.
func decode(b []byte, size uint64) ([]index.Entry, error) {
	entries := make([]index.Entry, 0, len(b)/entryBytes)
	for ; len(b) >= entryBytes; b = b[entryBytes:] {
		e := index.Entry{LogIndex: binary.BigEndian.Uint64(b), Kind: index.Kind(b[8])}
		if e.LogIndex >= size || e.Kind > index.Unresolved {
			return nil, fmt.Errorf("entry %d of kind %d in a log of %d entries", e.LogIndex, e.Kind, size)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Stated are the log indices of the entries that have their statement, each once, in ascending order: what a complete list of
// statements has.
func (r *Result) Stated() []uint64 { return r.of(index.Stated) }

// Unresolved are the log indices of the entries whose statement nobody could read, and did not come later.
func (r *Result) Unresolved() []uint64 {
	stated := r.Stated()
	return slices.DeleteFunc(r.of(index.Unresolved), func(at uint64) bool {
		_, found := slices.BinarySearch(stated, at)
		return found
	})
}

func (r *Result) of(kind index.Kind) []uint64 {
	var all []uint64
	for _, l := range r.Lists {
		for _, e := range l.Entries {
			if e.Kind == kind {
				all = append(all, e.LogIndex)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Compare holds the log indices that somebody listed against the proof: which are missing, and which are listed and not proved.
func (r *Result) Compare(listed []uint64) (missing, unproved []uint64) {
	stated, listed := r.Stated(), slices.Compact(slices.Sorted(slices.Values(listed)))
	return without(stated, listed), without(listed, stated)
}

// without returns what is in all and not in some; both are in ascending order.
func without(all, some []uint64) (rest []uint64) {
	for _, at := range all {
		if _, found := slices.BinarySearch(some, at); !found {
			rest = append(rest, at)
		}
	}
	return rest
}

// Matches is an [*Error] with [CodeIncomplete] unless exactly the proved statements are listed.
func (r *Result) Matches(listed []uint64) error {
	missing, unproved := r.Compare(listed)
	if len(missing)+len(unproved) == 0 {
		return nil
	}
	return refuse(CodeIncomplete, "%d statements are missing (%s), %d are not in the proof (%s)", len(missing), first(missing), len(unproved), first(unproved))
}

// first names a few log indices.
func first(all []uint64) string {
	const most = 10
	s := fmt.Sprint("entries ", all[:min(len(all), most)])
	if len(all) > most {
		s += " and more"
	}
	if len(all) == 0 {
		return "none"
	}
	return s
}
