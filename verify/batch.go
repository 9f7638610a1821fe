package verify

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// Batch runs judge for every item, on as many goroutines as the program may use
// cores (GOMAXPROCS), and yields the results as they are ready, in no order. It
// is how many inputs are put to one [Verifier]: what the verifier keeps
// (checkpoints, chains, the trusted root) serves all of them.
//
// Ranging over the sequence starts the work; ending the loop, or its end, ends
// it, and no goroutine is left behind. At any time only the items that are being
// judged, and one more, are in memory: the source is read as slowly as the
// results are taken.
//
// When the context ends no further item is begun. An item that was begun yields
// its result all the same, so that whoever counts can tell which were not; the
// caller asks ctx.Err() whether the sequence is complete. A source that may
// block has to watch the context itself.
//
// Judge is called from several goroutines at once and has to say in R which item
// it is about. What it panics with ends the program, as in any goroutine.
func Batch[T, R any](ctx context.Context, items iter.Seq[T], judge func(context.Context, T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		ctx, stop := context.WithCancel(ctx)
		todo, results := make(chan T), make(chan R)
		var running, workers sync.WaitGroup
		ended := false
		defer func() {
			stop()
			go drain(results) // what was begun has to be taken, or its worker waits for ever
			if ended {        // otherwise the loop's body panics, and must not be held up by a source that blocks
				running.Wait()
			}
		}()
		running.Go(func() {
			defer close(todo)
			for item := range items {
				select {
				case todo <- item:
				case <-ctx.Done():
					return
				}
			}
		})
		for range runtime.GOMAXPROCS(0) {
			workers.Go(func() { work(ctx, todo, results, judge) })
		}
		running.Go(func() {
			workers.Wait()
			close(results)
		})
		for r := range results {
			if !yield(r) {
				break
			}
		}
		ended = true
	}
}

func drain[R any](results <-chan R) {
	for range results {
	}
}

// work is one worker of a batch.
func work[T, R any](ctx context.Context, todo <-chan T, results chan<- R, judge func(context.Context, T) R) {
	for item := range todo {
		if ctx.Err() != nil {
			return // handed over in the moment in which the context ended
		}
		results <- judge(ctx, item)
	}
}
