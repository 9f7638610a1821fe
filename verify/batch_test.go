package verify_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/verify"
)

// numbers yields 0 to n-1 and counts how many were asked for.
func numbers(n int, taken *atomic.Int64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			taken.Add(1)
			if !yield(i) {
				return
			}
		}
	}
}

// TestBatchVerifies puts different inputs to one verifier, good and bad ones, and finds each answer by its item.
func TestBatchVerifies(t *testing.T) {
	w := bundletest.NewWorld(t)
	v := newVerifier(t, w.TrustedRoot())
	var inputs []verify.Input
	for i := range 40 {
		in := differentInput(t, w, i)
		switch i % 4 {
		case 1:
			in.ArtifactSHA256 = bundletest.OtherSHA256
		case 2:
			in.Bundles = nil
		case 3:
			in.Signers = nil
		}
		inputs = append(inputs, in)
	}
	type answer struct {
		i       int
		verdict *verify.Verdict
		err     error
	}
	seen := map[int]bool{}
	var taken atomic.Int64
	for a := range verify.Batch(t.Context(), numbers(len(inputs), &taken), func(ctx context.Context, i int) answer {
		verdict, err := v.Verify(ctx, inputs[i])
		return answer{i, verdict, err}
	}) {
		if seen[a.i] {
			t.Errorf("%d was answered twice", a.i)
		}
		seen[a.i] = true
		switch a.i % 4 {
		case 0:
			if a.err != nil || a.verdict.Outcome != verify.Accepted {
				t.Errorf("%d: %v, %v", a.i, a.verdict, a.err)
			}
		case 3:
			if !errors.Is(a.err, verify.ErrInput) {
				t.Errorf("%d: %v", a.i, a.err)
			}
		default:
			want := map[int]verify.CheckID{1: verify.CheckSubject, 2: verify.CheckBundlesGiven}[a.i%4]
			if a.err != nil || a.verdict.Outcome != verify.Rejected || a.verdict.Failures()[0].ID != want {
				t.Errorf("%d: %v, %v, want %s", a.i, a.verdict, a.err, want)
			}
		}
	}
	if len(seen) != len(inputs) {
		t.Errorf("%d of %d were answered", len(seen), len(inputs))
	}
}

// TestBatchBounds: as many items are judged at once as there are cores, and the source is read no faster. The bubble
// fails the test if a goroutine is left behind.
func TestBatchBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cores := int64(runtime.GOMAXPROCS(0))
		var taken, running, most atomic.Int64
		got := 0
		for range verify.Batch(t.Context(), numbers(100, &taken), func(context.Context, int) int {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second) // of the bubble: until everybody waits
			return 0
		}) {
			got++
			synctest.Wait()
			if ahead := taken.Load() - int64(got); ahead > 2*cores+1 {
				t.Fatalf("%d items were taken for %d results that nobody took", ahead, got)
			}
		}
		if got != 100 || most.Load() != cores {
			t.Errorf("%d results, at most %d at once, want 100 and %d", got, most.Load(), cores)
		}
	})
}

// TestBatchEnds: a loop that ends, a context that ends and a body that panics end the work.
func TestBatchEnds(t *testing.T) {
	one := func(context.Context, int) int { time.Sleep(time.Second); return 1 }
	t.Run("loop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var taken atomic.Int64
			for range verify.Batch(t.Context(), numbers(1<<20, &taken), one) {
				break
			}
			if limit := int64(2*runtime.GOMAXPROCS(0) + 2); taken.Load() > limit {
				t.Errorf("%d items were taken for one result, want at most %d", taken.Load(), limit)
			}
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var taken, begun atomic.Int64
			results := 0
			for r := range verify.Batch(ctx, numbers(1<<20, &taken), func(ctx context.Context, i int) int {
				begun.Add(1)
				return one(ctx, i)
			}) {
				if results += r; results == 3 {
					cancel()
				}
			}
			if int64(results) != begun.Load() {
				t.Errorf("%d items were begun, %d have a result", begun.Load(), results)
			}
			ended := slices.Collect(verify.Batch(ctx, numbers(5, &taken), one))
			if len(ended) != 0 {
				t.Errorf("%d items were begun in an ended context", len(ended))
			}
		})
	})
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			blocked := func(yield func(int) bool) { // a source that yields one item and waits for the end of the test
				if yield(1) {
					<-t.Context().Done()
				}
			}
			defer func() {
				if recover() != "body" {
					t.Error("the panic did not arrive")
				}
			}()
			for range verify.Batch(t.Context(), blocked, one) {
				panic("body")
			}
		})
	})
	t.Run("nothing", func(t *testing.T) {
		var taken atomic.Int64
		for range verify.Batch(t.Context(), numbers(0, &taken), one) {
			t.Error("a result of nothing")
		}
	})
}
