package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/watch"
)

// rendered makes the messages of events, and keeps the newest for a moment: thousands may be told of the same event.
type rendered struct {
	make  func(context.Context, *watch.Event) (*avowv1.WatchResponse, error)
	slots chan struct{} // one for each message that is being made

	mu    sync.Mutex
	known map[eventKey]*rendering
	order []eventKey // the oldest first
	bytes int
}

// eventKey names an event: the same entry can be told without its statement, and later with it.
type eventKey struct {
	logIndex         uint64
	late, unresolved bool
}

// rendering is a message that is being made, or was made.
type rendering struct {
	done    chan struct{}
	message *avowv1.WatchResponse
	err     error
	size    int
}

func newRendered(makeIt func(context.Context, *watch.Event) (*avowv1.WatchResponse, error)) *rendered {
	return &rendered{make: makeIt, slots: make(chan struct{}, maxRenderings), known: make(map[eventKey]*rendering)}
}

// get returns the message of an event, made a moment ago at most. It is for reading.
func (r *rendered) get(ctx context.Context, e *watch.Event) (*avowv1.WatchResponse, error) {
	key := eventKey{e.LogIndex, e.Late, e.Unresolved()}
	r.mu.Lock()
	x, ok := r.known[key]
	if !ok {
		x = &rendering{done: make(chan struct{})}
		r.known[key] = x
		r.order = append(r.order, key)
		// Of nobody's call: others wait for it.
		go r.render(context.WithoutCancel(ctx), key, x, e)
	}
	r.mu.Unlock()
	select {
	case <-x.done:
		return x.message, x.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *rendered) render(ctx context.Context, key eventKey, x *rendering, e *watch.Event) {
	ctx, cancel := context.WithTimeout(ctx, renderTimeout)
	defer cancel()
	r.slots <- struct{}{}
	message, err := r.make(ctx, e)
	<-r.slots
	r.mu.Lock()
	defer r.mu.Unlock()
	x.message, x.err = message, err
	close(x.done)
	if r.known[key] != x {
		return
	}
	if err != nil {
		r.forget(key)
		return
	}
	time.AfterFunc(renderedFor, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.known[key] == x {
			r.forget(key)
		}
	})
	x.size = proto.Size(message)
	r.bytes += x.size
	for len(r.order) > 1 && (r.bytes > maxRenderedBytes || len(r.order) > maxRendered) && r.order[0] != key {
		r.forget(r.order[0])
	}
}

// forget removes a message. The lock is held.
func (r *rendered) forget(key eventKey) {
	x, ok := r.known[key]
	if !ok {
		return
	}
	delete(r.known, key)
	r.bytes -= x.size
	for n, k := range r.order {
		if k == key {
			r.order = append(r.order[:n], r.order[n+1:]...)
			return
		}
	}
}

// event makes the message of an event.
func (s *standingService) event(ctx context.Context, e *watch.Event) (_ *avowv1.WatchResponse, err error) {
	defer func() { // it runs on no call's goroutine, so nobody else does this
		if v := recover(); v != nil {
			err = s.server.panicked(ctx, avowv1.StandingService_Watch_FullMethodName, v)
		}
	}()
	m := &avowv1.StatementEvent{LogIndex: e.LogIndex, StatementId: e.StatementID, KeyId: string(e.Signer), PredicateType: e.Type,
		Targets: e.Targets, Unresolved: e.Unresolved()}
	out := &avowv1.WatchResponse{Event: &avowv1.WatchResponse_Statement{Statement: m}}
	if e.Unresolved() {
		return out, nil
	}
	until, cancel := context.WithTimeout(ctx, commitWait)
	defer cancel()
	a := &answering{service: s, set: s.server.cfg.Standing.Index.Current(), until: until, shared: true}
	rec, err := a.record(ctx, e.LogIndex)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, refuse(reasonIndexUnavailable, "entry %d is logged and not committed yet; begin again at the last next_log_index", e.LogIndex)
	}
	env, err := reopen(rec)
	if err != nil {
		return nil, err
	}
	if m.Bundle, err = bundleOf(rec, env); err != nil {
		return nil, err
	}
	m.Vendor = rec.Vendor
	if m.Contradicts, err = s.server.issuer.life.contradicted(ctx, env.Statement(), rec); err != nil {
		return nil, err
	}
	a.size = len(m.GetBundle())
	for _, id := range append(m.GetTargets()[:len(m.GetTargets()):len(m.GetTargets())], m.GetContradicts()...) {
		if m.Standings, err = a.appendStandings(ctx, m.GetStandings(), id); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// appendStandings appends how a statement stands, once for each signer, as far as it is known and fits into the message.
func (a *answering) appendStandings(ctx context.Context, to []*avowv1.StatementStanding, id string) ([]*avowv1.StatementStanding, error) {
	records, err := committedRecords(ctx, a.service.server.cfg.Store, id)
	var r *refusal
	if errors.As(err, &r) && r.reason == reasonStatementNotFound {
		return to, nil
	}
	if err != nil {
		return nil, err
	}
	for n := range records {
		if len(to) == MaxEventStandings {
			return to, nil
		}
		one, err := a.standingThatFits(ctx, &records[n])
		if err != nil {
			return nil, err
		}
		if one != nil {
			to = append(to, one)
		}
	}
	return to, nil
}

// standingThatFits is nil for a standing that does not fit into the message.
func (a *answering) standingThatFits(ctx context.Context, rec *statements.Record) (*avowv1.StatementStanding, error) {
	one, err := a.standing(ctx, rec)
	var r *refusal
	if errors.As(err, &r) && r.reason == reasonListingTooLarge {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if size := proto.Size(one); a.size+size <= maxAnswerBytes {
		a.size += size
		return one, nil
	}
	return nil, nil
}
