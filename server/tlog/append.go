package tlog

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera"
)

// waiter is a leaf on its way: in the queue, at Tessera, or waiting for its checkpoint. Any number of callers wait for
// done.
type waiter struct {
	hash  hash
	leaf  []byte // until it is submitted
	named bool   // it is in pending under its hash
	slot  bool   // it holds a slot

	done     chan struct{}
	resolved bool   // under the lock
	index    uint64 // after done, if err is nil
	err      *Error // after done
}

// submission is a leaf that Tessera has taken.
type submission struct {
	w      *waiter
	future tessera.IndexFuture
}

// Append logs one leaf and returns its proof, checked, under a published checkpoint. Leaves are opaque, 1 to
// [MaxLeafBytes] bytes.
//
// Equal bytes that are in flight, or were appended recently by this Log, get the same index. That saves work;
// uniqueness over restarts is the caller's, who keeps the leaf with [Log.Size] before the call and asks [Log.Find]
// afterwards. After an error other than [CodeLeafInvalid] the outcome is unknown: the leaf may have been logged.
func (l *Log) Append(ctx context.Context, leaf []byte) (Entry, error) {
	entries, err := l.AppendAll(ctx, [][]byte{leaf})
	if err != nil {
		return Entry{}, err
	}
	return entries[0], nil
}

// AppendAll logs the leaves of one declaration, at most [MaxLeavesPerCall], and returns their proofs in the same order,
// all under one checkpoint. It is not atomic: after an error some may have been logged. Otherwise it is as
// [Log.Append].
func (l *Log) AppendAll(ctx context.Context, leaves [][]byte) ([]Entry, error) {
	begin := l.cfg.Clock()
	entries, err := l.appendAll(ctx, leaves)
	if err != nil {
		l.metrics.fail(err)
		return nil, err
	}
	l.metrics.appended(l.cfg.Clock().Sub(begin))
	return entries, nil
}

