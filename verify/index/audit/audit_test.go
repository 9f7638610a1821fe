package audit

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/deptest"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
)

func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera":    "an auditor runs no log",
		"google.golang.org/grpc":                 "an auditor is no service",
		"modernc.org/sqlite":                     "an auditor runs no database",
		"github.com/avow-dev/avow/server":        "what the operator runs is what is audited",
		"github.com/avow-dev/avow/api":           "nothing here goes over the wire",
		"github.com/avow-dev/avow/verify/policy": "policies are the buyer's",
	})
}

const origin = "log.example"

// world is a statement log in memory with the statements that can be had.
type world struct {
	tb       testing.TB
	key      *ecdsa.PrivateKey
	entries  [][]byte
	payloads map[uint64][]byte
	hidden   map[uint64]bool
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return &world{tb: tb, key: key, payloads: map[uint64][]byte{}, hidden: map[uint64]bool{}}
}

func (w *world) source() Source {
	return Source{
		Entries: func(_ context.Context, from, to uint64) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				for _, e := range w.entries[from:to] {
					if !yield(e, nil) {
						return
					}
				}
			}
		},
		Statement: func(_ context.Context, at uint64, _ []byte) ([]byte, error) {
			if w.hidden[at] {
				return nil, nil
			}
			return w.payloads[at], nil
		},
	}
}

// log appends an entry for a payload.
func (w *world) log(payload []byte) uint64 {
	digest := sha256.Sum256(dsse.PAE("application/vnd.in-toto+json", payload))
	sig, err := ecdsa.SignASN1(rand.Reader, w.key, digest[:])
	if err != nil {
		w.tb.Fatal(err)
	}
	at := uint64(len(w.entries))
	w.entries = append(w.entries, bundletest.Leaf(w.tb, digest[:], sig, &w.key.PublicKey, nil))
	w.payloads[at] = payload
	return at
}

// statement logs the i-th declaration.
func (w *world) statement(i int) uint64 {
	return w.log(bundletest.Statement(w.tb, "data-flows", "00000000-0000-4000-8000", fmt.Sprintf("%08x-0000-4000-8000", i)))
}

func (w *world) withdraw(at uint64) uint64 {
	sum := sha256.Sum256(w.payloads[at])
	return w.log(bundletest.Statement(w.tb, "withdrawal", "2ffaec0dcc4e4a186dd534c6172d72e5b00118b9c9dbdcb363b2833890f75319", hex.EncodeToString(sum[:])))
}

