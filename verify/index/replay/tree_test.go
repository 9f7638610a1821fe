package replay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify/index"
)

func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"github.com/avow-dev/avow/verify/index":     "what a root, a key and a proof are",
		"github.com/avow-dev/avow/attest/predicate": "what a statement concerns",
		"golang.org/x": "what package predicate needs",
	})
}

// naive is the index without a tree: the definition that the tree is held against.
type naive map[index.Key][]index.Entry

// root follows the definition: split the keys at the first bit in which they differ.
func (n naive) root() index.Hash {
	var keys []index.Key
	for k := range n {
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return index.EmptyRoot()
	}
	return n.below(keys)
}

func (n naive) below(keys []index.Key) index.Hash {
	if len(keys) == 1 {
		return index.LeafHash(keys[0], index.ListValue(n[keys[0]]))
	}
	bit := index.KeyBits
	for _, k := range keys[1:] {
		bit = min(bit, keys[0].Diverges(k))
	}
	var sides [2][]index.Key
	for _, k := range keys {
		sides[k.Bit(bit)] = append(sides[k.Bit(bit)], k)
	}
	return index.InnerHash(bit, keys[0].Prefix(bit), n.below(sides[0]), n.below(sides[1]))
}

// drawKey draws keys that often share long prefixes, as those of an attacker would.
func drawKey(t *rapid.T, label string) index.Key {
	var k index.Key
	if rapid.Bool().Draw(t, label+" close") {
		k[rapid.SampledFrom([]int{0, 1, 15, 31}).Draw(t, label+" byte")] = rapid.SampledFrom([]byte{0, 1, 2, 128, 255}).Draw(t, label+" value")
		return k
	}
	return index.SubjectKey("sha256", fmt.Sprint(rapid.IntRange(0, 40).Draw(t, label)))
}

// TestTreeEqualsDefinition: after any history, each version has the root that the definition gives, and answers every key
// that there is and many that there are not; versions from before answer as they did.
func TestTreeEqualsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type published struct {
			v *Version
			n naive
		}
		tree, now := &Tree{}, naive{}
		var all []published
		for range rapid.IntRange(0, 8).Draw(t, "versions") {
			for range rapid.IntRange(0, 30).Draw(t, "entries") {
				k := drawKey(t, "key")
				e := index.Entry{LogIndex: uint64(len(now[k])), Kind: index.Kind(rapid.IntRange(0, 1).Draw(t, "kind"))}
				tree.Add(k, e)
				now[k] = append(now[k], e)
			}
			copied := naive{}
			for k, l := range now {
				copied[k] = slices.Clone(l)
			}
			all = append(all, published{tree.Publish(), copied})
		}
		absent := []index.Key{drawKey(t, "absent"), drawKey(t, "absent"), {}}
		for _, p := range all {
			if p.v.Root() != p.n.root() || p.v.Keys() != len(p.n) {
				t.Fatalf("root %x of %d keys, want %x of %d", p.v.Root(), p.v.Keys(), p.n.root(), len(p.n))
			}
			for k := range p.n {
				checkLookup(t, p.v, p.n, k)
			}
			for _, k := range absent {
				checkLookup(t, p.v, p.n, k)
			}
		}
	})
}

type tester interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkLookup checks the answer and its proof, also after it went over the wire, and that it shows nothing else.
func checkLookup(t tester, v *Version, n naive, k index.Key) {
	t.Helper()
	entries, proof := v.Lookup(k)
	if !slices.Equal(entries, n[k]) {
		t.Fatalf("key %s: got %v, want %v", k, entries, n[k])
	}
	sent, err := index.ParseProof(proof.Append(nil))
	if err != nil {
		t.Fatalf("key %s: %v", k, err)
	}
	value, present := sent.Presence(v.Root(), k)
	absent := sent.Absence(v.Root(), k)
	if len(n[k]) == 0 {
		present, absent = absent, present
	}
	if present != nil {
		t.Fatalf("key %s: the proof does not verify: %v", k, present)
	}
	var e *index.Error
	if !errors.As(absent, &e) || e.Code != index.CodeNotShown {
		t.Fatalf("key %s: the proof shows the opposite too: %v", k, absent)
	}
	if len(n[k]) > 0 && value != index.ListValue(n[k]) {
		t.Fatalf("key %s: value %v", k, value)
	}
}

func TestSnapshot(t *testing.T) {
	tree := &Tree{}
	for i := range 500 {
		tree.Add(index.SubjectKey("sha256", fmt.Sprint(i%60)), index.Entry{LogIndex: uint64(i), Kind: index.Kind(i % 2)})
	}
	v := tree.Publish()
	var b bytes.Buffer
	if err := v.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	again, w, err := ReadSnapshot(bytes.NewReader(data), v.Root())
	if err != nil {
		t.Fatal(err)
	}
	again.Add(index.TargetKey("x"), index.Entry{LogIndex: 500})
	tree.Add(index.TargetKey("x"), index.Entry{LogIndex: 500})
	if w.Root() != v.Root() || again.Publish().Root() != tree.Publish().Root() {
		t.Error("a tree from a snapshot goes on differently")
	}
	empty := (&Tree{}).Publish()
	b.Reset()
	if err := empty.WriteSnapshot(&b); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadSnapshot(&b, empty.Root()); err != nil {
		t.Errorf("the snapshot of an empty tree: %v", err)
	}
	for name, bad := range map[string][]byte{
		"nothing": nil, "cut": data[:len(data)-1], "longer": append(slices.Clone(data), 0), "other magic": append([]byte("x"), data[1:]...),
		"a bit": flipped(data, len(data)-3), "many keys": withKeys(data, 1<<62),
	} {
		if _, _, err := ReadSnapshot(bytes.NewReader(bad), v.Root()); !errors.Is(err, ErrSnapshot) {
			t.Errorf("%s: got %v, want ErrSnapshot", name, err)
		}
	}
	if err := v.WriteSnapshot(fullDisk{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a full disk: got %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func flipped(data []byte, at int) []byte {
	b := slices.Clone(data)
	b[at] ^= 1
	return b
}

func withKeys(data []byte, n uint64) []byte {
	b := slices.Clone(data)
	binary.BigEndian.PutUint64(b[len(snapshotMagic):], n)
	return b
}

func FuzzReadSnapshot(f *testing.F) {
	tree := &Tree{}
	tree.Add(index.TargetKey("a"), index.Entry{LogIndex: 1})
	tree.Add(index.TargetKey("b"), index.Entry{LogIndex: 2})
	v := tree.Publish()
	var b bytes.Buffer
	if err := v.WriteSnapshot(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, w, err := ReadSnapshot(bytes.NewReader(data), v.Root()); err == nil && w.Root() != v.Root() {
			t.Error("another tree was taken for the one that was asked for")
		}
	})
}