func (l *Log) appendAll(ctx context.Context, leaves [][]byte) ([]Entry, error) {
	if len(leaves) == 0 || len(leaves) > MaxLeavesPerCall {
		return nil, &Error{Code: CodeLeafInvalid,
			Message: fmt.Sprintf("got %d leaves, want 1 to %d", len(leaves), MaxLeavesPerCall)}
	}
	for i, leaf := range leaves {
		if len(leaf) == 0 || len(leaf) > MaxLeafBytes {
			return nil, &Error{Code: CodeLeafInvalid,
				Message: fmt.Sprintf("leaf %d: got %d bytes, want 1 to %d", i, len(leaf), MaxLeafBytes)}
		}
	}
	waiters := make([]*waiter, 0, len(leaves))
	for _, leaf := range leaves {
		w, err := l.enter(ctx, leaf)
		if err != nil {
			return nil, err
		}
		waiters = append(waiters, w)
	}
	for _, w := range waiters {
		select {
		case <-w.done:
			if w.err != nil {
				return nil, w.err
			}
		case <-ctx.Done():
			return nil, l.waitError(ctx)
		}
	}
	// The tree is loaded once, after all are covered: one checkpoint for all.
	p := l.current.Load()
	entries := make([]Entry, 0, len(leaves))
	for _, w := range waiters {
		entry, err := l.proveLeaf(ctx, p, w.index, w.hash)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// enter returns the waiter of a leaf: that of an equal leaf in flight, one that knows its index already, or a new one.
func (l *Log) enter(ctx context.Context, leaf []byte) (*waiter, error) {
	h := hashLeaf(leaf)
	l.mu.Lock()
	w, err := l.join(h)
	l.mu.Unlock()
	if w != nil || err != nil {
		return w, err
	}
	// The slot is taken outside the lock, and so is the wait for one. It belongs to the waiter, not to the caller: a
	// caller that gives up leaves its leaf in the log's hands.
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, Unavailable("waiting for a place in the queue", ctx.Err())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w, err = l.join(h)
	if w != nil || err != nil {
		<-l.slots
		return w, err
	}
	w = &waiter{hash: h, leaf: append([]byte(nil), leaf...), named: true, slot: true, done: make(chan struct{})}
	l.pending[h] = w
	l.open++
	l.queue = append(l.queue, w)
	l.signal(l.wake)
	return w, nil
}

// join returns the waiter of a leaf that is in flight or known, or nil. It is called with the lock held.
func (l *Log) join(h hash) (*waiter, error) {
	if l.failed != nil {
		return nil, l.failed
	}
	if l.closing {
		return nil, &Error{Code: CodeClosed, Message: "the log is closed"}
	}
	if w, ok := l.pending[h]; ok {
		return w, nil
	}
	index, ok := l.recent.index(h)
	if !ok {
		return nil, nil
	}
	w := &waiter{hash: h, named: true, index: index, done: make(chan struct{})}
	l.open++
	if p := l.current.Load(); index < p.tree.size {
		l.resolve(w, nil)
		return w, nil
	}
	// Integrated, but its first caller was answered before it was published.
	l.pending[h] = w
	l.waiting = append(l.waiting, w)
	return w, nil
}

// resolve answers a waiter. It is called with the lock held.
func (l *Log) resolve(w *waiter, err *Error) {
	if w.resolved {
		return
	}
	w.resolved, w.err = true, err
	if w.named && l.pending[w.hash] == w {
		delete(l.pending, w.hash)
	}
	if w.slot {
		<-l.slots
	}
	close(w.done)
	if l.open--; l.open == 0 && l.closing {
		close(l.idle)
	}
}

// submit gives queued leaves to Tessera, in their order, a batch at a time. It is the only caller of Add, which blocks
// while the disk is busy.
//
// The first leaf of a batch waits BatchMaxAge for company where the log is idle. While a batch is being written, the next
// one gathers: the busier the log, the larger its batches, and the fewer files and checkpoints are written for each leaf.
func (l *Log) submit(ctx context.Context) {
	age := time.NewTimer(l.cfg.BatchMaxAge)
	age.Stop()
	aging := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			switch queued, writing := l.backlog(); {
			case queued >= l.cfg.BatchMaxSize:
			case writing:
				continue // written will come
			case queued > 0 && !aging:
				age.Reset(l.cfg.BatchMaxAge)
				aging = true
				continue
			default:
				continue
			}
		case <-age.C:
			aging = false
			if _, writing := l.backlog(); writing {
				continue
			}
		case <-l.written:
		}
		// Tessera panics in its own goroutine if it cannot open its lock file (storage/posix, sequenceBatch): without
		// descriptors or on a read-only disk nothing must reach it.
		writable := l.writable()
		l.mu.Lock()
		queue := l.queue
		l.queue = nil
		if writable != nil {
			for _, w := range queue {
				l.resolve(w, writable)
			}
			queue = nil
		}
		l.mu.Unlock()
		for _, w := range queue {
			entry := tessera.NewEntry(w.leaf)
			w.leaf = nil
			l.submitted.Add(1)
			select {
			case l.futures <- submission{w: w, future: l.add(ctx, entry)}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// backlog returns the number of queued leaves, and whether a batch is being written.
func (l *Log) backlog() (queued int, writing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue), l.submitted.Load() > 0
}

// collect waits for Tessera's answers, which come in the order of submission.
func (l *Log) collect(ctx context.Context) {
	failing := false // one line per failure of the disk, not one per leaf
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-l.futures:
			index, err := s.future()
			if l.submitted.Add(-1) == 0 {
				l.signal(l.written)
			}
			if err != nil {
				e := Unavailable("writing to the log", err)
				if !failing {
					l.cfg.Logger.LogAttrs(ctx, levelOf(e), "leaves not written", attrError(e))
				}
				failing = true
				l.mu.Lock()
				l.resolve(s.w, e)
				l.mu.Unlock()
				continue
			}
			failing = false
			l.onIntegrated(s.w, index.Index)
		}
	}
}

// onIntegrated notes the index of a leaf that is on disk but not yet under a published checkpoint.
func (l *Log) onIntegrated(w *waiter, index uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.integrated.Store(max(l.integrated.Load(), index+1))
	l.recent.put(w.hash, index)
	if w.resolved {
		return // given up by the watchdog or by Close
	}
	w.index = index
	if index < l.current.Load().tree.size {
		l.resolve(w, nil)
		return
	}
	l.waiting = append(l.waiting, w)
	if l.lagSince.IsZero() {
		l.lagSince = l.cfg.Clock()
	}
}

// onSigned is the guard's report of a larger signed tree. Its leaves are known from here on even if Tessera reported an
// error for them: a write can fail after it has had its effect.
func (l *Log) onSigned(t tree, added []hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.signed = t
	l.integrated.Store(max(l.integrated.Load(), t.size))
	for i, h := range added {
		l.recent.put(h, t.size-uint64(len(added)-i))
	}
	l.signal(l.toPublish)
}

// onRefused is the guard's report of an error. One that does not pass by itself stops the log.
func (l *Log) onRefused(err error) {
	e := Unavailable("signing a checkpoint", err)
	l.metrics.fail(e)
	if e.Code.Retryable() {
		return // Tessera tries again at its next interval; the watchdog knows
	}
	l.mu.Lock()
	first := l.failed == nil
	if first {
		l.failed = e
	}
	l.mu.Unlock()
	if first {
		l.cfg.Logger.LogAttrs(l.guard.ctx, levelOf(e), "checkpoint refused, the log has stopped", attrError(e))
		l.failAll(e)
	}
}

// failAll answers every open waiter with an error.
func (l *Log) failAll(e *Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		l.resolve(w, e)
	}
	for _, w := range l.pending {
		l.resolve(w, e)
	}
	l.waiting, l.queue = nil, nil
}

