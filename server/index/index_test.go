package index

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
)

// check holds a set's parts against each other.
func check(s *Set) error {
	var statements, roots log.Checkpoint
	if _, err := statements.Unmarshal(s.Checkpoint); err != nil {
		return err
	}
	if _, err := roots.Unmarshal(s.RootsCheckpoint); err != nil {
		return err
	}
	r, err := vindex.ParseRoot(s.Leaf)
	switch {
	case err != nil:
		return err
	case r.Size != statements.Size || string(r.Tree[:]) != string(statements.Hash) || r.Index != s.Version.Root():
		return fmt.Errorf("root %+v under checkpoint %d, index %x", r, statements.Size, s.Version.Root())
	}
	h := rfc6962.DefaultHasher
	return proof.VerifyInclusion(h, roots.Size-1, roots.Size, h.HashLeaf(s.Leaf), s.Proof, roots.Hash)
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// TestFollows: what is issued is answered, with everything that an answer needs, while readers read on.
func TestFollows(t *testing.T) {
	w := newWorld(t, t.TempDir())
	cfg := w.config()
	cfg.Registerer = prometheus.NewRegistry()
	x := w.open(cfg)
	if s := x.Current(); s == nil || s.Root.Size != 0 || check(s) != nil {
		t.Fatalf("the empty index: %+v", s)
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				if err := check(x.Current()); err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	first := declaration(t, 1)
	var slowest time.Duration
	for i := range 5 {
		at := w.issue(declaration(t, i+1))
		published := time.Now()
		await(t, x, covers(at+1))
		slowest = max(slowest, time.Since(published))
	}
	at := w.issue(withdrawal(t, first))
	s := await(t, x, covers(at+1))
	if got := lookup(s, vindex.TargetKey(idOf(first))); !slices.Equal(got, []vindex.Entry{{LogIndex: at}}) {
		t.Errorf("about the first statement: %v", got)
	}
	t.Logf("slowest from publication to answer: %s", slowest)
	if slowest > 5*LagAim {
		t.Errorf("the index was %s behind, want %s", slowest, LagAim)
	}
	stop.Store(true)
	readers.Wait()
	if err := x.Health(); err != nil || x.Lag() != 0 {
		t.Errorf("health %v, lag %s", err, x.Lag())
	}
	families, err := cfg.Registerer.(*prometheus.Registry).Gather()
	if err != nil || len(families) != 7 {
		t.Errorf("%v: %d metrics, want 7", err, len(families))
	}
}

func TestRestart(t *testing.T) {
	w := newWorld(t, t.TempDir())
	x := w.open(w.config())
	for i := range 4 {
		w.issue(declaration(t, i))
	}
	want := await(t, x, covers(4))
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(w.root, "snapshot")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, snapshot := range map[string][]byte{"snapshot": good, "none": nil, "damaged": flipped, "cut": good[:50]} {
		if snapshot == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, snapshot, 0o600)
		}
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		x := w.open(w.config())
		if s := x.Current(); s == nil || s.Root.Index != want.Root.Index || s.RootsSize != want.RootsSize || check(s) != nil {
			t.Errorf("%s: %+v, want %+v", name, s, want)
		}
		if got := x.written != 0; got != (name == "snapshot") {
			t.Errorf("%s: taken over: %t", name, got)
		}
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReplayRefuses: an index that does not come out as it was logged is not answered from.
func TestReplayRefuses(t *testing.T) {
	w := newWorld(t, t.TempDir())
	cfg := w.config()
	cfg.SnapshotPath = ""
	x := w.open(cfg)
	w.issue(declaration(t, 1))
	await(t, x, covers(1))
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	w.set(func() { w.hidden[0] = true })
	_, err := Open(t.Context(), cfg)
	wantCode(t, err, audit.CodeStatementMissing)
	w.set(func() { w.hidden = map[uint64]bool{} })
	other := newWorld(t, t.TempDir())
	ahead := cfg
	ahead.Statements = other.statements
	_, err = Open(t.Context(), ahead)
	wantCode(t, err, CodeAhead)
	other.issue(declaration(t, 1))
	_, err = Open(t.Context(), ahead)
	wantCode(t, err, audit.CodeLogDiffers)
	r, err := vindex.ParseRoot(x.Current().Leaf)
	if err != nil {
		t.Fatal(err)
	}
	r.Keys++
	w.issue(declaration(t, 2))
	r.Size, r.Tree = 2, rootOf(w)
	if _, err := w.roots.Append(t.Context(), r.Append(nil)); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), cfg)
	wantCode(t, err, audit.CodeIndexDiffers)
}

