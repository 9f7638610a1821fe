package tlog_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// cpuTime is the processor time of this process so far, which a loaded machine does not change.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend appends distinct leaves of a typical size from a number of closed-loop callers, each of which waits
// for its verified proof under a published checkpoint.
func BenchmarkAppend(b *testing.B) {
	for _, paced := range []bool{false, true} {
		for _, callers := range []int{1, 64, 1024, 4096} {
			b.Run(fmt.Sprintf("callers-%d/paced-%v", callers, paced), func(b *testing.B) { benchAppend(b, callers, paced) })
		}
	}
}

func benchAppend(b *testing.B, callers int, paced bool) {
	cfg := create(b)
	cfg.PaceCheckpoints = paced
	l := open(b, cfg)
	var next atomic.Uint64
	latencies := make([]time.Duration, b.N)
	b.ResetTimer()
	before := cpuTime(b)
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= uint64(b.N) {
					return
				}
				begin := time.Now()
				if _, err := l.Append(b.Context(), benchLeaf(i)); err != nil {
					b.Error(err)
					return
				}
				latencies[i] = time.Since(begin)
			}
		})
	}
	group.Wait()
	b.StopTimer()
	reportLatencies(b, latencies)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/append")
}

func reportLatencies(b *testing.B, d []time.Duration) {
	slices.Sort(d)
	b.ReportMetric(float64(d[len(d)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(d[len(d)*99/100].Microseconds())/1000, "p99-ms")
}
