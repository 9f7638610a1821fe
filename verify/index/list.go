package index

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Hash is a SHA-256 digest.
type Hash [sha256.Size]byte

// Kind says what an entry of a list stands for.
type Kind uint8

const (
	// Stated: the statement of the log entry could be had, and concerns the key.
	Stated Kind = 0
	// Unresolved: the log entry is signed by the key's signer, and its statement could not be had when it was indexed.
	// If it comes later, the lists get another entry with the same log index, of kind Stated.
	Unresolved Kind = 1
)

// Entry is one element of a list.
type Entry struct {
	// LogIndex is the index of the entry in the statement log.
	LogIndex uint64
	// Kind is Stated or Unresolved.
	Kind Kind
}

// entryBytes is the size of an encoded Entry.
const entryBytes = 9

// LeafHash is the RFC 6962 leaf hash of the entry: of its index in 8 bytes, the most significant first, and its kind in one.
func (e Entry) LeafHash() Hash {
	var b [1 + entryBytes]byte // 0x00, then the entry
	binary.BigEndian.PutUint64(b[1:], e.LogIndex)
	b[1+8] = byte(e.Kind)
	return sha256.Sum256(b[:])
}

// Value is what the tree holds under a key: the length of its list, and the list's RFC 6962 tree hash. Lists only grow;
// that a list extends an older one can be shown by an RFC 6962 consistency proof between their values.
type Value struct {
	Count uint64
	Root  Hash
}

// ListValue is the value of a list. Lists are not empty: a key without entries is not in the tree.
func ListValue(entries []Entry) Value {
	var l List
	for _, e := range entries {
		l.Append(e)
	}
	return l.Value()
}

// List hashes a growing list, keeping one hash for each bit that is set in its length.
type List struct {
	count  uint64
	hashes []Hash // of the perfect subtrees, the largest first
}

// Append adds an entry at the end.
func (l *List) Append(e Entry) { l.AppendHash(e.LeafHash()) }

// AppendHash adds a leaf by its RFC 6962 leaf hash: the tree of a log is hashed like a list.
func (l *List) AppendHash(h Hash) {
	for range bits.TrailingZeros64(^l.count) { // as many subtrees of this size are complete now
		last := len(l.hashes) - 1
		h = listNode(l.hashes[last], h)
		l.hashes = l.hashes[:last]
	}
	l.hashes, l.count = append(l.hashes, h), l.count+1
}

// Hashes are those of the perfect subtrees, the largest first: what a list goes on from ([ResumeList]).
func (l *List) Hashes() []Hash { return slices.Clone(l.hashes) }

// ResumeList is the list of so many entries with these hashes; ok tells that there are as many as there have to be.
func ResumeList(count uint64, hashes []Hash) (l List, ok bool) {
	return List{count: count, hashes: slices.Clone(hashes)}, len(hashes) == bits.OnesCount64(count)
}

// Value is the list's value; the root of an empty list is the SHA-256 of nothing (RFC 6962, section 2.1).
func (l *List) Value() Value {
	if l.count == 0 {
		return Value{Root: sha256.Sum256(nil)}
	}
	last := len(l.hashes) - 1
	root := l.hashes[last]
	for last--; last >= 0; last-- {
		root = listNode(l.hashes[last], root)
	}
	return Value{Count: l.count, Root: root}
}

func listNode(left, right Hash) Hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 0x01
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// Resolved reports whether every unresolved entry of a list was followed by its statement. A kind that is not known is not
// resolved.
func Resolved(entries []Entry) bool {
	open := make(map[uint64]bool)
	for _, e := range entries {
		switch e.Kind {
		case Stated:
			delete(open, e.LogIndex)
		default:
			open[e.LogIndex] = true
		}
	}
	return len(open) == 0
}
