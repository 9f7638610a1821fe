package manifest

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// longList is a checksum file of many lines that is made as it is read, so that nobody holds it.
type longList struct {
	lines, at int
	rest      []byte
}

const longLine = 300 // bytes of a line, about

func (l *longList) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.at == l.lines {
			return 0, io.EOF
		}
		l.at++
		l.rest = fmt.Appendf(nil, "%064x  %s/%d\n", l.at, strings.Repeat("d", longLine-80), l.at)
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *longList) Seek(int64, int) (int64, error) { l.at, l.rest = 0, nil; return 0, nil }

// heapAtEnd is what is in use when the last of so many lines is read.
func heapAtEnd(tb testing.TB, lines int) uint64 {
	tb.Helper()
	m, err := Read(&longList{lines: lines}, FormatChecksums)
	if err != nil {
		tb.Fatal(err)
	}
	n, heap := 0, uint64(0)
	for item := range m.Items() {
		if item.Err != nil {
			tb.Fatal(item.Err)
		}
		if n++; n == lines {
			var s runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&s)
			heap = s.HeapAlloc
		}
	}
	if n != lines {
		tb.Fatalf("%d lines of %d: %v", n, lines, m.Err())
	}
	return heap
}

// TestMemoryIsBounded: a list of 100,000 lines is streamed. What is kept for each is two hashes, not the line.
func TestMemoryIsBounded(t *testing.T) {
	const lines = 100_000
	few, many := heapAtEnd(t, 1000), heapAtEnd(t, lines)
	if grown := int64(many) - int64(few); grown > lines*longLine/4 {
		t.Errorf("%d more lines take %d bytes more, want less than a quarter of their %d", lines-1000, grown, (lines-1000)*longLine)
	}
}

// BenchmarkStream reads lists of growing length; heap-B/line is what each line leaves in use at the end.
func BenchmarkStream(b *testing.B) {
	for _, lines := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			var s runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&s)
			var heap uint64
			for b.Loop() {
				heap = heapAtEnd(b, lines)
			}
			b.ReportMetric(float64(int64(heap)-int64(s.HeapAlloc))/float64(lines), "heap-B/line")
			b.ReportMetric(float64(b.N*lines)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
