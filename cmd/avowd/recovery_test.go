package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestSecondServer: one directory has one server. The second says why it does not start, and the first goes on.
func TestSecondServer(t *testing.T) {
	w := newWorld(t, t.TempDir())
	first := w.start()
	_, err := w.tryStart()
	if err == nil || !strings.Contains(err.Error(), "LOG_LOCKED") {
		t.Fatalf("second server: got %v, want LOG_LOCKED", err)
	}
	r, err := w.issue(t.Context(), first, w.envelope())
	must(t, err)
	w.mustVerify(r.GetBundle())
}

// TestTerminateUnderLoad: every accepted call is answered, new ones are refused with a code that tells clients to retry, and
// what was acknowledged is there afterwards.
func TestTerminateUnderLoad(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	var answered atomic.Int64
	var mu sync.Mutex
	var refusals []error
	bundles := map[string][]byte{}
	var wg sync.WaitGroup
	for range crashWriters {
		wg.Go(func() {
			for {
				r, err := w.issue(t.Context(), p, w.envelope())
				mu.Lock()
				if err != nil {
					refusals = append(refusals, err)
					mu.Unlock()
					return
				}
				bundles[r.GetStatementId()] = r.GetBundle()
				mu.Unlock()
				answered.Add(1)
			}
		})
	}
	for answered.Load() < 2*crashWriters {
		time.Sleep(5 * time.Millisecond)
	}
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	if <-p.exited; p.err != nil {
		t.Errorf("exit after SIGTERM: %v: %s", p.err, p.stderr)
	}
	wg.Wait()
	for _, err := range refusals {
		if code := status.Code(err); code != codes.Unavailable {
			t.Errorf("a call was refused with %s (%v), want Unavailable", code, err)
		}
	}
	must(t, fsck(t.Context(), w.config, &strings.Builder{}))
	p = w.start()
	for id, bundle := range bundles {
		w.mustVerify(bundle)
		if _, err := p.issuing.GetStatement(t.Context(), getStatement(id)); err != nil {
			t.Errorf("%s was acknowledged and is lost: %v", id, err)
		}
	}
}

// TestRestoredDirectory: a log that was put back to an older state is not served: it would sign a fork.
func TestRestoredDirectory(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	issueSome(t, w, p, 3)
	p.stop()
	snapshot := filepath.Join(t.TempDir(), "log")
	must(t, os.CopyFS(snapshot, os.DirFS(w.config.path(w.config.Log.Dir))))
	p = w.start()
	issueSome(t, w, p, 3)
	p.stop()
	must(t, os.RemoveAll(w.config.path(w.config.Log.Dir)))
	must(t, os.CopyFS(w.config.path(w.config.Log.Dir), os.DirFS(snapshot)))
	_, err := w.tryStart()
	if err == nil || !strings.Contains(err.Error(), "LOG_ROLLBACK") {
		t.Fatalf("restored directory: got %v, want LOG_ROLLBACK", err)
	}
}

// TestLostAnchor: a log without the memory of what was signed is not served.
func TestLostAnchor(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	issueSome(t, w, p, 1)
	p.stop()
	must(t, os.Remove(w.config.path(w.config.Log.Anchor)))
	_, err := w.tryStart()
	if err == nil || !strings.Contains(err.Error(), "ANCHOR_MISSING") {
		t.Fatalf("lost anchor: got %v, want ANCHOR_MISSING", err)
	}
}

// TestFlippedBit: one bit in a right-edge tile or in the entries below it is found before anything is signed over it.
func TestFlippedBit(t *testing.T) {
	for _, kind := range []string{"tile/0", "tile/entries"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, t.TempDir())
			p := w.start()
			issueSome(t, w, p, 5)
			p.stop()
			flipBit(t, rightEdge(t, filepath.Join(w.config.path(w.config.Log.Dir), filepath.FromSlash(kind))))
			_, err := w.tryStart()
			if err == nil || !strings.Contains(err.Error(), "LOG_CORRUPT") {
				t.Errorf("serve: got %v, want LOG_CORRUPT", err)
			}
			err = fsck(t.Context(), w.config, &strings.Builder{})
			if err == nil || !strings.Contains(err.Error(), "LOG_CORRUPT") {
				t.Errorf("fsck: got %v, want LOG_CORRUPT", err)
			}
		})
	}
}

func issueSome(t *testing.T, w *world, p *process, n int) {
	t.Helper()
	for range n {
		_, err := w.issue(t.Context(), p, w.envelope())
		must(t, err)
	}
}

// rightEdge is the newest file below dir.
func rightEdge(t *testing.T, dir string) string {
	t.Helper()
	var newest string
	var at time.Time
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && !info.ModTime().Before(at) {
			newest, at = path, info.ModTime()
		}
		return err
	}))
	if newest == "" {
		t.Fatal(errors.New("no file below " + dir))
	}
	return newest
}

func flipBit(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	data[len(data)-1] ^= 1
	must(t, os.WriteFile(path, data, 0o644))
}

// TestRestoredStore: a store that was put back to an older state is served, because its statements are true; fsck says what it
// misses, and by which index.
func TestRestoredStore(t *testing.T) {
	w := newWorld(t, t.TempDir())
	p := w.start()
	issueSome(t, w, p, 2)
	p.stop()
	store := w.config.path(w.config.Statements.Path)
	old, err := os.ReadFile(store)
	must(t, err)
	p = w.start()
	lost := w.envelope()
	before, err := w.issue(t.Context(), p, lost)
	must(t, err)
	standing := func() error {
		_, err := avowv1.NewStandingServiceClient(p.conn).GetStanding(t.Context(), &avowv1.GetStandingRequest{
			Subject: &avowv1.GetStandingRequest_StatementId{StatementId: before.GetStatementId()}})
		return err
	}
	must(t, standing()) // and so the index has it
	p.stop()
	must(t, os.WriteFile(store, old, 0o600))
	// Without its snapshot the index is built from the statements that there are.
	for _, gone := range []string{store + "-wal", store + "-shm", w.config.path(w.config.Index.Snapshot)} {
		if err := os.Remove(gone); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	err = fsck(t.Context(), w.config, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "1 entries of the log have no statement") || hintOf(err) == "" {
		t.Errorf("fsck: got %v (hint %q)", err, hintOf(err))
	}
	p = w.start()
	if reason, _ := refusalOf(standing()); reason != "INDEX_HALTED" {
		t.Errorf("the index lacks a statement, and answers: %s", reason)
	}
	after, err := w.issue(t.Context(), p, lost)
	must(t, err)
	w.mustVerify(before.GetBundle())
	w.mustVerify(after.GetBundle())
	// The one case in which a statement is in the log twice: what remembered it is gone. docs/operating.md says so.
	if after.GetAlreadyIssued() || after.GetLogIndex() <= before.GetLogIndex() {
		t.Errorf("sent again after the loss: index %d, already issued %v; before it was %d", after.GetLogIndex(), after.GetAlreadyIssued(), before.GetLogIndex())
	}
}
