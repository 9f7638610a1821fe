package index

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"testing"

	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
)

var benchKeys = flag.Int("keys", 100_000, "keys of the index in benchmarks")

// BenchmarkStatus makes the status bundle of a statement about which nothing was said.
func BenchmarkStatus(b *testing.B) {
	tree := &replay.Tree{}
	for i := range *benchKeys {
		tree.Add(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))), vindex.Entry{LogIndex: uint64(i)})
	}
	s := &Set{Version: tree.Publish(), Root: &vindex.Root{}, Checkpoint: make([]byte, 600), RootsCheckpoint: make([]byte, 600), Leaf: make([]byte, 200)}
	none := func(context.Context, uint64) ([]byte, error) { return nil, nil }
	for b.Loop() {
		if _, err := s.Status(b.Context(), "sha256:00", "key:x", none); err != nil {
			b.Fatal(err)
		}
	}
}
