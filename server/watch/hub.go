package watch

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/avow-dev/avow/server/index"
	vindex "github.com/avow-dev/avow/verify/index"
)

// Errors of a hub. All go away by themselves or by an operator's act.
var (
	// ErrNoIndex: the index has answered nothing yet.
	ErrNoIndex = errors.New("watch: the index has not been answered from yet")
	// ErrFull: the watchers have as many keys together as are kept.
	ErrFull = errors.New("watch: too many keys are watched")
	// ErrMissing: a statement was indexed, and cannot be had now.
	ErrMissing = errors.New("watch: an indexed statement is missing")
)

// Hub tells watchers of events. It is safe for concurrent use, follows the index only while somebody watches, and needs no
// closing.
type Hub struct {
	cfg      Config
	catching chan struct{} // one for each watcher that reads from the logs
	metrics  metrics

	mu       sync.Mutex
	watchers int
	keys     int // of all watchers
	byKey    map[vindex.Key][]*Watcher
	stop     context.CancelFunc // of the goroutine that follows; nil if there is none
	ring     []*Event           // in the order of the index
	ringKeys int                // of the events in the ring
	from     place              // the ring has every event from here on
	head     place              // up to here
	index    uint64             // where to begin again from the head on
	set      *index.Set         // the newest that was seen; it covers the head
}

// New makes a hub. It starts nothing.
func New(cfg Config) (*Hub, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := &Hub{cfg: cfg, catching: make(chan struct{}, maxCatchUps), byKey: make(map[vindex.Key][]*Watcher)}
	h.metrics = newMetrics(h)
	return h, nil
}

// enter adds a watcher, which begins with what comes next, and starts the following with the first one.
func (h *Hub) enter(ctx context.Context, w *Watcher) error {
	set := h.cfg.Index.Current()
	if set == nil {
		return ErrNoIndex
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keys+len(w.keys) > maxKeys {
		return ErrFull
	}
	if h.watchers == 0 {
		h.ring, h.ringKeys = nil, 0
		h.set, h.head, h.index = set, place{leaf: set.RootsSize}, set.Root.Size
		h.from = h.head
		following, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the first watcher
		h.stop = cancel
		go h.follow(following, h.head)
	}
	h.watchers++
	h.keys += len(w.keys)
	for _, k := range w.keys {
		h.byKey[k] = append(h.byKey[k], w)
	}
	w.next, w.index = h.head, h.index
	return nil
}

// leave removes a watcher; the last one stops the following.
func (h *Hub) leave(w *Watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.left {
		return
	}
	w.left = true
	h.keys -= len(w.keys)
	for _, k := range w.keys {
		list := h.byKey[k]
		if i := slices.Index(list, w); i >= 0 {
			list[i] = list[len(list)-1]
			list[len(list)-1] = nil
			list = list[:len(list)-1]
		}
		if h.byKey[k] = list; len(list) == 0 {
			delete(h.byKey, k)
		}
	}
	if h.watchers--; h.watchers == 0 {
		h.stop()
	}
}

// extend gives a watcher further keys. The lock is held.
func (h *Hub) extend(w *Watcher, keys []vindex.Key) {
	for _, k := range keys {
		i, found := slices.BinarySearchFunc(w.keys, k, vindex.Key.Compare)
		if found || w.left {
			continue
		}
		w.keys = slices.Insert(w.keys, i, k)
		h.keys++
		h.byKey[k] = append(h.byKey[k], w)
	}
}

// follow looks at the index until the context ends.
func (h *Hub) follow(ctx context.Context, at place) {
	tick := time.NewTicker(h.cfg.Poll)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next, err := h.advance(ctx, at)
		at = next
		if err != nil && ctx.Err() == nil && !failing {
			h.cfg.Logger.ErrorContext(ctx, "events wait for the logs", slog.Any("cause", err))
		}
		failing = err != nil
	}
}

// advance publishes the events from a place up to the index's present set, and returns how far it came.
func (h *Hub) advance(ctx context.Context, at place) (place, error) {
	set := h.cfg.Index.Current()
	end := place{leaf: set.RootsSize}
	for at.before(end) {
		p, err := h.read(ctx, at, end)
		if err != nil {
			return at, err
		}
		if !h.publish(ctx, set, p) {
			return at, ctx.Err()
		}
		at = p.next
	}
	return at, nil
}

// publish adds events to the ring and wakes whom they concern. It does nothing once the context has ended: the hub may
// be following again, from another place.
func (h *Hub) publish(ctx context.Context, set *index.Set, p passage) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	for _, e := range p.events {
		h.ring, h.ringKeys = append(h.ring, e), h.ringKeys+len(e.keys)
		h.learn(e)
		h.wake(e)
	}
	h.metrics.told(len(p.events))
	h.head, h.index, h.set = p.next, p.index, set
	gone := max(len(h.ring)-h.cfg.Ring, 0)
	for _, e := range h.ring[:gone] {
		h.ringKeys -= len(e.keys)
	}
	for ; h.ringKeys > maxRingKeys && gone < len(h.ring); gone++ {
		h.ringKeys -= len(h.ring[gone].keys)
	}
	if gone > 0 {
		last := h.ring[gone-1].at
		h.from = place{last.leaf, last.offset + 1}
		h.ring = slices.Delete(h.ring, 0, gone)
	}
	return true
}

// learn tells those who watch a statement by its id who signed it about what, when it comes, or comes by another signer.
func (h *Hub) learn(e *Event) {
	if e.Unresolved() {
		return
	}
	for _, w := range h.byKey[vindex.TargetKey(e.StatementID)] {
		h.extend(w, w.limited(e.Signer, e.pairs))
	}
}

// wake wakes those who have a key of the event and have been told everything before it.
func (h *Hub) wake(e *Event) {
	for _, w := range h.byKey[everything] {
		w.call(e)
	}
	for _, k := range e.keys {
		for _, w := range h.byKey[k] {
			w.call(e)
		}
	}
}
