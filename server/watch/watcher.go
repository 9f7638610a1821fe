package watch

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/avow-dev/avow/server/index"
	vindex "github.com/avow-dev/avow/verify/index"
)

// Filter says what to watch: what any of its members matches. Without members it is everything.
type Filter struct {
	// Statements are ids of statements: what is said about them, and what else their signers sign about the same artifacts.
	Statements []string
	// Artifacts are SHA-256 digests in lower-case hexadecimal digits.
	Artifacts []string
	// Signers are signers' ids.
	Signers []vindex.Signer
	// Products are identifiers, whatever the version.
	Products []string
}

func (f *Filter) members() int {
	return len(f.Statements) + len(f.Artifacts) + len(f.Signers) + len(f.Products)
}

// keys are those that are known without asking.
func (f *Filter) keys() []vindex.Key {
	if f.members() == 0 {
		return []vindex.Key{everything}
	}
	keys := make([]vindex.Key, 0, f.members()+1)
	for _, id := range f.Statements {
		keys = append(keys, vindex.TargetKey(id))
	}
	for _, digest := range f.Artifacts {
		keys = append(keys, vindex.SubjectKey("sha256", digest))
	}
	for _, s := range f.Signers {
		keys = append(keys, vindex.SignerKey(s))
	}
	for _, id := range f.Products {
		keys = append(keys, vindex.ProductKey(id))
	}
	if len(f.Artifacts)+len(f.Products) > 0 {
		keys = append(keys, anyUnresolved)
	}
	slices.SortFunc(keys, vindex.Key.Compare)
	return slices.Compact(keys)
}

// Watcher takes events, on one goroutine. Close it.
type Watcher struct {
	hub   *Hub
	woken chan struct{}
	all   bool
	floor uint64 // new entries below it are not told

	// Guarded by the hub's lock.
	keys  []vindex.Key // ascending
	pairs int          // of keys that statements brought
	next  place        // the first event that may not have been told
	index uint64       // where to begin again from there
	idle  bool         // everything up to the head was told; next is not kept up to date
	left  bool
}

// Batch is what a watcher takes at a time.
type Batch struct {
	// Events match, and are in the order of the index. There may be none.
	Events []*Event
	// Next is where to begin again after them: everything before it was told.
	Next uint64
	// Set is the newest set of the index that the hub has seen; it covers Next, unless the watcher began beyond it.
	Set *index.Set
	// Head tells that the watcher has been told everything that the set covers.
	Head bool
}

