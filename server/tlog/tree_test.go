package tlog

import (
	"context"
	"encoding/binary"
	"math/bits"
	"os"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
	"pgregory.net/rapid"
)

// syntheticLeaf is the leaf hash of the i-th synthetic leaf.
func syntheticLeaf(i uint64) hash {
	return hashLeaf(binary.BigEndian.AppendUint64(nil, i))
}

func syntheticLeaves(from, to uint64) []hash {
	leaves := make([]hash, 0, to-from)
	for i := from; i < to; i++ {
		leaves = append(leaves, syntheticLeaf(i))
	}
	return leaves
}

// tileMap is a Reader of the tiles of a synthetic tree, computed by the merkle library: an oracle for our own nodes.
type tileMap map[[2]uint64][]byte

func newTileMap(size uint64) tileMap {
	m := tileMap{}
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for i := range size {
		leaf := syntheticLeaf(i)
		_ = r.Append(leaf[:], func(id compact.NodeID, h []byte) {
			if id.Level%layout.TileHeight == 0 {
				k := [2]uint64{uint64(id.Level / layout.TileHeight), id.Index / layout.TileWidth}
				m[k] = append(m[k], h...)
			}
		})
	}
	return m
}

func (m tileMap) ReadTile(_ context.Context, l, index uint64, width uint8) ([]byte, error) {
	data, ok := m[[2]uint64{l, index}]
	n := int(width) * len(hash{})
	if width == 0 {
		n = layout.TileWidth * len(hash{})
	}
	if !ok || len(data) < n {
		return nil, os.ErrNotExist
	}
	return data[:n], nil
}

func (m tileMap) ReadCheckpoint(context.Context) ([]byte, error) { return nil, os.ErrNotExist }

func (m tileMap) ReadEntryBundle(context.Context, uint64, uint8) ([]byte, error) {
	return nil, os.ErrNotExist
}

// TestTreeAgreesWithTilesAtAllSizes compares the proofs from memory with those from tiles, verifies each, and compares
// both with Tessera's own builder at some sizes (it needs a thousand times longer).
func TestTreeAgreesWithTilesAtAllSizes(t *testing.T) {
	const last = 600
	tiles := newTileMap(last)
	prover := newTileProver(tiles)
	whole := tree{}
	for size := uint64(1); size <= last; size++ {
		whole = whole.extend(syntheticLeaves(size-1, size))
		edges, root := whole.edges(), whole.root()
		builder, err := client.NewProofBuilder(t.Context(), size, tiles.ReadTile)
		if err != nil {
			t.Fatal(err)
		}
		for index := range size {
			got := whole.inclusion(index, edges)
			want, err := prover.inclusion(t.Context(), index, size)
			if err == nil && size%53 == 0 && index%7 == 0 {
				want, err = builder.InclusionProof(t.Context(), index)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, func(a, b []byte) bool { return slices.Equal(a, b) }) {
				t.Fatalf("proof of %d in %d: got %x, want %x", index, size, got, want)
			}
			leaf := syntheticLeaf(index)
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], got, root[:]); err != nil {
				t.Fatalf("proof of %d in %d: %v", index, size, err)
			}
		}
	}
}

// TestTreeFromAnyRange starts from a compact range at any size, extends and trims in any steps, and compares the proofs
// with a tree that holds everything.
func TestTreeFromAnyRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		begin := rapid.Uint64Range(0, 3000).Draw(t, "begin")
		whole := (&tree{}).extend(syntheticLeaves(0, begin))
		part, err := newTree(begin, whole.compactRange())
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			n := rapid.Uint64Range(0, 700).Draw(t, "leaves")
			leaves := syntheticLeaves(whole.size, whole.size+n)
			_ = part.extend(slices.Repeat([]hash{{1}}, int(n))) // a refused extension leaves no trace
			whole, part = whole.extend(leaves), part.extend(leaves)
			if rapid.Bool().Draw(t, "trim") {
				part = part.trim(rapid.Uint64Range(part.start, part.size).Draw(t, "start"))
			}
			if whole.root() != part.root() {
				t.Fatalf("roots of %d leaves differ", whole.size)
			}
			if !slices.Equal(whole.compactRange(), part.compactRange()) {
				t.Fatalf("compact ranges of %d leaves differ", whole.size)
			}
			for index := part.start; index < part.size; index++ {
				got, want := part.inclusion(index, part.edges()), whole.inclusion(index, whole.edges())
				if !slices.EqualFunc(got, want, func(a, b []byte) bool { return slices.Equal(a, b) }) {
					t.Fatalf("proof of %d in %d from %d differs", index, part.size, part.start)
				}
			}
		}
	})
}

func TestNewTreeRefusesWrongRange(t *testing.T) {
	for size := range uint64(20) {
		if _, err := newTree(size, make([]hash, bits.OnesCount64(size)+1)); err == nil {
			t.Errorf("size %d: one hash too many accepted", size)
		}
	}
}

// benchTree is the size of the tree of the proof benchmarks.
const benchTree = 1_000_123

var benchProof [][]byte

// BenchmarkProof compares the ways to a proof for the newest 2,048 of a million leaves. The metric memory/tiles of the
// last is the answer that matters.
func BenchmarkProof(b *testing.B) {
	const newest = 2048
	whole := (&tree{}).extend(syntheticLeaves(0, benchTree))
	edges, root := whole.edges(), whole.root()
	index := func(i int) uint64 { return benchTree - newest + uint64(i)%newest }
	b.Run("memory", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			benchProof = whole.inclusion(index(i), edges)
		}
	})
	b.Run("memory-verified", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			leaf, _ := whole.node(0, index(i))
			benchProof = whole.inclusion(index(i), edges)
			if err := verifyInclusion(index(i), benchTree, leaf, benchProof, root); err != nil {
				b.Fatal(err)
			}
		}
	})
	tiles := newTileMap(benchTree)
	b.Run("tiles-cached", func(b *testing.B) {
		b.ReportAllocs()
		p := newTileProver(tiles)
		for i := range b.N {
			var err error
			if benchProof, err = p.inclusion(b.Context(), index(i), benchTree); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("tiles-builder-shared", func(b *testing.B) {
		b.ReportAllocs()
		builder, _ := client.NewProofBuilder(b.Context(), benchTree, tiles.ReadTile)
		for i := range b.N {
			benchProof, _ = builder.InclusionProof(b.Context(), index(i))
		}
	})
	b.Run("tiles-builder-per-request", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			builder, _ := client.NewProofBuilder(b.Context(), benchTree, tiles.ReadTile)
			benchProof, _ = builder.InclusionProof(b.Context(), index(i))
		}
	})
}
