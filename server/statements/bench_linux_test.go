package statements_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/avow-dev/avow/server/statements"
)

// The benchmarks of this file:
//
//	go test ./server/statements -run '^$' -bench Issue            # CPU and wall time per statement
//	go test ./server/statements -run '^$' -bench Lookup -rows 1000000 -seed DIR
//
// Lookup needs a store with -rows statements. With -seed it is kept in DIR and
// used again; building a million rows takes about a minute and 6 GB of disk.
var (
	seedRows = flag.Int("rows", 20_000, "number of statements that BenchmarkLookup looks up in")
	seedDir  = flag.String("seed", "", "directory that keeps the store of BenchmarkLookup between runs")
)

const (
	benchEnvelope = 3 << 10 // bytes; a no-backdoor statement of 2 KiB in base64
	benchEntry    = 1600    // leaf, proof of 20 hashes, checkpoint
	benchToken    = 1100
	benchVendors  = 500
	benchTypes    = 7
)

// benchStatement makes statement number i of a store: three subjects, one
// product, one of 500 vendors and of 7 types.
func benchStatement(by signer, i uint64) (statements.Pending, statements.Committed) {
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], i)
	d := sha256.Sum256(seed[:])
	id := "sha256:" + hex.EncodeToString(d[:])
	p := statements.Pending{
		StatementID: id, KeyID: by.id, Signer: by.der,
		Vendor: fmt.Sprintf("vendor-%d", i%benchVendors), PredicateType: fmt.Sprintf("https://w3id.org/avow/type-%d/v1", i/benchVendors%benchTypes),
		Envelope: stretch(d, benchEnvelope), LogSize: i, ReceivedAt: start,
		Products: []string{fmt.Sprintf("pkg:generic/vendor-%d/product@%d", i%benchVendors, i/benchVendors)},
	}
	for n := range uint64(3) {
		p.Subjects = append(p.Subjects, benchSubject(i, n))
	}
	return p, statements.Committed{
		StatementID: id, KeyID: by.id, LogIndex: i, Entry: stretch(d, benchEntry), Tokens: [][]byte{stretch(d, benchToken)},
	}
}

func benchSubject(i, n uint64) string {
	d := sha256.Sum256(fmt.Appendf(nil, "%d of %d", n, i))
	return hex.EncodeToString(d[:])
}

func stretch(d [32]byte, n int) []byte {
	out := make([]byte, 0, n+len(d))
	for len(out) < n {
		out = append(out, d[:]...)
	}
	return out[:n]
}

// BenchmarkIssue measures PutPending + Commit of single statements by several
// callers. cpu-us/op is process CPU per statement, which other load on the
// machine disturbs less than wall time. "large" adds to the store of
// BenchmarkLookup, where every key falls on another page.
func BenchmarkIssue(b *testing.B) {
	for _, callers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, _ := create(b)
			issue(b, s, callers)
		})
	}
	b.Run("large/callers=256", func(b *testing.B) {
		s := seeded(b)
		defer shut(b, s)
		issue(b, s, 256)
	})
}

func issue(b *testing.B, s *statements.Store, callers int) {
	by := newSigner(b)
	base := uint64(time.Now().UnixNano())
	work := make([]statements.Pending, b.N)
	entries := make([]statements.Committed, b.N)
	for i := range work {
		work[i], entries[i] = benchStatement(by, base+uint64(i))
		work[i].Vendor = fmt.Sprintf("vendor-%d", i%benchVendors)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	before := cpu(unix.RUSAGE_SELF)
	for range callers {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if _, _, err := s.PutPending(b.Context(), work[i:i+1]); err != nil {
					b.Error(err)
					return
				}
				if err := s.Commit(b.Context(), entries[i:i+1]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpu(unix.RUSAGE_SELF)-before).Microseconds())/float64(b.N), "cpu-us/op")
}

// cpu is the CPU time of the process or the thread so far.
func cpu(who int) time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(who, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// seeded gives a store with *seedRows committed statements.
func seeded(b *testing.B) *statements.Store {
	b.Helper()
	dir := *seedDir
	if dir == "" {
		dir = b.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprintf("seed-%d.db", *seedRows))
	c := statements.Config{Path: path, Logger: slog.New(slog.DiscardHandler)}
	if _, err := os.Stat(path); err == nil {
		s, err := statements.Open(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	s, err := statements.Create(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	by := newSigner(b)
	for i := 0; i < *seedRows; {
		var ps []statements.Pending
		var cs []statements.Committed
		for ; i < *seedRows && len(ps) < statements.MaxBatch; i++ {
			p, c := benchStatement(by, uint64(i))
			ps, cs = append(ps, p), append(cs, c)
		}
		put(b, s, ps...)
		commit(b, s, cs...)
	}
	b.Logf("%d statements in %v", *seedRows, time.Since(began).Round(time.Millisecond))
	return s
}

// BenchmarkLookup measures reading from a large store. p99-us is the 99th
// percentile of the wall time, p99-cpu-us that of the reading thread's CPU time,
// which says the same of a machine that has nothing else to do and files in its cache.
func BenchmarkLookup(b *testing.B) {
	s := seeded(b)
	defer shut(b, s)
	for name, look := range map[string]func(i uint64) error{
		"Get": func(i uint64) error {
			p, _ := benchStatement(signer{}, i)
			_, err := s.Get(b.Context(), p.StatementID)
			return err
		},
		"ListSubject": func(i uint64) error { return list(b, s, statements.Query{SubjectSHA256: benchSubject(i, 1)}) },
		"ListProduct": func(i uint64) error {
			p, _ := benchStatement(signer{}, i)
			return list(b, s, statements.Query{Product: p.Products[0]})
		},
		"ListVendor": func(i uint64) error {
			return list(b, s, statements.Query{Vendor: fmt.Sprintf("vendor-%d", i%benchVendors), From: i})
		},
		"ListVendorAndType": func(i uint64) error {
			p, _ := benchStatement(signer{}, i)
			return list(b, s, statements.Query{Vendor: p.Vendor, PredicateType: p.PredicateType, From: i})
		},
		"ListSubjectAndVendor": func(i uint64) error {
			p, _ := benchStatement(signer{}, i)
			return list(b, s, statements.Query{SubjectSHA256: p.Subjects[0], Vendor: p.Vendor})
		},
		"ListAll": func(i uint64) error { return list(b, s, statements.Query{From: i}) },
	} {
		b.Run(name, func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			took, used := make([]time.Duration, b.N), make([]time.Duration, b.N)
			at := uint64(1)
			for i := range b.N {
				at = at*6364136223846793005 + 1442695040888963407
				began, before := time.Now(), cpu(unix.RUSAGE_THREAD)
				if err := look(at % uint64(*seedRows)); err != nil {
					b.Fatal(err)
				}
				took[i], used[i] = time.Since(began), cpu(unix.RUSAGE_THREAD)-before
			}
			slices.Sort(took)
			slices.Sort(used)
			b.ReportMetric(float64(used[len(used)*99/100].Microseconds()), "p99-cpu-us")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
		})
	}
}

func list(b *testing.B, s *statements.Store, q statements.Query) error {
	page, _, err := s.List(b.Context(), q)
	if err == nil && len(page) == 0 {
		return fmt.Errorf("%+v: nothing found", q)
	}
	return err
}
