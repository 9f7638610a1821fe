package tlog_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	tilesnote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/transparency-dev/tessera"
	driver "github.com/transparency-dev/tessera/storage/posix"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

// filled makes a log of n entries and closes it.
func filled(t testing.TB, n int) tlog.Config {
	t.Helper()
	cfg := create(t)
	grow(t, cfg, 0, n)
	return cfg
}

// grow opens a log of from entries, appends up to to, and closes it.
func grow(t testing.TB, cfg tlog.Config, from, to int) {
	t.Helper()
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("%v (cause: %v)", err, errors.Unwrap(err))
	}
	fill(t, l, from, to)
	closeLog(t, l)
}

// refused makes sure that a log does not open, for a reason that names no file of the machine.
func refused(t *testing.T, cfg tlog.Config, code tlog.Code) {
	t.Helper()
	l, err := posix.Open(t.Context(), cfg)
	if err == nil {
		closeLog(t, l)
	}
	wantCode(t, err, code)
	if strings.Contains(err.Error(), filepath.Dir(cfg.Dir)) {
		t.Errorf("%q names a path", err)
	}
	t.Log(err)
}

// The files at the right edge of a log of 300 entries.
var edgeOf300 = []string{"tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"}

func TestFlippedBitIsRefusedAtOpen(t *testing.T) {
	cfg := filled(t, 300)
	for _, name := range append([]string{".state/treeState", "checkpoint"}, edgeOf300...) {
		path := filepath.Join(cfg.Dir, name)
		size := len(read(t, path))
		for _, offset := range []int{0, 1, size / 2, size - 20, size - 1} {
			t.Run(fmt.Sprintf("%s/%d", name, offset), func(t *testing.T) {
				flip(t, path, offset)
				defer flip(t, path, offset)
				code := tlog.CodeCorrupt
				if l, err := posix.Open(t.Context(), cfg); err == nil {
					closeLog(t, l)
				} else {
					code = tlog.CodeOf(err)
				}
				// A flipped digit of a size can look like a rollback; it is refused all the same.
				if code != tlog.CodeCorrupt && code != tlog.CodeRollback {
					t.Errorf("got %s", code)
				}
				refused(t, cfg, code)
				if err := posix.Fsck(t.Context(), cfg, nil); err == nil {
					t.Error("fsck found nothing")
				}
			})
		}
	}
	for _, offset := range []int{0, 30, 60, 110, -2} {
		flip(t, cfg.AnchorPath, offset)
		refused(t, cfg, tlog.CodeAnchorInvalid)
		flip(t, cfg.AnchorPath, offset)
	}
	grow(t, cfg, 300, 310) // undamaged again
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestFlippedBitIsNeverSigned flips a bit under a running log and appends: no checkpoint covers the damage, and the log
// stops.
func TestFlippedBitIsNeverSigned(t *testing.T) {
	for _, name := range edgeOf300 {
		t.Run(name, func(t *testing.T) {
			cfg := create(t)
			l := open(t, cfg)
			fill(t, l, 0, 300)
			before, _, _ := l.Checkpoint()
			flip(t, filepath.Join(cfg.Dir, name), 40)
			_, err := l.Append(t.Context(), leafOf(300))
			wantCode(t, err, tlog.CodeCorrupt)
			wantCode(t, l.Health(), tlog.CodeCorrupt)
			_, err = l.Append(t.Context(), leafOf(301))
			wantCode(t, err, tlog.CodeCorrupt)
			if after, _, _ := l.Checkpoint(); !bytes.Equal(before, after) {
				t.Errorf("checkpoint changed to %q", after)
			}
			if onDisk := read(t, filepath.Join(cfg.Dir, "checkpoint")); !bytes.Equal(before, onDisk) {
				t.Errorf("checkpoint on disk changed to %q", onDisk)
			}
			closeLog(t, l)
			refused(t, cfg, tlog.CodeCorrupt)
		})
	}
}

// TestRollbackUnderTheServerIsNeverSigned puts an old tree state under a running log. Tessera then writes entries at
// indexes that hold others; none of them is signed or acknowledged.
func TestRollbackUnderTheServerIsNeverSigned(t *testing.T) {
	for _, fresh := range []int{10, 100} {
		cfg := create(t)
		l := open(t, cfg)
		fill(t, l, 0, 260)
		state := filepath.Join(cfg.Dir, ".state/treeState")
		old := read(t, state)
		fill(t, l, 260, 300)
		before, _, _ := l.Checkpoint()
		if err := os.WriteFile(state, old, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := l.AppendAll(t.Context(), leavesOf(1000, 1000+fresh))
		if code := tlog.CodeOf(err); code != tlog.CodeRollback && code != tlog.CodeCorrupt {
			t.Errorf("%d fresh entries: got %v", fresh, err)
		}
		if after := read(t, filepath.Join(cfg.Dir, "checkpoint")); !bytes.Equal(before, after) {
			t.Errorf("%d fresh entries: checkpoint changed to %q", fresh, after)
		}
	}
}

func TestRestoredLogIsRefused(t *testing.T) {
	cfg := filled(t, 40)
	old := filepath.Join(t.TempDir(), "snapshot")
	copyTree(t, old, cfg.Dir)
	oldAnchor := read(t, cfg.AnchorPath)
	grow(t, cfg, 40, 300)
	now := filepath.Join(t.TempDir(), "now")
	copyTree(t, now, cfg.Dir)
	anchor := read(t, cfg.AnchorPath)
	restore := func(t *testing.T) {
		copyTree(t, cfg.Dir, now)
		if err := os.WriteFile(cfg.AnchorPath, anchor, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("whole directory", func(t *testing.T) {
		restore(t)
		copyTree(t, cfg.Dir, old)
		refused(t, cfg, tlog.CodeRollback)
	})
	t.Run("whole directory, continued without a guard", func(t *testing.T) {
		restore(t)
		copyTree(t, cfg.Dir, old)
		appendUnguarded(t, cfg, leavesOf(5000, 5400))
		refused(t, cfg, tlog.CodeRollback) // the fork has published more than the anchor knows
		copyFile(t, filepath.Join(cfg.Dir, "checkpoint"), filepath.Join(old, "checkpoint"))
		refused(t, cfg, tlog.CodeCorrupt)
	})
	t.Run("tree state", func(t *testing.T) {
		restore(t)
		copyFile(t, filepath.Join(cfg.Dir, ".state/treeState"), filepath.Join(old, ".state/treeState"))
		refused(t, cfg, tlog.CodeRollback)
	})
	t.Run("anchor lost", func(t *testing.T) {
		restore(t)
		if err := os.Remove(cfg.AnchorPath); err != nil {
			t.Fatal(err)
		}
		refused(t, cfg, tlog.CodeAnchorMissing)
		wantCode(t, posix.Create(t.Context(), cfg), tlog.CodeAnchorMissing)
	})
	t.Run("anchor's disk not mounted", func(t *testing.T) {
		restore(t)
		moved := cfg
		moved.AnchorPath = filepath.Join(t.TempDir(), "absent", "anchor")
		refused(t, moved, tlog.CodeAnchorMissing)
	})
	t.Run("anchor restored", func(t *testing.T) {
		restore(t)
		if err := os.WriteFile(cfg.AnchorPath, oldAnchor, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, cfg, tlog.CodeRollback)
	})
	t.Run("log lost", func(t *testing.T) {
		restore(t)
		if err := os.RemoveAll(cfg.Dir); err != nil {
			t.Fatal(err)
		}
		refused(t, cfg, tlog.CodeNotFound)
		wantCode(t, posix.Create(t.Context(), cfg), tlog.CodeRollback)
	})
	t.Run("checkpoint only: recovers forward", func(t *testing.T) {
		restore(t)
		copyFile(t, filepath.Join(cfg.Dir, "checkpoint"), filepath.Join(old, "checkpoint"))
		l := open(t, cfg)
		fill(t, l, 300, 301)
		if path, err := l.ProveConsistency(t.Context(), 300, 301); err != nil || len(path) == 0 {
			t.Errorf("%d hashes, %v", len(path), err)
		}
		closeLog(t, l)
	})
	t.Run("checkpoint lost: recovers forward", func(t *testing.T) {
		restore(t)
		if err := os.Remove(filepath.Join(cfg.Dir, "checkpoint")); err != nil {
			t.Fatal(err)
		}
		l := open(t, cfg)
		if _, size, _ := l.Checkpoint(); size != 300 {
			t.Errorf("published %d, want 300", size)
		}
		closeLog(t, l)
	})
	t.Run("undamaged", func(t *testing.T) {
		restore(t)
		grow(t, cfg, 300, 301)
	})
}

// appendUnguarded continues a log as Tessera does without the guard: with the real key.
func appendUnguarded(t *testing.T, cfg tlog.Config, leaves [][]byte) {
	t.Helper()
	s, err := signature.LoadSigner(cfg.Signer, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := tilesnote.NewNoteSigner(t.Context(), cfg.Origin, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	d, err := driver.New(ctx, driver.Config{Path: cfg.Dir})
	if err != nil {
		t.Fatal(err)
	}
	opts := tessera.NewAppendOptions().WithCheckpointSigner(signer).WithBatching(256, time.Millisecond).
		WithCheckpointInterval(tlog.MinCheckpointInterval)
	appender, shutdown, _, err := tessera.NewAppender(ctx, d, opts)
	if err != nil {
		t.Fatal(err)
	}
	var futures []tessera.IndexFuture
	for _, leaf := range leaves {
		futures = append(futures, appender.Add(ctx, tessera.NewEntry(leaf)))
	}
	for _, future := range futures {
		if _, err := future(); err != nil {
			t.Fatal(err)
		}
	}
	if err := shutdown(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestAnchorChangedUnderTheServer(t *testing.T) {
	cfg := create(t)
	l := open(t, cfg)
	fill(t, l, 0, 5)
	old := read(t, cfg.AnchorPath)
	fill(t, l, 5, 10)
	if err := os.WriteFile(cfg.AnchorPath, old, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := l.Append(t.Context(), leafOf(10))
	wantCode(t, err, tlog.CodeAnchorInvalid)

	cfg = create(t)
	l = open(t, cfg)
	fill(t, l, 0, 5)
	if err := os.Remove(cfg.AnchorPath); err != nil {
		t.Fatal(err)
	}
	_, err = l.Append(t.Context(), leafOf(10))
	wantCode(t, err, tlog.CodeAnchorMissing)
}

func TestAnchorOfAnotherLogOrKey(t *testing.T) {
	cfg, other := filled(t, 3), create(t)
	copyFile(t, cfg.AnchorPath, other.AnchorPath)
	refused(t, cfg, tlog.CodeRollback) // the empty log's anchor of the same origin and key
	other.Origin = "other.example"
	renamed := create(t)
	wrong := renamed
	wrong.Origin = "other.example"
	refused(t, wrong, tlog.CodeCorrupt) // the checkpoint is not this origin's
}

// TestForgedHeads puts heads into place that have the right form and signature but are not of this tree: a checkpoint that
// the log's own key signed elsewhere, and an anchor with another compact range.
func TestForgedHeads(t *testing.T) {
	cfg := filled(t, 300)
	checkpoint := filepath.Join(cfg.Dir, "checkpoint")
	good := read(t, checkpoint)
	fork := filled(t, 200)
	l := open(t, fork)
	if _, err := l.Append(t.Context(), []byte("only in the fork")); err != nil {
		t.Fatal(err)
	}
	copyFile(t, checkpoint, filepath.Join(fork.Dir, "checkpoint"))
	refused(t, cfg, tlog.CodeCorrupt)
	wantCode(t, posix.Fsck(t.Context(), cfg, nil), tlog.CodeCorrupt)

	if err := os.WriteFile(checkpoint, good, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.AnchorPath, tlog.ForgeAnchor(read(t, cfg.AnchorPath)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, cfg, tlog.CodeCorrupt)
	wantCode(t, posix.Fsck(t.Context(), cfg, nil), tlog.CodeCorrupt)
}

// TestCheckpointFromTheFutureAtOpen makes sure that opening alone is enough: no entry has to wait first.
func TestCheckpointFromTheFutureAtOpen(t *testing.T) {
	cfg := filled(t, 3)
	checkpoint := filepath.Join(cfg.Dir, "checkpoint")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(checkpoint, later, later); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
	info, err := os.Stat(checkpoint)
	if err != nil || info.ModTime().After(time.Now()) {
		t.Errorf("checkpoint's time is %v, %v", info.ModTime(), err)
	}
}

// TestClockWentBack puts the checkpoint's time into the future, as a clock that went back by an hour does: before
// opening, and under a running log. The test ends by its deadline, not after an hour, if publication stops.
func TestClockWentBack(t *testing.T) {
	for _, paced := range []bool{false, true} {
		cfg := filled(t, 3)
		cfg.PaceCheckpoints = paced
		ahead := func() {
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(filepath.Join(cfg.Dir, "checkpoint"), later, later); err != nil {
				t.Fatal(err)
			}
		}
		ahead()
		l := open(t, cfg)
		fill(t, l, 3, 6)
		ahead()
		fill(t, l, 6, 9)
		if err := l.Health(); err != nil {
			t.Error(err)
		}
		closeLog(t, l)
	}
}

// fakeClock is a clock that only moves when told to.
type fakeClock struct{ seconds atomic.Int64 }

func (c *fakeClock) now() time.Time { return time.Unix(1_800_000_000+c.seconds.Load(), 0) }

// TestLatePublication makes the anchor unwritable, so that entries are integrated but cannot be signed: callers are
// answered, health turns red, and when the anchor can be written again everything is published, and nothing is logged
// twice.
func TestLatePublication(t *testing.T) {
	clock := &fakeClock{}
	cfg := create(t)
	cfg.Clock = clock.now
	l := open(t, cfg)
	fill(t, l, 0, 2)
	obstacle := cfg.AnchorPath + ".new"
	if err := os.Mkdir(obstacle, 0o755); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error)
	go func() {
		_, err := l.Append(t.Context(), leafOf(2))
		answered <- err
	}()
	for l.Size() < 3 {
		time.Sleep(time.Millisecond)
	}
	if err := l.Health(); err != nil {
		t.Errorf("unhealthy at once: %v", err)
	}
	clock.seconds.Add(int64(tlog.MaxLag/time.Second) + 1)
	wantCode(t, l.Health(), tlog.CodeUnavailable)
	wantCode(t, <-answered, tlog.CodeUnavailable)
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	// Until the publication that has become possible, callers are told to come again, as a client would.
	e, err := l.Append(t.Context(), leafOf(2))
	for tlog.CodeOf(err) == tlog.CodeUnavailable && t.Context().Err() == nil {
		e, err = l.Append(t.Context(), leafOf(2))
	}
	if err != nil {
		t.Fatal(err)
	}
	verify(t, e, leafOf(2))
	if e.Index != 2 || l.Size() != 3 {
		t.Errorf("index %d in a log of %d, want 2 in 3", e.Index, l.Size())
	}
	if err := l.Health(); err != nil {
		t.Errorf("still unhealthy: %v", err)
	}
}

func TestCreateIsExplicit(t *testing.T) {
	cfg := testConfig(t.TempDir())
	refused(t, cfg, tlog.CodeNotFound)
	if entries, err := os.ReadDir(filepath.Dir(cfg.Dir)); err != nil || len(entries) != 0 {
		t.Errorf("opening left %v, %v", entries, err)
	}
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	wantCode(t, posix.Create(t.Context(), cfg), tlog.CodeExists)
	grow(t, cfg, 0, 2)
	wantCode(t, posix.Create(t.Context(), cfg), tlog.CodeExists)
}

// TestInterruptedCreateIsCompleted removes what a crash would not have written yet, step by step backwards.
func TestInterruptedCreateIsCompleted(t *testing.T) {
	cfg := create(t)
	for _, lost := range []string{"checkpoint", ".state"} {
		if err := os.RemoveAll(filepath.Join(cfg.Dir, lost)); err != nil {
			t.Fatal(err)
		}
		if lost == ".state" {
			os.Remove(filepath.Join(cfg.Dir, "checkpoint"))
			refused(t, cfg, tlog.CodeNotFound)
		}
		if err := posix.Create(t.Context(), cfg); err != nil {
			t.Fatalf("without %s: %v (cause: %v)", lost, err, errors.Unwrap(err))
		}
	}
	grow(t, cfg, 0, 2)
}

// TestFsckFindsOldDamage flips bits far from the right edge, which neither opening nor the guard reads.
func TestFsckFindsOldDamage(t *testing.T) {
	cfg := filled(t, 700)
	for _, name := range []string{"tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"} {
		path := filepath.Join(cfg.Dir, name)
		for _, offset := range []int{0, 1, 100, -1} {
			flip(t, path, offset)
			l := open(t, cfg)
			wantCode(t, l.Fsck(t.Context(), nil), tlog.CodeCorrupt)
			closeLog(t, l)
			wantCode(t, posix.Fsck(t.Context(), cfg, nil), tlog.CodeCorrupt)
			flip(t, path, offset)
		}
	}
	if err := posix.Fsck(t.Context(), cfg, nil); err != nil {
		t.Error(err)
	}
}

// TestOldDamageIsNotServed makes sure that an answer from damaged files is an error and never a wrong proof or entry.
func TestOldDamageIsNotServed(t *testing.T) {
	cfg := filled(t, 700)
	flip(t, filepath.Join(cfg.Dir, "tile/0/000"), 32*7)
	l := open(t, cfg)
	_, err := l.Prove(t.Context(), 7)
	wantCode(t, err, tlog.CodeCorrupt)
	_, err = l.Prove(t.Context(), 6)
	wantCode(t, err, tlog.CodeCorrupt)
	_, err = l.Entry(t.Context(), 7)
	wantCode(t, err, tlog.CodeCorrupt)
	_, err = l.ProveConsistency(t.Context(), 7, 700)
	wantCode(t, err, tlog.CodeCorrupt)
	flip(t, filepath.Join(cfg.Dir, "tile/0/000"), 32*7)
	if _, err := l.Prove(t.Context(), 7); err != nil {
		t.Errorf("after repair: %v", err)
	}
}