func all(leaves [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range leaves {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// publish makes steps: each to the size given.
func (w *world) publish(b *Builder, leaves [][]byte, to ...uint64) ([][]byte, *replay.Version) {
	var v *replay.Version
	for _, size := range to {
		if err := b.Retry(w.tb.Context(), w.source(), 100); err != nil {
			w.tb.Fatal(err)
		}
		if err := b.Follow(w.tb.Context(), w.source(), size); err != nil {
			w.tb.Fatal(err)
		}
		if !b.Changed() {
			continue
		}
		var root *index.Root
		root, v = b.Seal()
		leaves = append(leaves, root.Append(nil))
	}
	return leaves, v
}

// history is a log with what can happen in one: statements, a withdrawal, an entry of nobody's, one that comes late.
func history(tb testing.TB) (*world, [][]byte, *replay.Version) {
	w := newWorld(tb)
	first := w.statement(1)
	w.hidden[w.withdraw(first)] = true
	w.entries = append(w.entries, []byte("nobody's entry"))
	w.statement(2)
	b := NewBuilder(origin)
	leaves, _ := w.publish(b, nil, 1, 4)
	w.hidden = map[uint64]bool{}
	leaves, _ = w.publish(b, leaves, 4)
	w.withdraw(w.statement(3))
	leaves, v := w.publish(b, leaves, 5, 6)
	return w, leaves, v
}

func TestAuditAgrees(t *testing.T) {
	w, leaves, v := history(t)
	if len(leaves) != 5 {
		t.Fatalf("%d leaves, want 5", len(leaves))
	}
	b, got, err := Audit(t.Context(), origin, all(leaves), w.source())
	if err != nil {
		t.Fatal(err)
	}
	if got.Root() != v.Root() || b.Size() != 6 || len(b.Unresolved()) != 0 {
		t.Errorf("root %x of %d entries, want %x of 6", got.Root(), b.Size(), v.Root())
	}
	// A statement that can be had now makes no difference to a leaf that calls it unresolved.
	r, err := index.ParseRoot(leaves[1])
	if err != nil || !slices.Equal(r.Unresolved, []uint64{1}) {
		t.Errorf("%v: unresolved %v", err, r.Unresolved)
	}
	sum := sha256.Sum256(w.payloads[0])
	list, _ := v.Lookup(index.TargetKey("sha256:" + hex.EncodeToString(sum[:])))
	if !slices.Equal(list, []index.Entry{{LogIndex: 1}}) {
		t.Errorf("what was said about the first statement: %v", list)
	}
}

// TestAuditFinds: whatever the operator does with a leaf, the audit names it.
func TestAuditFinds(t *testing.T) {
	w, leaves, _ := history(t)
	edit := func(at int, change func(*index.Root)) [][]byte {
		cheated := slices.Clone(leaves)
		r, err := index.ParseRoot(cheated[at])
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		cheated[at] = r.Append(nil)
		return cheated
	}
	// An index that was built without a withdrawal, and says nothing of it.
	omitting := newWorld(t)
	omitting.entries, omitting.payloads, omitting.hidden = w.entries, w.payloads, map[uint64]bool{5: true}
	omitted, _ := omitting.publish(NewBuilder(origin), nil, 1, 4, 5, 6)
	last, err := index.ParseRoot(omitted[3])
	if err != nil {
		t.Fatal(err)
	}
	last.Unresolved = nil
	omitted[3] = last.Append(nil)
	for name, c := range map[string]struct {
		leaves [][]byte
		code   string
		leaf   uint64
	}{
		"another index root":      {edit(4, func(r *index.Root) { r.Index[0] ^= 1 }), CodeIndexDiffers, 4},
		"another number of keys":  {edit(0, func(r *index.Root) { r.Keys++ }), CodeIndexDiffers, 0},
		"another tree":            {edit(3, func(r *index.Root) { r.Tree[31] ^= 1 }), CodeLogDiffers, 3},
		"another log":             {edit(0, func(r *index.Root) { r.Origin = "other" }), CodeLogDiffers, 0},
		"called unresolved":       {edit(1, func(r *index.Root) { r.Unresolved = []uint64{1, 3} }), CodeIndexDiffers, 1},
		"nobody's unresolved":     {edit(1, func(r *index.Root) { r.Unresolved = []uint64{1, 2} }), CodeIndexDiffers, 1},
		"not unresolved":          {edit(1, func(r *index.Root) { r.Unresolved = nil }), CodeIndexDiffers, 1},
		"late without cause":      {edit(3, func(r *index.Root) { r.Late = []uint64{0} }), CodeLateUnknown, 3},
		"late twice":              {edit(3, func(r *index.Root) { r.Late = []uint64{1} }), CodeLateUnknown, 3},
		"a leaf left out":         {slices.Delete(slices.Clone(leaves), 2, 3), CodeIndexDiffers, 2},
		"a leaf twice":            {slices.Insert(slices.Clone(leaves), 4, leaves[3]), index.CodeRootMalformed, 4},
		"late in two leaves":      {slices.Insert(slices.Clone(leaves), 3, leaves[2]), CodeLateUnknown, 3},
		"leaves in another order": {[][]byte{leaves[1], leaves[0]}, index.CodeRootMalformed, 1},
		"two roots for a size": {slices.Insert(slices.Clone(leaves), 5, edit(4, func(r *index.Root) { r.Index[0] ^= 1 })[4]),
			index.CodeRootMalformed, 5},
		"a withdrawal left out": {omitted, CodeIndexDiffers, 3},
	} {
		_, _, err := Audit(t.Context(), origin, all(c.leaves), w.source())
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || e.Leaf != c.leaf {
			t.Errorf("%s: got %v, want %s of leaf %d", name, err, c.code, c.leaf)
		}
	}
	for _, missing := range []uint64{1, 3} {
		w.hidden = map[uint64]bool{missing: true}
		_, _, err := Audit(t.Context(), origin, all(leaves), w.source())
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeStatementMissing {
			t.Errorf("statement %d withheld: got %v", missing, err)
		}
	}
}

func TestSteps(t *testing.T) {
	// A step that has more unresolved entries than a leaf takes is split, and the audit agrees.
	w := newWorld(t)
	one := w.statement(1)
	for len(w.entries) < index.MaxRootNumbers+300 {
		w.entries = append(w.entries, w.entries[one])
	}
	b := NewBuilder(origin)
	var leaves [][]byte
	size := uint64(len(w.entries))
	for b.Size() < size {
		leaves, _ = w.publish(b, leaves, size)
	}
	if len(leaves) != 2 {
		t.Errorf("%d leaves, want 2", len(leaves))
	}
	if _, _, err := Audit(t.Context(), origin, all(leaves), w.source()); err != nil {
		t.Error(err)
	}
	// What the source cannot answer is an error, and Follow goes on where it stopped.
	broken := w.source()
	broken.Statement = func(_ context.Context, at uint64, _ []byte) ([]byte, error) {
		if at >= 300 {
			return nil, errors.New("the store does not answer")
		}
		return nil, nil
	}
	b = NewBuilder(origin)
	if err := b.Follow(t.Context(), broken, size); err == nil || b.Size() != 256 {
		t.Errorf("%v after %d entries", err, b.Size())
	}
	leaves = nil
	for b.Size() < size {
		leaves, _ = w.publish(b, leaves, size)
	}
	if _, _, err := Audit(t.Context(), origin, all(leaves), w.source()); err != nil {
		t.Error(err)
	}
}

// TestRetryGoesOn: entries that never come do not keep others from being looked for, and late ones are in ascending order.
func TestRetryGoesOn(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.hidden[w.statement(i)] = true
	}
	b := NewBuilder(origin)
	leaves, _ := w.publish(b, nil, 5)
	w.hidden = map[uint64]bool{0: true, 1: true, 2: true}
	for range 3 {
		if err := b.Retry(t.Context(), w.source(), 2); err != nil {
			t.Fatal(err)
		}
		if b.Changed() {
			r, _ := b.Seal()
			leaves = append(leaves, r.Append(nil))
		}
	}
	if len(leaves) != 3 || !slices.Equal(b.Unresolved(), []uint64{0, 1, 2}) {
		t.Errorf("%d leaves, unresolved %v", len(leaves), b.Unresolved())
	}
	if _, _, err := Audit(t.Context(), origin, all(leaves), w.source()); err != nil {
		t.Error(err)
	}
}

func TestSnapshot(t *testing.T) {
	w, leaves, _ := history(t)
	w.hidden[6] = true
	b, _, err := Audit(t.Context(), origin, all(leaves), w.source())
	if err != nil {
		t.Fatal(err)
	}
	w.statement(4)
	leaves, v := w.publish(b, leaves, 7)
	var file bytes.Buffer
	if err := b.Snapshot(5, v).Write(&file); err != nil {
		t.Fatal(err)
	}
	root := func(at uint64) (*index.Root, error) {
		if at >= uint64(len(leaves)) {
			return nil, replay.ErrSnapshot
		}
		return index.ParseRoot(leaves[at])
	}
	resumed, s, err := ReadSnapshot(bytes.NewReader(file.Bytes()), root)
	if err != nil {
		t.Fatal(err)
	}
	if s.Leaf != 5 || s.Version().Root() != v.Root() || !slices.Equal(resumed.Unresolved(), []uint64{6}) {
		t.Errorf("leaf %d, root %x, unresolved %v", s.Leaf, s.Version().Root(), resumed.Unresolved())
	}
	w.hidden = map[uint64]bool{}
	w.withdraw(w.statement(5))
	more, want := w.publish(b, nil, 9)
	got, err := resumed.ReplayAll(t.Context(), 6, all(more), w.source())
	if err != nil || got.Root() != want.Root() {
		t.Errorf("%v: root %x, want %x", err, got.Root(), want.Root())
	}
	for i := range file.Len() {
		spoilt := bytes.Clone(file.Bytes())
		spoilt[i] ^= 0x10
		if _, _, err := ReadSnapshot(bytes.NewReader(spoilt), root); !errors.Is(err, replay.ErrSnapshot) {
			t.Fatalf("byte %d: %v", i, err)
		}
		if _, _, err := ReadSnapshot(bytes.NewReader(file.Bytes()[:i]), root); !errors.Is(err, replay.ErrSnapshot) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func FuzzReadSnapshot(f *testing.F) {
	w := newWorld(f)
	w.statement(1)
	b := NewBuilder(origin)
	leaves, v := w.publish(b, nil, 1)
	var file bytes.Buffer
	if err := b.Snapshot(0, v).Write(&file); err != nil {
		f.Fatal(err)
	}
	f.Add(file.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		_, s, err := ReadSnapshot(bytes.NewReader(data), func(uint64) (*index.Root, error) { return index.ParseRoot(leaves[0]) })
		if err == nil && s.Version().Root() != v.Root() || err != nil && !errors.Is(err, replay.ErrSnapshot) {
			t.Errorf("%v", err)
		}
	})
}
