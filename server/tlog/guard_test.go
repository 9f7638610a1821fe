package tlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/transparency-dev/tessera"
)

// bundles is a Reader whose entries can be damaged at will.
type bundles struct {
	tileMap
	leaves [][]byte
	err    error
}

func (b *bundles) ReadEntryBundle(_ context.Context, index uint64, width uint8) ([]byte, error) {
	if b.err != nil {
		return nil, b.err
	}
	first := int(index) * 256
	if first+fullWidth(width) > len(b.leaves) {
		return nil, os.ErrNotExist
	}
	var data []byte
	for _, leaf := range b.leaves[first : first+fullWidth(width)] {
		data = append(data, tessera.NewEntry(leaf).MarshalBundleData(0)...)
	}
	return data, nil
}

func (b *bundles) hashes(from, to uint64) []hash {
	var hashes []hash
	for _, leaf := range b.leaves[from:to] {
		hashes = append(hashes, hashLeaf(leaf))
	}
	return hashes
}

// newGuard returns a guard that has signed the tree of the first size of n leaves.
func newGuard(t *testing.T, n int, size uint64) (*guard, *bundles, tree) {
	t.Helper()
	id := testIdentity(t, "log.example", 1)
	b := &bundles{}
	for i := range n {
		b.leaves = append(b.leaves, []byte{1, byte(i >> 8), byte(i)})
	}
	signed := (&tree{}).extend(b.hashes(0, size))
	whole := signed.extend(b.hashes(size, uint64(n)))
	g := &guard{ctx: t.Context(), id: id, reader: b, path: filepath.Join(t.TempDir(), "anchor"), window: MinProofWindow,
		tree: signed, signed: func(tree, []hash) {}, refused: func(error) {}}
	g.last = anchor{origin: id.origin, logID: id.logID, size: size, nodes: signed.compactRange()}.marshal()
	if err := writeAnchor(g.path, g.last); err != nil {
		t.Fatal(err)
	}
	return g, b, whole
}

func TestGuardSignsGrowth(t *testing.T) {
	for _, size := range []uint64{0, 1, 255, 256, 257, 511, 512, 700} {
		g, _, whole := newGuard(t, 700, size)
		var added int
		g.signed = func(_ tree, leaves []hash) { added = len(leaves) }
		text := headText("log.example", 700, whole.root())
		sig, err := g.Sign([]byte(text))
		if err != nil {
			t.Fatalf("from %d: %v", size, err)
		}
		if !g.id.verifier.Verify([]byte(text), sig) {
			t.Errorf("from %d: signature does not verify", size)
		}
		if added != int(700-size) && size != 700 {
			t.Errorf("from %d: %d leaves reported", size, added)
		}
		a, _, err := readAnchor(g.path, g.id)
		if err != nil || a.size != 700 {
			t.Errorf("from %d: anchor %d, %v", size, a.size, err)
		}
		if _, err := g.Sign([]byte(text)); err != nil { // Tessera republishes
			t.Errorf("again: %v", err)
		}
	}
}

func TestGuardRefuses(t *testing.T) {
	const size = 300
	text := func(origin string, n uint64, root hash) func(tree) string {
		return func(tree) string { return headText(origin, n, root) }
	}
	for name, c := range map[string]struct {
		change func(*guard, *bundles)  // of the world, before a good text is signed
		text   func(whole tree) string // or the text, in a good world
		want   Code
	}{
		"smaller tree":            {text: text("log.example", size-1, hash{}), want: CodeRollback},
		"empty tree":              {text: text("log.example", 0, emptyRoot), want: CodeRollback},
		"same size, other root":   {text: text("log.example", size, hash{}), want: CodeCorrupt},
		"larger tree, other root": {text: text("log.example", 400, hash{}), want: CodeCorrupt},
		"not a checkpoint":        {text: func(tree) string { return "hello\n" }, want: CodeCorrupt},
		"other origin": {want: CodeCorrupt,
			text: func(w tree) string { return headText("other.example", 400, w.root()) }},
		"extension line": {want: CodeCorrupt,
			text: func(w tree) string { return headText("log.example", 400, w.root()) + "x\n" }},
		"new entry damaged": {want: CodeCorrupt,
			change: func(_ *guard, b *bundles) { b.leaves[350] = []byte("x") }},
		"signed entry damaged": {want: CodeCorrupt,
			change: func(_ *guard, b *bundles) { b.leaves[260] = []byte("x") }},
		"entries missing": {want: CodeCorrupt,
			change: func(_ *guard, b *bundles) { b.leaves = b.leaves[:399] }},
		"entries unreadable": {want: CodeUnavailable,
			change: func(_ *guard, b *bundles) { b.err = errors.New("input/output error") }},
		"anchor lost": {want: CodeAnchorMissing,
			change: func(g *guard, _ *bundles) { os.Remove(g.path) }},
		"anchor replaced": {want: CodeAnchorInvalid,
			change: func(g *guard, _ *bundles) { _ = writeAnchor(g.path, testAnchor(g.id, 2).marshal()) }},
		"anchor cannot be replaced": {want: CodeUnavailable,
			change: func(g *guard, _ *bundles) { os.Mkdir(g.path+".new", 0o755) }},
		"closed": {want: CodeClosed, change: func(g *guard, _ *bundles) { g.close() }},
	} {
		t.Run(name, func(t *testing.T) {
			g, b, whole := newGuard(t, 400, size)
			var reported error
			g.refused = func(err error) { reported = err }
			g.signed = func(tree, []hash) { t.Error("reported as signed") }
			text := headText("log.example", 400, whole.root())
			if c.text != nil {
				text = c.text(whole)
			}
			if c.change != nil {
				c.change(g, b)
			}
			sig, err := g.Sign([]byte(text))
			if len(sig) != 0 || CodeOf(err) != c.want || CodeOf(reported) != c.want {
				t.Errorf("got %x, %v, reported %v; want %s", sig, err, reported, c.want)
			}
		})
	}
}

// TestGuardSignsAfterAnUnwrittenAnchor lets the anchor's write fail once: the same tree, or a larger one, is signed
// later.
func TestGuardSignsAfterAnUnwrittenAnchor(t *testing.T) {
	g, _, whole := newGuard(t, 400, 300)
	os.Mkdir(g.path+".new", 0o755)
	text := []byte(headText("log.example", 400, whole.root()))
	if _, err := g.Sign(text); CodeOf(err) != CodeUnavailable {
		t.Fatal(err)
	}
	os.Remove(g.path + ".new")
	if _, err := g.Sign(text); err != nil {
		t.Error(err)
	}
}

func TestGuardTrimsItsWindow(t *testing.T) {
	g, b, _ := newGuard(t, 3000, 0)
	for size := uint64(100); size <= 3000; size += 100 {
		whole := (&tree{}).extend(b.hashes(0, size))
		if _, err := g.Sign([]byte(headText("log.example", size, whole.root()))); err != nil {
			t.Fatalf("%d: %v", size, err)
		}
		if held := g.tree.size - g.tree.start; held > 3*MinProofWindow || g.tree.start%256 != 0 {
			t.Fatalf("%d: holds %d leaves from %d", size, held, g.tree.start)
		}
	}
}
