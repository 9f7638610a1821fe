package statements_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/avow-dev/avow/server/statements"
)

// tmpfs mounts a file system of the given size, or skips.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounting a tmpfs needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestDiskFull fills the disk: writing stops with STORE_FULL, reading goes on,
// nothing acknowledged is lost, and writing resumes by itself when there is room.
func TestDiskFull(t *testing.T) {
	dir := tmpfs(t, "4m")
	c := config(t, filepath.Join(dir, "statements.db"))
	c.Logger = slog.New(slog.DiscardHandler)
	s, err := statements.Create(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, s)
	ballast := filepath.Join(dir, "ballast")
	write(t, ballast, make([]byte, 2<<20))
	by := newSigner(t)
	var acked []statements.Pending
	for round := range 3 {
		for i := 0; ; i++ {
			p := statement(by, fmt.Sprint(round, i))
			p.Envelope = rnd(20_000)
			_, _, err := s.PutPending(t.Context(), []statements.Pending{p})
			if err != nil {
				wantCode(t, err, statements.Full)
				var e *statements.Error
				if !errors.As(err, &e) || !e.Retryable || s.Health() == nil {
					t.Errorf("%+v, health %v; want a retryable error and bad health", e, s.Health())
				}
				break
			}
			acked = append(acked, p)
			if i > 1000 {
				t.Fatal("the disk does not get full")
			}
		}
		for _, p := range acked {
			if _, err := s.GetBy(t.Context(), p.StatementID, p.KeyID); err != nil {
				t.Errorf("reading with a full disk: %v", err)
			}
		}
		if err := os.Truncate(ballast, int64(2-round)<<19); err != nil {
			t.Fatal(err)
		}
		p := statement(by, fmt.Sprint("room again ", round))
		put(t, s, p)
		acked = append(acked, p)
		if err := s.Health(); err != nil {
			t.Errorf("after there was room: %v", err)
		}
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	var dir string
	if os.Geteuid() == 0 { // permissions do not stop root
		dir = tmpfs(t, "4m")
	} else {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, "statements.db")
	s, err := statements.Create(t.Context(), config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	shut(t, s)
	if os.Geteuid() == 0 {
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
	} else {
		for _, p := range []string{path, path + ".lock", dir} {
			if err := os.Chmod(p, 0o500); err != nil {
				t.Fatal(err)
			}
		}
		defer os.Chmod(dir, 0o700)
	}
	_, err = statements.Open(t.Context(), config(t, path))
	wantCode(t, err, statements.ReadOnly)
	_, err = statements.Create(t.Context(), config(t, filepath.Join(dir, "new.db")))
	wantCode(t, err, statements.ReadOnly)
}
