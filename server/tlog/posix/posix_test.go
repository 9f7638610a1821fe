package posix

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/tlog"
)

func TestLockIsExclusiveAndNamesItsHolder(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	first, err := lock(a)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock(b, a)
	if want := fmt.Sprintf("process %d", os.Getpid()); tlog.CodeOf(err) != tlog.CodeLocked || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want one that names %s", err, want)
	}
	second, err := lock(b) // given back by the attempt that got only one of its two
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(first.release(), second.release()); err != nil {
			t.Error(err)
		}
	}
	again, err := lock(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

func TestLockOfAnUnfinishedHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	first, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.release() }()
	for _, text := range []string{"", "x\n", strings.Repeat("9", 100)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := lock(path); tlog.CodeOf(err) != tlog.CodeLocked || !strings.Contains(err.Error(), "another process") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// TestLockIsGivenBackDespiteADuplicate: a child between fork and exec shares the locked file.
func TestLockIsGivenBackDespiteADuplicate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	duplicate, err := syscall.Dup(int(first.files[0].Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(duplicate)
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	again, err := lock(path)
	if err != nil {
		t.Fatalf("got %v, want the lock", err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
}

// FuzzTreeState asserts that a tree state that parses has the size and root that a rewrite of it has.
func FuzzTreeState(f *testing.F) {
	f.Add([]byte(`{"size":300,"root":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}`))
	f.Add([]byte(`{"size":-1,"root":"!"}`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, stateDir), 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, stateDir, treeStateFile)
		if _, _, err := directory(dir).treeState(t.Context()); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("absent: %v", err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		size, root, err := directory(dir).treeState(t.Context())
		if err != nil {
			if tlog.CodeOf(err) != tlog.CodeCorrupt || strings.Contains(err.Error(), dir) {
				t.Errorf("%q: %v", data, err)
			}
			return
		}
		again, err := json.Marshal(map[string]any{"size": size, "root": root})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, again, 0o644); err != nil {
			t.Fatal(err)
		}
		size2, root2, err := directory(dir).treeState(t.Context())
		if err != nil || size2 != size || !bytes.Equal(root2, root) {
			t.Errorf("%q: %d, %x; rewritten: %d, %x, %v", data, size, root, size2, root2, err)
		}
	})
}

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	d := directory(dir)
	if err := d.writable(); err == nil {
		t.Error("a directory without a log is writable")
	}
	l, err := lock(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.release() }()
	if err := d.writable(); err != nil {
		t.Error(err)
	}
	if _, err := lock(filepath.Join(dir, lockFile)); tlog.CodeOf(err) != tlog.CodeLocked {
		t.Errorf("asking dropped the lock: %v", err)
	}
}

func TestBackdate(t *testing.T) {
	dir := t.TempDir()
	d := directory(dir)
	if err := d.backdate(time.Hour); err != nil {
		t.Errorf("without a checkpoint: %v", err)
	}
	path := filepath.Join(dir, "checkpoint")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.backdate(time.Hour); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := before.ModTime().Sub(after.ModTime()); got != time.Hour {
		t.Errorf("moved by %v, want an hour", got)
	}
}

func TestMakeDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b", "c")
	for range 2 {
		if err := makeDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Errorf("%v, %v", info, err)
	}
}

// recorder keeps what is logged.
type recorder struct {
	mu      sync.Mutex
	records []slog.Record
}

func (r *recorder) Enabled(context.Context, slog.Level) bool { return true }

func (r *recorder) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
	return nil
}

func (r *recorder) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r *recorder) WithGroup(string) slog.Handler      { return r }

func TestLimitedHandler(t *testing.T) {
	r := &recorder{}
	var h slog.Handler = &limited{Handler: r, state: &limit{}}
	h = h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g")
	begin := time.Unix(1_800_000_000, 0)
	for i := range 1000 {
		if err := h.Handle(t.Context(), slog.NewRecord(begin.Add(time.Duration(i)*time.Millisecond), slog.LevelInfo, "x", 0)); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.records) != maxLines {
		t.Errorf("%d of 1000 lines in a second, want %d", len(r.records), maxLines)
	}
	// The next period, and a clock that went back, begin anew and say what is missing.
	for _, at := range []time.Time{begin.Add(limitPeriod), begin.Add(-time.Hour)} {
		if err := h.Handle(t.Context(), slog.NewRecord(at, slog.LevelInfo, "x", 0)); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.records) != maxLines+2 {
		t.Fatalf("%d lines, want %d", len(r.records), maxLines+2)
	}
	if err := h.Handle(t.Context(), slog.NewRecord(begin, slog.LevelWarn, "publishCheckpoint: newCP: "+unwitnessed+"\nmore", 0)); err != nil {
		t.Fatal(err)
	}
	if len(r.records) != maxLines+2 {
		t.Error("a line per interval while witnesses are away")
	}
	dropped := int64(0)
	r.records[maxLines].Attrs(func(a slog.Attr) bool { dropped = a.Value.Int64(); return true })
	if dropped != 1000-maxLines {
		t.Errorf("says that %d were dropped, want %d", dropped, 1000-maxLines)
	}
}