func rootOf(w *world) vindex.Hash {
	_, _, root := w.statements.Checkpoint()
	return vindex.Hash(root)
}

// TestForeignLeaf: a second writer of the index log stops the index.
func TestForeignLeaf(t *testing.T) {
	w := newWorld(t, t.TempDir())
	cfg := w.config()
	var once sync.Once
	var armed atomic.Bool
	cfg.reached = func(stage string) {
		if stage == "logged" && armed.Load() {
			once.Do(func() {
				if _, err := w.roots.Append(t.Context(), []byte("foreign")); err != nil {
					t.Error(err)
				}
			})
		}
	}
	x := w.open(cfg)
	before := x.Current()
	armed.Store(true)
	w.issue(declaration(t, 1))
	for range 400 {
		if x.Health() != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	wantCode(t, x.Health(), CodeForeign)
	if x.Current() != before {
		t.Error("the index is answered from a root that is not the last")
	}
}

// TestLate: a missing statement is unresolved, looked for, and then late; a store that does not answer is waited for.
func TestLate(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.hidden[1] = true
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	cfg := w.config()
	cfg.Clock = func() time.Time { return time.Unix(0, now.Add(int64(10*time.Millisecond))) }
	x := w.open(cfg)
	first := declaration(t, 1)
	w.issue(first)
	w.issue(withdrawal(t, first))
	s := await(t, x, covers(2))
	if got := lookup(s, vindex.TargetKey(idOf(first))); got != nil || !slices.Equal(s.Root.Unresolved, []uint64{1}) {
		t.Errorf("before: %v, unresolved %v", got, s.Root.Unresolved)
	}
	w.set(func() { w.hidden = map[uint64]bool{} })
	s = await(t, x, func(s *Set) bool { return len(s.Root.Late) > 0 })
	if got := lookup(s, vindex.TargetKey(idOf(first))); !slices.Equal(got, []vindex.Entry{{LogIndex: 1}}) || check(s) != nil {
		t.Errorf("after: %v", got)
	}
	w.set(func() { w.broken = errors.New("the store is away") })
	w.issue(declaration(t, 2))
	for range 400 {
		if x.failed.Load() != nil {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	now.Add(int64(MaxLag))
	wantCode(t, x.Health(), CodeUnavailable)
	if x.Lag() < MaxLag {
		t.Errorf("lag %s", x.Lag())
	}
	w.set(func() { w.broken = nil })
	s = await(t, x, covers(3))
	if err := check(s); err != nil || x.Health() != nil || len(s.Root.Unresolved) != 0 {
		t.Errorf("%v, health %v, unresolved %v", err, x.Health(), s.Root.Unresolved)
	}
}

func TestConfig(t *testing.T) {
	w := newWorld(t, t.TempDir())
	for name, change := range map[string]func(*Config){
		"no log": func(c *Config) { c.Roots = nil }, "one log twice": func(c *Config) { c.Roots = c.Statements },
		"no statements": func(c *Config) { c.Statement = nil }, "negative": func(c *Config) { c.Poll = -1 },
	} {
		cfg := w.config()
		change(&cfg)
		_, err := Open(t.Context(), cfg)
		t.Log(name)
		wantCode(t, err, CodeConfig)
	}
}

// TestCheck: every root is compared, whatever a snapshot says, and nothing is written.
func TestCheck(t *testing.T) {
	w := newWorld(t, t.TempDir())
	cfg := w.config()
	x := w.open(cfg)
	at := w.issue(declaration(t, 1))
	await(t, x, covers(at+1))
	keys := x.Current().Root.Keys
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	before := w.roots.Size()
	r, err := Check(t.Context(), cfg)
	if err != nil || r.Roots != before || r.Size != at+1 || r.Keys != keys || r.Keys == 0 || r.Unresolved != 0 || w.roots.Size() != before {
		t.Errorf("%v: %+v, want %d roots of %d entries and %d keys", err, r, before, at+1, keys)
	}
	forged := *x.Current().Root
	forged.Size, forged.Index[0] = at+1, forged.Index[0]^1
	forged.Late = []uint64{0}
	if _, err := w.roots.Append(t.Context(), forged.Append(nil)); err != nil {
		t.Fatal(err)
	}
	_, err = Check(t.Context(), cfg)
	wantCode(t, err, audit.CodeLateUnknown)
	halted, err := OpenHalting(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, halted.Health(), audit.CodeLateUnknown)
	if halted.Current() != nil || w.roots.Size() != before+1 {
		t.Errorf("a halted index answers %v, or wrote: %d leaves", halted.Current(), w.roots.Size())
	}
	if err := halted.Close(); err != nil {
		t.Error(err)
	}
}
