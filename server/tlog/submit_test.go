package tlog

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/transparency-dev/tessera"
)

// TestGathering holds the rhythm of batches: the first leaf waits for company, leaves that come while a batch is being
// written wait for its end and go together, and a full batch does not wait.
func TestGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan struct{}) // one receive for each leaf that is written
		var mu sync.Mutex
		var given []string
		l := &Log{
			cfg:     Config{BatchMaxSize: 3, BatchMaxAge: 5 * time.Millisecond, Clock: time.Now},
			storage: Storage{Writable: func() error { return nil }},
			slots:   make(chan struct{}, 16), wake: make(chan struct{}, 1), written: make(chan struct{}, 1),
			futures: make(chan submission, 16),
		}
		l.pending = map[hash]*waiter{}
		l.current.Store(newPublished(tree{}, nil))
		l.add = func(_ context.Context, e *tessera.Entry) tessera.IndexFuture {
			mu.Lock()
			defer mu.Unlock()
			given = append(given, string(e.Data()))
			index := uint64(len(given) - 1)
			return func() (tessera.Index, error) {
				<-answer
				return tessera.Index{Index: index}, nil
			}
		}
		for _, f := range []func(context.Context){l.submit, l.collect} {
			l.running.Go(func() { f(ctx) })
		}
		defer func() {
			cancel()
			close(answer)
			l.running.Wait()
		}()
		enter := func(leaves ...string) {
			for _, leaf := range leaves {
				if _, err := l.enter(ctx, []byte(leaf)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
		}
		want := func(when string, leaves ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(given, leaves) {
				t.Fatalf("%s: the log was given %q, want %q", when, given, leaves)
			}
		}
		enter("a")
		want("before the age of a batch")
		time.Sleep(4 * time.Millisecond)
		enter("b")
		want("company does not lengthen the wait")
		time.Sleep(time.Millisecond)
		want("after the age of a batch", "a", "b")

		enter("c")
		time.Sleep(time.Second)
		enter("d")
		want("while a batch is being written", "a", "b")
		answer <- struct{}{}
		want("while its last leaf is being written", "a", "b")
		answer <- struct{}{}
		want("when it is written, without another wait", "a", "b", "c", "d")

		enter("e", "f")
		want("while the next one is being written", "a", "b", "c", "d")
		enter("g")
		want("a full batch follows at once", "a", "b", "c", "d", "e", "f", "g")
	})
}