// publishPoll is how often the checkpoint file is read between a signature and its publication, which takes one durable
// write (and, with witnesses, their round trips).
const publishPoll = time.Millisecond

// After patientPolls the reason is one that takes longer, and the file is read less often.
const (
	patientPolls = 50
	patientPoll  = 20 * time.Millisecond
)

// publish watches for the publication of signed trees and wakes those who wait for it, and only those. It reads the
// checkpoint file only between a signature and the appearance of its checkpoint.
func (l *Log) publish(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	polls := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.toPublish:
			polls = 0
			timer.Reset(publishPoll / 2)
		case <-timer.C:
			if l.readPublished(ctx) {
				continue
			}
			if polls++; polls < patientPolls {
				timer.Reset(publishPoll)
			} else {
				timer.Reset(patientPoll)
			}
		}
	}
}

// readPublished reports whether the checkpoint of the last signed tree is published; if it is, it becomes the current
// one.
func (l *Log) readPublished(ctx context.Context) bool {
	l.mu.Lock()
	signed := l.signed
	l.mu.Unlock()
	old := l.current.Load()
	if old != nil && old.tree.size == signed.size && l.storage.Witnesses.satisfied(old.raw) {
		return true
	}
	raw, h, ok, err := l.id.readCheckpoint(ctx, l.storage.Reader)
	if err != nil || !ok || h.size != signed.size {
		return false
	}
	if !l.storage.Witnesses.satisfied(raw) {
		return false // published before the witnesses were configured; the driver publishes it anew, cosigned
	}
	if h.root != signed.root() {
		l.onRefused(rootMismatch(h.size))
		return true
	}
	if !l.cfg.PaceCheckpoints {
		// The next batch then publishes at once. If that does not succeed, it publishes an interval later.
		if err := l.storage.Backdate(l.cfg.CheckpointInterval); err != nil {
			l.cfg.Logger.LogAttrs(ctx, levelOf(Unavailable("", err)), "checkpoint's time not set", attrError(err))
		}
	}
	p := newPublished(signed, raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current.Store(p)
	kept := l.waiting[:0]
	for _, w := range l.waiting {
		if w.index < p.tree.size {
			l.resolve(w, nil)
		} else {
			kept = append(kept, w)
		}
	}
	clear(l.waiting[len(kept):])
	l.waiting = kept
	l.lagSince = time.Time{}
	if l.integrated.Load() > p.tree.size {
		l.lagSince = l.cfg.Clock()
	}
	return true
}

// refresh takes over a checkpoint that was published anew for an unchanged tree, which Tessera does every ten minutes: its
// cosignatures are younger. Without witnesses it has the same bytes.
func (l *Log) refresh(ctx context.Context) {
	old := l.current.Load()
	if l.storage.Witnesses == nil || old == nil {
		return
	}
	raw, h, ok, err := l.id.readCheckpoint(ctx, l.storage.Reader)
	if err != nil || !ok || h.size != old.tree.size || h.root != old.root || bytes.Equal(raw, old.raw) || !l.storage.Witnesses.satisfied(raw) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current.Load() == old {
		l.current.Store(newPublished(old.tree, raw))
	}
}
