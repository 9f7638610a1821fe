package tlog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

// verifyCheckpoint checks a checkpoint with golang.org/x/mod's own verifier, as a witness would.
func verifyCheckpoint(t testing.TB, raw []byte, size uint64, root []byte) {
	t.Helper()
	public, _ := testKey().Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(testOrigin, public)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		t.Errorf("checkpoint: %v", err)
		return
	}
	want := fmt.Sprintf("%s\n%d\n", testOrigin, size)
	if got := n.Text; got[:len(want)] != want {
		t.Errorf("checkpoint %q, want it to begin with %q", got, want)
	}
	if root != nil && !bytes.Contains([]byte(n.Text), []byte(tlog.EncodeForTest(root))) {
		t.Errorf("checkpoint %q does not hold the root %x", n.Text, root)
	}
}

func TestAppendAroundBundleEdges(t *testing.T) {
	l := open(t, create(t))
	size := 0
	for _, next := range []int{1, 2, 3, 255, 256, 257, 511, 512, 513, 768, 1000} {
		entries := fill(t, l, size, next)
		seen := map[uint64]bool{}
		for i, e := range entries {
			verify(t, e, leafOf(size+i))
			if seen[e.Index] || e.Index < uint64(size) || e.Index >= uint64(next) {
				t.Fatalf("index %d given twice or outside [%d, %d)", e.Index, size, next)
			}
			if e.TreeSize != entries[0].TreeSize {
				t.Fatalf("entries of one call under trees of %d and %d", e.TreeSize, entries[0].TreeSize)
			}
			seen[e.Index] = true
		}
		size = next
		raw, published, root := l.Checkpoint()
		if published != uint64(size) || l.Size() != uint64(size) {
			t.Fatalf("published %d, integrated %d, want %d", published, l.Size(), size)
		}
		verifyCheckpoint(t, raw, published, root)
	}
	if err := l.Health(); err != nil {
		t.Error(err)
	}
	var last [2]uint64
	if err := l.Fsck(t.Context(), func(done, total uint64) { last = [2]uint64{done, total} }); err != nil {
		t.Error(err)
	}
	if last != [2]uint64{1000, 1000} {
		t.Errorf("progress ended at %d of %d", last[0], last[1])
	}
}

func TestIdentity(t *testing.T) {
	l := open(t, create(t))
	public, _ := testKey().Public().(ed25519.PublicKey)
	_, want, err := tilesnote.KeyHash(testOrigin, public)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(l.LogID(), want) || !l.PublicKey().Equal(public) || l.Origin() != testOrigin {
		t.Errorf("got %x, %x, %q", l.LogID(), l.PublicKey(), l.Origin())
	}
	raw, size, root := l.Checkpoint()
	verifyCheckpoint(t, raw, 0, nil)
	if size != 0 || !bytes.Equal(root, rfc6962.DefaultHasher.EmptyRoot()) {
		t.Errorf("empty log: size %d, root %x", size, root)
	}
}

func TestAppendIsIdempotent(t *testing.T) {
	l := open(t, create(t))
	leaf := leafOf(1)
	indexes := make([]uint64, 1000)
	var group sync.WaitGroup
	for i := range indexes {
		group.Go(func() {
			e, err := l.Append(t.Context(), leaf)
			if err != nil {
				t.Error(err)
				return
			}
			verify(t, e, leaf)
			indexes[i] = e.Index
		})
	}
	group.Wait()
	if slices.Max(indexes) != 0 || l.Size() != 1 {
		t.Errorf("one leaf got indexes up to %d, log has %d entries", slices.Max(indexes), l.Size())
	}
	again, err := l.AppendAll(t.Context(), [][]byte{leafOf(2), leaf, leafOf(2)})
	if err != nil {
		t.Fatal(err)
	}
	if again[0].Index != 1 || again[1].Index != 0 || again[2].Index != 1 || l.Size() != 2 {
		t.Errorf("got indexes %d, %d, %d in a log of %d", again[0].Index, again[1].Index, again[2].Index, l.Size())
	}
}

func TestAppendRefusesBadLeaves(t *testing.T) {
	l := open(t, create(t))
	for name, leaves := range map[string][][]byte{
		"none": {}, "empty": {{}}, "too large": {make([]byte, tlog.MaxLeafBytes+1)},
		"too many": slices.Repeat([][]byte{{1}}, tlog.MaxLeavesPerCall+1),
	} {
		_, err := l.AppendAll(t.Context(), leaves)
		t.Run(name, func(t *testing.T) { wantCode(t, err, tlog.CodeLeafInvalid) })
	}
	largest := bytes.Repeat([]byte{7}, tlog.MaxLeafBytes)
	e, err := l.Append(t.Context(), largest)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, e, largest)
	if l.Size() != 1 {
		t.Errorf("log has %d entries", l.Size())
	}
}

