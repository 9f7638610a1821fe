package server

import (
	"context"
	"sync"
)

// rowKey is what makes a statement unique in the store: its id and its signer's.
type rowKey struct{ statementID, keyID string }

// flight is one issuance in hand. Its fields are set before done is closed and not changed afterwards.
type flight struct {
	keys   []rowKey
	done   chan struct{}
	issued map[rowKey]*issued
	err    error
}

// flights keeps two calls from issuing one statement at the same time. The unique key of the store would catch them,
// but only after each had taken a timestamp and one of them had appended a second leaf.
type flights struct {
	mu sync.Mutex
	by map[rowKey]*flight
	wg sync.WaitGroup
}

// start claims all keys for one flight, at once or not at all. If one of them is taken it returns the flight that
// holds it: nobody waits while holding, so no two calls can wait for each other.
func (f *flights) start(keys []rowKey) (mine, other *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		if busy, ok := f.by[k]; ok {
			return nil, busy
		}
	}
	mine = &flight{keys: keys, done: make(chan struct{})}
	for _, k := range keys {
		f.by[k] = mine
	}
	f.wg.Add(1)
	return mine, nil
}

// finish publishes the result and frees the keys.
func (f *flights) finish(fl *flight, results map[rowKey]*issued, err error) {
	fl.issued, fl.err = results, err
	f.mu.Lock()
	for _, k := range fl.keys {
		delete(f.by, k)
	}
	f.mu.Unlock()
	close(fl.done)
	f.wg.Done()
}

// wait returns when the flight is done or the context ends.
func (fl *flight) wait(ctx context.Context) error {
	select {
	case <-fl.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drain returns when no flight is left or the context ends.
func (f *flights) drain(ctx context.Context) error {
	idle := make(chan struct{})
	go func() {
		f.wg.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