// Watch begins to watch, with what comes next, or from an index of the statement log on if one is given. Errors are
// [ErrNoIndex], [ErrFull], and those of the logs and of [Config.Find].
func (h *Hub) Watch(ctx context.Context, f Filter, from *uint64) (*Watcher, error) {
	if n := f.members(); n > MaxFilters {
		return nil, fmt.Errorf("watch: got %d members of a filter, want at most %d", n, MaxFilters)
	}
	w := &Watcher{hub: h, woken: make(chan struct{}, 1), keys: f.keys(), all: f.members() == 0}
	if err := h.enter(ctx, w); err != nil {
		return nil, err
	}
	if err := h.prepare(ctx, w, f, from); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// prepare finds out what the filter's statements are about, and where to begin. The watcher has its place in what comes
// since it entered, so nothing is missed meanwhile.
func (h *Hub) prepare(ctx context.Context, w *Watcher, f Filter, from *uint64) error {
	for _, id := range f.Statements {
		found, err := h.cfg.Find(ctx, id)
		if err != nil {
			return err
		}
		h.mu.Lock()
		if len(found) == 0 { // whose it will be is not known: it may be anybody's who has an unresolved entry
			h.extend(w, []vindex.Key{anyUnresolved})
		}
		for _, k := range found {
			h.extend(w, w.limited(k.Signer, pairs(k)))
		}
		h.mu.Unlock()
	}
	if from == nil {
		return nil
	}
	h.mu.Lock()
	leaves := w.next.leaf
	h.mu.Unlock()
	at, err := h.placeOf(ctx, *from, leaves)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.floor, w.index = *from, *from
	if at.before(w.next) {
		w.next = at
	}
	return nil
}

// limited are the keys by which a watcher sees what the signer signs about some artifacts, and what of the signer's is
// missing. Where these are too many for the watcher, it is everything of the signer's.
func (w *Watcher) limited(s vindex.Signer, pairs []vindex.Key) []vindex.Key {
	keys := []vindex.Key{vindex.UnresolvedKey(s)}
	if w.pairs+len(pairs) > maxPairs || w.hub.keys+len(pairs) > maxKeys {
		return append(keys, vindex.SignerKey(s))
	}
	w.pairs += len(pairs)
	return append(keys, pairs...)
}

// call wakes an idle watcher for an event. The hub's lock is held.
func (w *Watcher) call(e *Event) {
	if !w.idle {
		return
	}
	w.idle, w.next = false, e.at
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// Close ends the watching.
func (w *Watcher) Close() { w.hub.leave(w) }

// Now is where the watcher is, without events.
func (w *Watcher) Now() Batch {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return w.batch(nil)
}

func (w *Watcher) batch(events []*Event) Batch {
	if w.idle {
		w.next, w.index = w.hub.head, max(w.hub.index, w.floor)
	}
	return Batch{Events: events, Next: w.index, Set: w.hub.set, Head: w.idle}
}

// Next waits for events, for so long at most: without events it says how far the watcher is. An error is the context's, or that
// of a log or the statements; the watcher can be asked again.
func (w *Watcher) Next(ctx context.Context, patience time.Duration) (Batch, error) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		b, behind, err := w.collect(ctx)
		if err != nil || len(b.Events) > 0 {
			return b, err
		}
		if behind {
			select {
			case <-over.C:
				return b, nil
			default:
				continue
			}
		}
		select {
		case <-ctx.Done():
			return b, ctx.Err()
		case <-over.C:
			return w.Now(), nil
		case <-w.woken:
		}
	}
}

// collect takes what is there: from the ring, or, if the watcher is behind it, from the logs.
func (w *Watcher) collect(ctx context.Context) (b Batch, behind bool, err error) {
	h := w.hub
	h.mu.Lock()
	if !w.idle && w.next.before(h.from) {
		from, end := w.next, h.head
		h.mu.Unlock()
		b, err = w.catchUp(ctx, from, end)
		return b, true, err
	}
	defer h.mu.Unlock()
	if w.idle {
		return w.batch(nil), false, nil
	}
	var events []*Event
	i := sort.Search(len(h.ring), func(i int) bool { return !h.ring[i].at.before(w.next) })
	for ; i < len(h.ring) && len(events) < MaxBatch; i++ {
		e := h.ring[i]
		if w.wants(e, w.keys) {
			events = append(events, e)
		}
		w.next, w.index = place{e.at.leaf, e.at.offset + 1}, max(e.next, w.floor)
	}
	w.idle = i == len(h.ring)
	return w.batch(events), false, nil
}

func (w *Watcher) wants(e *Event, keys []vindex.Key) bool {
	return (e.Late || e.LogIndex >= w.floor) && (w.all || e.matches(keys))
}

// catchUp reads a passage from the logs. Only so many watchers do at a time.
func (w *Watcher) catchUp(ctx context.Context, from, end place) (Batch, error) {
	h := w.hub
	select {
	case h.catching <- struct{}{}:
	case <-ctx.Done():
		return Batch{}, ctx.Err()
	}
	p, err := h.read(ctx, from, end)
	<-h.catching
	if err != nil {
		return Batch{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var events []*Event
	for _, e := range p.events {
		if w.wants(e, w.keys) {
			events = append(events, e)
		}
	}
	w.next, w.index = p.next, max(p.index, w.floor)
	return w.batch(events), nil
}
