package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest/predicate"
)

// BenchmarkIssue issues distinct, pre-signed statements over gRPC on loopback. cpu-us/op is the CPU time of the whole
// process, the clients included; `avowd bench` measures the server's alone.
func BenchmarkIssue(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			w := newWorld(b)
			requests := make([]*avowv1.IssueRequest, b.N)
			for n := range requests {
				requests[n] = signed(b, dataFlows(b), w.acme)
			}
			client := w.attestation()
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ReportAllocs()
			b.ResetTimer()
			before := cpuTime(b)
			for range min(callers, b.N) {
				wg.Go(func() {
					for {
						n := int(next.Add(1)) - 1
						if n >= b.N {
							return
						}
						if _, err := client.Issue(b.Context(), requests[n]); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric((cpuTime(b)-before)/float64(b.N)*1e6, "cpu-us/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "statements/s")
		})
	}
}

// cpuTime is the CPU time of this process in seconds.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// BenchmarkEquivocations looks for contradictions of a statement whose signer has said 16 others about the same artifact: the
// most that are compared.
func BenchmarkEquivocations(b *testing.B) {
	w := newWorld(b)
	for range maxRivals {
		w.issue(dataFlows(b), w.acme)
	}
	st := must(predicate.Parse(dataFlows(b), predicate.Issuance))(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.server.issuer.life.equivocations(b.Context(), st, idOf(b, w.acme)); err != nil {
			b.Fatal(err)
		}
	}
}
