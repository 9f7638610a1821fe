package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"runtime"
	"testing"

	"github.com/avow-dev/avow/verify/index"
)

var benchKeys = flag.Int("keys", 100_000, "keys of the tree in benchmarks")

func key(i int) index.Key {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

func grown(n int) *Tree {
	t := &Tree{}
	for i := range n {
		t.Add(key(i), index.Entry{LogIndex: uint64(i)})
	}
	return t
}

// BenchmarkRebuild builds a tree of -keys keys and hashes it, and reports the heap for each.
func BenchmarkRebuild(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		t := grown(*benchKeys)
		v := t.Publish()
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(v)
		runtime.KeepAlive(t)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(*benchKeys), "heap-B/key")
		b.StartTimer()
	}
}

// BenchmarkUpdate adds 256 keys to a tree of -keys keys and publishes it.
func BenchmarkUpdate(b *testing.B) {
	t := grown(*benchKeys)
	t.Publish()
	i := *benchKeys
	for b.Loop() {
		for range 256 {
			t.Add(key(i), index.Entry{LogIndex: uint64(i)})
			i++
		}
		t.Publish()
	}
}

// BenchmarkSnapshot writes a tree of -keys keys and reads it again.
func BenchmarkSnapshot(b *testing.B) {
	v := grown(*benchKeys).Publish()
	for b.Loop() {
		var buf bytes.Buffer
		if err := v.WriteSnapshot(&buf); err != nil {
			b.Fatal(err)
		}
		if _, _, err := ReadSnapshot(&buf, v.Root()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProof builds, sends, parses and verifies proofs in a tree of -keys keys.
func BenchmarkProof(b *testing.B) {
	v := grown(*benchKeys).Publish()
	for _, c := range []struct {
		name string
		from int
	}{{"present", 0}, {"absent", *benchKeys}} {
		keys := make([]index.Key, 4096)
		proofs := make([][]byte, len(keys))
		size, largest := 0, 0
		for i := range keys {
			keys[i] = key(c.from + i)
			_, p := v.Lookup(keys[i])
			proofs[i] = p.Append(nil)
			size, largest = size+len(proofs[i]), max(largest, len(proofs[i]))
		}
		b.Run(c.name+"/build", func(b *testing.B) {
			i := 0
			for b.Loop() {
				_, p := v.Lookup(keys[i%len(keys)])
				_ = p.Append(nil)
				i++
			}
			b.ReportMetric(float64(size)/float64(len(keys)), "proof-B")
			b.ReportMetric(float64(largest), "proof-B-max")
		})
		b.Run(c.name+"/verify", func(b *testing.B) {
			i := 0
			for b.Loop() {
				p, err := index.ParseProof(proofs[i%len(keys)])
				if err == nil && c.from == 0 {
					_, err = p.Presence(v.Root(), keys[i%len(keys)])
				} else if err == nil {
					err = p.Absence(v.Root(), keys[i%len(keys)])
				}
				if err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
