package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/leaf"
	"github.com/avow-dev/avow/verify/index/replay"
)

// batch is how many entries are read before they are indexed: their statements lie in memory for so long.
const batch = 256

// Source is the statement log and the statements.
type Source struct {
	// Entries are the entries [from, to) of the statement log, in their order.
	Entries func(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error]
	// Statement is the payload that the entry at an index is about; nil if it cannot be had. An error means that it is not
	// known whether it can be had, and ends what is being done.
	Statement func(ctx context.Context, at uint64, entry []byte) ([]byte, error)
}

// Builder is the index while it grows, together with what its next leaf has to say. It is for one goroutine; the versions
// that it gives out are for all.
type Builder struct {
	origin string
	tree   *replay.Tree
	log    index.List      // over the entries that were added
	open   map[uint64]bool // unresolved, and not late yet
	last   *index.Root     // that was sealed
	next   index.Root      // Late and Unresolved of the step that is being made
	tried  uint64          // unresolved entries below it were looked for last
}

// NewBuilder is the empty index over a log.
func NewBuilder(origin string) *Builder {
	return &Builder{origin: origin, tree: &replay.Tree{}, open: map[uint64]bool{}}
}

// Size is the number of entries that were added.
func (b *Builder) Size() uint64 { return b.log.Value().Count }

// LogHashes are those of the perfect subtrees of the entries that were added, the largest first.
func (b *Builder) LogHashes() []index.Hash { return b.log.Hashes() }

// Last is the last sealed root, nil if there is none.
func (b *Builder) Last() *index.Root { return b.last }

// Changed tells whether something was added since the last leaf.
func (b *Builder) Changed() bool {
	return b.last == nil || b.Size() != b.last.Size || len(b.next.Late) > 0
}

// Unresolved are the entries whose statement is still missing, in ascending order.
func (b *Builder) Unresolved() []uint64 { return slices.Sorted(maps.Keys(b.open)) }

// full tells that the step names as many entries as a leaf takes.
func (b *Builder) full() bool { return len(b.next.Late)+len(b.next.Unresolved) >= index.MaxRootNumbers }

// entry is an entry that was read.
type entry struct {
	raw, payload []byte
	replay.LogEntry
	hash   index.Hash
	nobody bool
}

// read does what needs no order.
func (e *entry) read() {
	e.hash = sha256.Sum256(append([]byte{0x00}, e.raw...))
	l, err := leaf.Read(e.raw)
	if err != nil {
		e.nobody = true
		return
	}
	e.Signer, e.Statement = l.Signer, l.Statement(e.payload)
}

// add indexes the next entry of the log.
func (b *Builder) add(e *entry) {
	b.log.AppendHash(e.hash)
	if e.nobody {
		return
	}
	b.tree.Index(e.LogEntry)
	if e.Statement == nil {
		b.open[e.Index] = true
		b.next.Unresolved = append(b.next.Unresolved, e.Index)
	}
}

// Follow adds the entries up to a size of the log, and stops earlier if the step's leaf is full: it is to be sealed then,
// and Follow called again. After an error it goes on where it stopped.
func (b *Builder) Follow(ctx context.Context, s Source, to uint64) error {
	return b.follow(ctx, s, to, nil)
}

// unresolved are the entries that a leaf says were indexed without their statement.
func unresolved(r *index.Root) map[uint64]bool {
	m := make(map[uint64]bool, len(r.Unresolved))
	for _, at := range r.Unresolved {
		m[at] = true
	}
	return m
}

// follow takes the entries of known as if they had no statement, and all others in one step; nil means that they have to be
// found out.
func (b *Builder) follow(ctx context.Context, s Source, to uint64, known map[uint64]bool) error {
	var read []entry
	at := b.Size()
	for raw, err := range s.Entries(ctx, at, to) {
		if err != nil {
			return err
		}
		e := entry{raw: raw, LogEntry: replay.LogEntry{Index: at}}
		if !known[at] {
			if e.payload, err = s.Statement(ctx, at, raw); err != nil {
				return err
			}
		}
		read = append(read, e)
		if at++; len(read) == batch || at == to {
			if b.addAll(read, known == nil) {
				return nil
			}
			read = read[:0]
		}
	}
	if at != to {
		return fmt.Errorf("the statement log ended at entry %d, want %d", at, to)
	}
	return nil
}

// addAll adds what was read, and reports whether it stopped because the leaf is full.
func (b *Builder) addAll(read []entry, limited bool) (full bool) {
	readAll(read)
	for i := range read {
		if limited && b.full() {
			return true
		}
		b.add(&read[i])
	}
	return false
}

// readAll parses on all processors: it is the dearest part of building an index.
func readAll(read []entry) {
	workers := min(runtime.GOMAXPROCS(0), len(read))
	if workers < 2 {
		for i := range read {
			read[i].read()
		}
		return
	}
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < len(read); i += workers {
				read[i].read()
			}
		})
	}
	group.Wait()
}

// Retry looks for the statements of unresolved entries, of at most so many, and adds those that came. The next call goes on
// with others, so that many that never come do not keep one from being found. It begins a step: Retry does nothing if something was
// added since the last leaf.
func (b *Builder) Retry(ctx context.Context, s Source, most int) error {
	if b.Changed() {
		return nil
	}
	open := b.Unresolved()
	from, _ := slices.BinarySearch(open, b.tried)
	some := slices.Concat(open[from:], open[:from])
	var came []*entry
	for _, at := range some[:min(most, len(some), index.MaxRootNumbers)] {
		e, err := b.late(ctx, s, at)
		if err != nil {
			return err
		}
		if b.tried = at + 1; e.Statement != nil {
			came = append(came, e)
		}
	}
	slices.SortFunc(came, func(x, y *entry) int { return cmp.Compare(x.Index, y.Index) })
	for _, e := range came {
		b.addLate(e)
	}
	return nil
}

// late reads an entry that was indexed without its statement.
func (b *Builder) late(ctx context.Context, s Source, at uint64) (*entry, error) {
	e := &entry{LogEntry: replay.LogEntry{Index: at, Late: true}}
	for raw, err := range s.Entries(ctx, at, at+1) {
		if err != nil {
			return nil, err
		}
		e.raw = raw
	}
	var err error
	if e.payload, err = s.Statement(ctx, at, e.raw); err != nil {
		return nil, err
	}
	e.read()
	return e, nil
}

func (b *Builder) addLate(e *entry) {
	b.tree.Index(e.LogEntry)
	delete(b.open, e.Index)
	b.next.Late = append(b.next.Late, e.Index)
}

// Seal ends the step: its leaf, and the version of the index that it commits to.
func (b *Builder) Seal() (*index.Root, *replay.Version) {
	v := b.tree.Publish()
	r := b.next
	value := b.log.Value()
	r.Origin, r.Size, r.Tree, r.Index = b.origin, value.Count, value.Root, v.Root()
	r.Keys = uint64(v.Keys()) // #nosec G115 -- not negative
	b.last, b.next = &r, index.Root{}
	return &r, v
}
