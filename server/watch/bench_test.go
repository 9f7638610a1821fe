package watch

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/avow-dev/avow/internal/bundletest"
)

// BenchmarkWatchers has 10,000 watchers of ten artifacts each. In every round a statement that concerns a hundred of them is logged.
// bytes/watcher is what a watcher costs with its goroutine; the latencies are from the call that logs the statement to the
// watcher's having the event, the log's publication included.
func BenchmarkWatchers(b *testing.B) {
	const watchers, each, concerned = 10_000, 10, 100
	w := newWorld(b, 0)
	key := bundletest.NewKey(b)
	w.issue(key, flows(b, 0, artifact(0)), false)
	w.covered(1)
	before := memory()
	ctx, cancel := context.WithCancel(b.Context())
	var running sync.WaitGroup
	told := make(chan time.Time, concerned)
	for n := range watchers {
		f := Filter{}
		for a := range each {
			f.Artifacts = append(f.Artifacts, artifact(a*watchers/concerned+n%(watchers/concerned)))
		}
		x := w.watch(f, nil)
		running.Go(func() {
			for {
				batch, err := x.Next(ctx, time.Minute)
				if err != nil {
					return
				}
				for range batch.Events {
					told <- time.Now()
				}
			}
		})
	}
	held := float64(memory()-before) / watchers
	var latencies []time.Duration
	b.ResetTimer()
	for n := range b.N {
		payload := flows(b, n+1, artifact(n%(each*watchers/concerned)))
		start := time.Now()
		w.issue(key, payload, false)
		for range concerned {
			latencies = append(latencies, (<-told).Sub(start))
		}
	}
	b.StopTimer()
	b.ReportMetric(held, "bytes/watcher")
	slices.Sort(latencies)
	b.ReportMetric(latencies[len(latencies)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(latencies[len(latencies)*99/100].Seconds()*1e3, "p99-ms")
	cancel()
	running.Wait()
}

func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) // #nosec G115 -- a machine has less memory
}

// BenchmarkCatchUp reads events of all entries again.
func BenchmarkCatchUp(b *testing.B) {
	const n = 50
	w := newWorld(b, 0)
	key := bundletest.NewKey(b)
	for i := range n {
		w.issue(key, flows(b, i, artifact(i)), false)
	}
	w.covered(n)
	zero := uint64(0)
	for b.Loop() {
		x := w.watch(Filter{}, &zero)
		take(b, x, n)
		x.Close()
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
