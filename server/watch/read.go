package watch

import (
	"context"
	"fmt"
	"slices"
	"sort"

	vindex "github.com/avow-dev/avow/verify/index"
)

// step is a leaf of the index log with what it adds to the leaf before it.
type step struct {
	leaf   uint64
	root   *vindex.Root
	before uint64 // entries that the leaf before it covers
}

// entries is how many entries the step indexes.
func (s *step) entries() uint64 { return uint64(len(s.root.Late)) + s.root.Size - s.before }

// entry is the entry at a place of the step.
func (s *step) entry(offset uint64) (at uint64, late bool) {
	if n := uint64(len(s.root.Late)); offset >= n {
		return s.before + offset - n, false
	}
	return s.root.Late[offset], true
}

// begin is where to begin again for everything from the offset on to be told.
func (s *step) begin(offset uint64) uint64 {
	if offset >= s.entries() {
		return s.root.Size
	}
	if at, late := s.entry(offset); !late {
		return at
	}
	return s.before
}

func (h *Hub) rootAt(ctx context.Context, leaf uint64) (*vindex.Root, error) {
	raw, err := h.cfg.Roots.Entry(ctx, leaf)
	if err != nil {
		return nil, err
	}
	return vindex.ParseRoot(raw)
}

// passage is what was read: the events, where to go on, and the index to begin again at from there.
type passage struct {
	events []*Event
	next   place
	index  uint64
}

// read makes the events from a place on, of about chunk entries and of none at or after the end.
func (h *Hub) read(ctx context.Context, from, end place) (p passage, err error) {
	s := step{leaf: from.leaf}
	if from.leaf > 0 {
		before, err := h.rootAt(ctx, from.leaf-1)
		if err != nil {
			return p, err
		}
		s.before = before.Size
	}
	p.next, p.index = from, s.before
	last := end.leaf
	if end.offset > 0 {
		last++
	}
	visited := uint64(0)
	for raw, err := range h.cfg.Roots.Leaves(ctx, from.leaf, min(last, from.leaf+chunk)) {
		if err != nil {
			return p, err
		}
		if s.root, err = vindex.ParseRoot(raw.Data); err != nil {
			return p, fmt.Errorf("leaf %d of the index log: %w", s.leaf, err)
		}
		stop := min(s.entries(), p.next.offset+chunk-visited)
		if s.leaf == end.leaf {
			stop = min(stop, end.offset)
		}
		visited += stop - p.next.offset
		if p.events, err = h.readStep(ctx, &s, p.next.offset, stop, p.events); err != nil {
			return p, err
		}
		p.index = s.begin(stop)
		if stop < s.entries() {
			p.next = place{s.leaf, stop}
			return p, nil
		}
		s.leaf, s.before = s.leaf+1, s.root.Size
		p.next = place{s.leaf, 0}
		if visited >= chunk {
			return p, nil
		}
	}
	return p, nil
}

// readStep appends the events of the offsets [from, to) of a step.
func (h *Hub) readStep(ctx context.Context, s *step, from, to uint64, events []*Event) ([]*Event, error) {
	add := func(offset, at uint64, entry []byte, late bool) error {
		_, unresolved := slices.BinarySearch(s.root.Unresolved, at)
		e, err := h.event(ctx, at, entry, late, unresolved && !late)
		if err != nil || e == nil {
			return err
		}
		e.at, e.next = place{s.leaf, offset}, s.begin(offset+1)
		events = append(events, e)
		return nil
	}
	for ; from < min(to, uint64(len(s.root.Late))); from++ {
		at, _ := s.entry(from)
		entry, err := h.cfg.Statements.Entry(ctx, at)
		if err != nil {
			return events, err
		}
		if err := add(from, at, entry, true); err != nil {
			return events, err
		}
	}
	if from >= to {
		return events, nil
	}
	at, _ := s.entry(from)
	for l, err := range h.cfg.Statements.Leaves(ctx, at, at+to-from) {
		if err != nil {
			return events, err
		}
		if err := add(from, l.Index, l.Data, false); err != nil {
			return events, err
		}
		from++
	}
	return events, nil
}

// placeOf finds where to begin for everything from an index of the statement log on to be told: the first leaf that covers
// more than the entries before it. What was late in leaves up to one that covers exactly these was told with it.
func (h *Hub) placeOf(ctx context.Context, logIndex, leaves uint64) (place, error) {
	if logIndex == 0 {
		return place{}, nil
	}
	var failed error
	exact := false
	n := sort.Search(int(leaves), func(i int) bool { // #nosec G115 -- an index log has fewer leaves
		root, err := h.rootAt(ctx, uint64(i)) // #nosec G115 -- not negative
		if err != nil {
			failed = err
			return true
		}
		return root.Size >= logIndex
	})
	if failed != nil {
		return place{}, failed
	}
	at := place{leaf: uint64(n)} // #nosec G115 -- not negative
	if at.leaf < leaves {
		root, err := h.rootAt(ctx, at.leaf)
		if err != nil {
			return place{}, err
		}
		exact = root.Size == logIndex
	}
	if exact {
		at.leaf++
	}
	return at, nil
}
