package auditor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/leaf"
)

// window is how many entries are read before they are indexed, with their statements.
const window = 512

// item is an entry on its way.
type item struct {
	at      uint64
	entry   []byte
	payload []byte // once done is closed
	fault   *follow.Evidence
	err     error
	done    chan struct{}
}

// pipeline reads entries in their order, and their statements several at a time.
type pipeline struct {
	items   chan *item
	current *item // that was handed out last
	fault   *follow.Evidence
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startPipeline reads the entries of a walk from where the builder is, up to the size of the plan.
func (r *run) startPipeline(ctx context.Context, w *follow.Walk, plan *plan) *pipeline {
	ctx, cancel := context.WithCancel(ctx)
	p := &pipeline{items: make(chan *item, window), cancel: cancel}
	from, slots := r.builder.Size(), make(chan struct{}, r.Workers)
	send := func(it *item) bool {
		select {
		case p.items <- it:
			return true
		case <-ctx.Done():
			return false
		}
	}
	p.running.Go(func() {
		defer close(p.items)
		for i := 0; i < w.Bundles() && from < plan.size; i++ {
			first, entries, err := r.logTree.Bundle(ctx, w, i)
			if err != nil {
				send(&item{err: err})
				return
			}
			for from < min(first+uint64(len(entries)), plan.size) {
				it := &item{at: from, entry: entries[from-first], done: make(chan struct{})}
				if _, err := leaf.Read(it.entry); err != nil || plan.unresolved[from] {
					close(it.done) // nobody's, or not needed
				} else if !p.start(ctx, r, it, slots) {
					return
				}
				if !send(it) {
					return
				}
				from++
			}
		}
	})
	return p
}

// start asks for the statement of an entry when there is a slot.
func (p *pipeline) start(ctx context.Context, r *run, it *item, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	p.running.Go(func() {
		it.payload, it.fault, it.err = r.statement(ctx, it.at, it.entry)
		<-slots
		close(it.done)
	})
	return true
}

// stop ends it and waits; more than once does no harm.
func (p *pipeline) stop() {
	p.cancel()
	for range p.items { // until the reader closes it
	}
	p.running.Wait()
}

// statement asks for the statement of an entry. Without it, there is a record of what was answered instead.
func (r *run) statement(ctx context.Context, at uint64, entry []byte) (payload []byte, fault *follow.Evidence, err error) {
	l, err := leaf.Read(entry)
	if err != nil {
		return nil, nil, nil //nolint:nilerr // nobody's entry has no statement
	}
	a, missing, err := r.Statements.Statement(ctx, at, predicate.MaxStatementBytes)
	if err != nil {
		return nil, nil, err
	}
	if !missing && sha256.Sum256(dsse.PAE(predicate.PayloadType, a.Body)) == l.Digest {
		return a.Body, nil, nil
	}
	return nil, &follow.Evidence{Kind: follow.KindNotProvable, Code: follow.CodeIndexMissing, Second: r.log.Raw, Index: at, Leaf: entry,
		Asked: fmt.Sprintf("/statements/by-index/%d", at), Status: a.Status, Answered: a.Body,
		Wanted: fmt.Sprintf("the statement whose DSSE encoding has the SHA-256 %x", l.Digest)}, nil
}

// source is the statement log as the builder reads it.
func (r *run) source() audit.Source {
	return audit.Source{Entries: r.read, Statement: r.payload}
}

// read hands out the next entries in their order, or one from further back: a late one.
func (r *run) read(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if from < r.builder.Size() {
			r.entries.current = nil // it may be the same entry, which went by without its statement
			_, entries, _, err := r.places.Entries(ctx, from, to)
			for _, e := range entries {
				if err != nil || !yield(e, nil) {
					break
				}
			}
			if err != nil {
				yield(nil, err)
			}
			return
		}
		for at := from; at < to; at++ {
			it, ok := <-r.entries.items
			switch {
			case !ok:
				yield(nil, errors.Join(context.Cause(ctx), fmt.Errorf("the entries ended at %d", at)))
				return
			case it.done == nil:
				yield(nil, it.err)
				return
			}
			if r.entries.current = it; !yield(it.entry, nil) {
				return
			}
		}
	}
}

// payload is the statement of the entry that was read last.
func (r *run) payload(ctx context.Context, at uint64, entry []byte) ([]byte, error) {
	it := r.entries.current
	if it == nil || it.at != at {
		payload, fault, err := r.statement(ctx, at, entry)
		r.entries.remember(fault)
		return payload, err
	}
	<-it.done
	r.entries.remember(it.fault)
	return it.payload, it.err
}

// remember keeps the first answer that was none.
func (p *pipeline) remember(fault *follow.Evidence) {
	if p.fault == nil {
		p.fault = fault
	}
}