func TestAppendHonoursContext(t *testing.T) {
	l := open(t, create(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.Append(ctx, leafOf(0))
	wantCode(t, err, tlog.CodeUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a chain with context.Canceled", err)
	}
	// The outcome was unknown; asking again does not log it twice.
	e, err := l.Append(t.Context(), leafOf(0))
	if err != nil || e.Index != 0 || l.Size() != 1 {
		t.Errorf("got %d, %v in a log of %d", e.Index, err, l.Size())
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	cfg := create(t)
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, next := range []int{0, 1, 256, 300, 512, 700} {
		fill(t, l, size, next)
		closeLog(t, l)
		if l, err = posix.Open(t.Context(), cfg); err != nil {
			t.Fatalf("reopening at %d: %v (cause: %v)", next, err, errors.Unwrap(err))
		}
		if _, published, _ := l.Checkpoint(); published != uint64(next) || l.Size() != uint64(next) {
			t.Fatalf("reopened at %d: published %d, integrated %d", next, published, l.Size())
		}
		size = next
	}
	defer closeLog(t, l)
	for i := range size {
		e, err := l.Prove(t.Context(), uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := l.Entry(t.Context(), e.Index)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, e, leaf)
	}
}

func TestClosedLogRefuses(t *testing.T) {
	l, err := posix.Open(t.Context(), create(t))
	if err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	closeLog(t, l)
	_, err = l.Append(t.Context(), leafOf(0))
	wantCode(t, err, tlog.CodeClosed)
	wantCode(t, l.Health(), tlog.CodeClosed)
}

func TestCloseAnswersWhatWasAccepted(t *testing.T) {
	cfg := create(t)
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	const callers = 300
	var group sync.WaitGroup
	var mu sync.Mutex
	acked := map[uint64][]byte{}
	for i := range callers {
		group.Go(func() {
			e, err := l.Append(t.Context(), leafOf(i))
			if err != nil {
				if tlog.CodeOf(err) != tlog.CodeClosed {
					t.Error(err)
				}
				return
			}
			verify(t, e, leafOf(i))
			mu.Lock()
			defer mu.Unlock()
			acked[e.Index] = leafOf(i)
		})
		if i == callers/2 {
			group.Go(func() { closeLog(t, l) })
		}
	}
	group.Wait()
	l = open(t, cfg)
	for index, leaf := range acked {
		if got, err := l.Entry(t.Context(), index); err != nil || !bytes.Equal(got, leaf) {
			t.Errorf("entry %d: %q, %v", index, got, err)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	cfg := create(t)
	first := open(t, cfg)
	begin := time.Now()
	_, err := posix.Open(t.Context(), cfg)
	wantCode(t, err, tlog.CodeLocked)
	if want := fmt.Sprintf("process %d", processID()); !bytes.Contains([]byte(err.Error()), []byte(want)) {
		t.Errorf("%q does not name %s", err, want)
	}
	t.Logf("refused after %v", time.Since(begin))
	wantCode(t, posix.Fsck(t.Context(), cfg, nil), tlog.CodeLocked)
	wantCode(t, posix.Create(t.Context(), cfg), tlog.CodeLocked)

	// A copy of the directory has a lock of its own, but the anchor is one.
	other := cfg
	other.Dir = filepath.Join(filepath.Dir(cfg.Dir), "copy")
	copyTree(t, other.Dir, cfg.Dir)
	_, err = posix.Open(t.Context(), other)
	wantCode(t, err, tlog.CodeLocked)
	fill(t, first, 0, 3) // undisturbed
}

func TestFindAndLeaves(t *testing.T) {
	l := open(t, create(t))
	fill(t, l, 0, 600)
	seen := 0
	for leaf, err := range l.Leaves(t.Context(), 100, 600) {
		if err != nil {
			t.Fatal(err)
		}
		if leaf.Index != uint64(100+seen) {
			t.Fatalf("got index %d, want %d", leaf.Index, 100+seen)
		}
		seen++
		index, found, err := l.Find(t.Context(), leaf.Data, leaf.Index/2)
		if err != nil || !found || index != leaf.Index {
			t.Fatalf("find %d from %d: %d, %v, %v", leaf.Index, leaf.Index/2, index, found, err)
		}
	}
	if seen != 500 {
		t.Errorf("iterated over %d leaves, want 500", seen)
	}
	first, err := l.Entry(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if _, found, err := l.Find(t.Context(), first, 11); found || err != nil {
		t.Errorf("found before the beginning: %v, %v", found, err)
	}
	if _, found, err := l.Find(t.Context(), []byte("absent"), 0); found || err != nil {
		t.Errorf("found what is absent: %v, %v", found, err)
	}
	if _, found, err := l.Find(t.Context(), first, 1<<40); found || err != nil {
		t.Errorf("found beyond the log: %v, %v", found, err)
	}
	_, err = l.Entry(t.Context(), 600)
	wantCode(t, err, tlog.CodeOutOfRange)
	_, err = l.Prove(t.Context(), 600)
	wantCode(t, err, tlog.CodeOutOfRange)
}

func TestConsistencyProofsOfAllSizes(t *testing.T) {
	const last = 530
	l := open(t, create(t))
	roots := map[uint64][]byte{}
	for size := 0; size < last; size += 53 {
		fill(t, l, size, size+53)
		_, published, root := l.Checkpoint()
		roots[published] = root
	}
	for from := range roots {
		for to := range roots {
			if from > to {
				continue
			}
			path, err := l.ProveConsistency(t.Context(), from, to)
			if err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, from, to, path, roots[from], roots[to]); err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
		}
	}
	// Sizes that never were published are provable too: their trees are prefixes.
	for from := uint64(1); from <= last; from++ {
		if _, err := l.ProveConsistency(t.Context(), from, last); err != nil {
			t.Fatalf("%d to %d: %v", from, last, err)
		}
	}
	_, err := l.ProveConsistency(t.Context(), 2, 1)
	wantCode(t, err, tlog.CodeOutOfRange)
	_, err = l.ProveConsistency(t.Context(), 1, last+1)
	wantCode(t, err, tlog.CodeOutOfRange)
}

func TestProofsBeyondTheWindow(t *testing.T) {
	cfg := create(t)
	cfg.ProofWindow = tlog.MinProofWindow
	l := open(t, cfg)
	const last = 1500
	for size := 0; size < last; size += 100 {
		fill(t, l, size, size+100)
	}
	for i := range uint64(last) {
		e, err := l.Prove(t.Context(), i)
		if err != nil {
			t.Fatalf("%d: %v (cause: %v)", i, err, errors.Unwrap(err))
		}
		leaf, err := l.Entry(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		verify(t, e, leaf)
	}
}
