package statements

import (
	"context"
	"math"
	"sync"
)

// maxHeldBytes is the largest sum of the statements that are held in memory.
const maxHeldBytes = 16 << 20

// held are the statements of the newest leaves: who follows the log asks for each of them a moment after it was logged, when
// its row may not even be committed.
type held struct {
	mu    sync.Mutex
	by    map[[32]byte][]byte
	order [][32]byte // the oldest first
	bytes int
}

// Hold keeps the statement of a leaf in memory for a while: call it before the leaf is given to the log. The oldest go first. The
// row must be stored; nothing depends on what is held but speed.
func (s *Store) Hold(leaf [32]byte, statement []byte) {
	h := &s.held
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.by[leaf]; ok || len(statement) > maxHeldBytes {
		return
	}
	if h.by == nil {
		h.by = make(map[[32]byte][]byte)
	}
	for h.bytes += len(statement); h.bytes > maxHeldBytes; {
		h.bytes -= len(h.by[h.order[0]])
		delete(h.by, h.order[0])
		h.order = h.order[1:]
	}
	h.by[leaf], h.order = statement, append(h.order, leaf)
}

// Held returns the statement of a leaf if it is still held, else nil.
func (s *Store) Held(leaf [32]byte) []byte {
	s.held.mu.Lock()
	defer s.held.mu.Unlock()
	return s.held.by[leaf]
}

// At returns the committed record whose leaf is at an index of the log, or ErrNotFound. A row that does not match its checksum is
// STORE_CORRUPT.
func (s *Store) At(ctx context.Context, logIndex uint64) (Record, error) {
	absent := &Error{Code: NotFound, Message: "no committed statement at this log index"}
	if logIndex > math.MaxInt64 {
		return Record{}, absent
	}
	records, err := findRecords(ctx, s.read.at, int64(logIndex))
	switch {
	case err != nil:
		return Record{}, s.readFault(err)
	case len(records) == 0:
		return Record{}, absent
	}
	return records[0], nil
}

// PendingOf returns pending records with a Sequence above after that may be those of a stored leaf, the oldest first, at most
// MaxPage: they were stored when the log had the same size. Who can make leaves compares them.
func (s *Store) PendingOf(ctx context.Context, leaf Leaf, after uint64) ([]Record, error) {
	records, err := findRecords(ctx, s.read.pendingOf, int64(min(leaf.LogSize, math.MaxInt64)), int64(min(after, 1<<62)), MaxPage)
	return records, s.readFault(err)
}
