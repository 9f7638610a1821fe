package index

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/avow-dev/avow/server/tlog/posix"
)

// The environment that turns this test binary into an index that is going to be killed.
const (
	childStage = "AVOW_INDEX_TEST_STAGE"
	childRoot  = "AVOW_INDEX_TEST_ROOT"
)

func TestMain(m *testing.M) {
	if stage := os.Getenv(childStage); stage != "" {
		if err := child(context.Background(), stage, os.Getenv(childRoot)); err != nil {
			fmt.Println("error", err)
		}
		return
	}
	m.Run()
}

// child runs an index until it reaches a stage with a root that it did not find, says so, and waits there.
func child(ctx context.Context, stage, root string) error {
	statements, err := posix.Open(ctx, logConfig(root, "statements"))
	if err != nil {
		return err
	}
	roots, err := posix.Open(ctx, logConfig(root, "roots"))
	if err != nil {
		return err
	}
	w := &world{root: root, statements: statements, roots: roots, key: &ecdsa.PrivateKey{}}
	cfg := w.config()
	cfg.SnapshotInterval = 20 * time.Millisecond
	cfg.reached = func(at string) {
		if at == stage {
			fmt.Println("reached")
			select {}
		}
	}
	if _, err := Open(ctx, cfg); err != nil {
		return err
	}
	select {}
}

// TestKilled kills an index between logging a root and answering from it, and between writing a snapshot and taking it for
// the newest; what follows is the same as if nothing had happened.
func TestKilled(t *testing.T) {
	for _, stage := range []string{"logged", "snapshot"} {
		t.Run(stage, func(t *testing.T) {
			root := t.TempDir()
			w := newWorld(t, root)
			x := w.open(w.config())
			first := declaration(t, 1)
			w.issue(first)
			await(t, x, covers(1))
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
			w.issue(withdrawal(t, first))
			closeLog(w.statements)
			closeLog(w.roots)
			before, err := os.ReadFile(filepath.Join(root, "snapshot"))
			if err != nil {
				t.Fatal(err)
			}
			kill(t, stage, root)
			if after, err := os.ReadFile(filepath.Join(root, "snapshot")); err != nil || string(after) != string(before) {
				t.Errorf("%v: the snapshot was changed before it was whole", err)
			}
			w = openWorld(t, root)
			x = w.open(w.config())
			s := await(t, x, covers(2))
			if err := check(s); err != nil {
				t.Error(err)
			}
			if s.RootsSize != 3 { // of nothing, of the statement, of the withdrawal: none twice
				t.Errorf("%d leaves in the index log, want 3", s.RootsSize)
			}
			w.issue(declaration(t, 2))
			if err := check(await(t, x, covers(3))); err != nil {
				t.Error(err)
			}
		})
	}
}

func kill(t *testing.T, stage, root string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childStage+"="+stage, childRoot+"="+root)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "reached" {
		t.Errorf("child says %q", lines.Text())
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
}
