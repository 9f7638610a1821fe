package tlog_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/transparency-dev/formats/log"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

func processID() int { return os.Getpid() }

// The environment that turns this test binary into a server that is going to be killed.
const (
	childMode = "AVOW_TLOG_TEST_CHILD" // what the child does
	childRoot = "AVOW_TLOG_TEST_ROOT"  // where its log is
	childRun  = "AVOW_TLOG_TEST_RUN"   // makes its leaves differ from those of its predecessors
)

func TestMain(m *testing.M) {
	children := map[string]func(ctx context.Context, root string, out io.Writer) error{
		"append": childAppends, "descriptors": childWithoutDescriptors,
	}
	if child, ok := children[os.Getenv(childMode)]; ok {
		if err := child(context.Background(), os.Getenv(childRoot), os.Stdout); err != nil {
			fmt.Printf("error %v (cause: %v)\n", err, errors.Unwrap(err))
		}
		return
	}
	m.Run()
}

// childAppends appends from several callers for as long as it lives, and prints each acknowledgement as one line, which
// is one write: "ack INDEX LEAF".
func childAppends(ctx context.Context, root string, out io.Writer) error {
	cfg := testConfig(root)
	cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	l, err := posix.Open(ctx, cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "open")
	var group sync.WaitGroup
	for caller := range 8 {
		group.Go(func() {
			for i := 0; ; i++ {
				leaf := fmt.Appendf(nil, "run %s, caller %d, leaf %d %s", os.Getenv(childRun), caller, i, strings.Repeat("x", 300))
				e, err := l.Append(ctx, leaf)
				if err != nil {
					fmt.Fprintf(out, "error %v\n", err)
					return
				}
				fmt.Fprintf(out, "ack %d %x\n", e.Index, leaf)
			}
		})
	}
	group.Wait()
	return nil
}

// witnessed is what the outside world saw of a log: acknowledged entries and published heads.
type witnessed struct {
	mu    sync.Mutex
	acks  map[uint64][]byte
	heads map[uint64]string // size to root
	fault error
}

func newWitnessed() *witnessed {
	return &witnessed{acks: map[uint64][]byte{}, heads: map[uint64]string{}}
}

// ack notes a line of a child.
func (w *witnessed) ack(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "ack" {
		if line != "open" {
			w.fault = fmt.Errorf("child says %q", line)
		}
		return
	}
	index, err := strconv.ParseUint(fields[1], 10, 64)
	leaf, hexErr := hex.DecodeString(fields[2])
	if err != nil || hexErr != nil {
		return // the last line of a killed child may be cut
	}
	if old, ok := w.acks[index]; ok && !bytes.Equal(old, leaf) {
		w.fault = fmt.Errorf("index %d acknowledged for two leaves", index)
	}
	w.acks[index] = leaf
}

// watch notes every published head until the context ends.
func (w *witnessed) watch(ctx context.Context, dir string) {
	for ctx.Err() == nil {
		raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
		var cp log.Checkpoint
		if err == nil {
			_, err = cp.Unmarshal(raw)
		}
		if err == nil {
			w.mu.Lock()
			if root, ok := w.heads[cp.Size]; ok && root != string(cp.Hash) {
				w.fault = fmt.Errorf("two roots published for size %d", cp.Size)
			}
			w.heads[cp.Size] = string(cp.Hash)
			w.mu.Unlock()
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// publishedAgain waits for the checkpoint of everything that is integrated. An entry is acknowledged as soon as its checkpoint
// can be read; if the power goes before the checkpoint's directory is synced, the entry, the tree and the anchor are on disk, and
// the log publishes that tree again after it is opened.
func publishedAgain(ctx context.Context, l *tlog.Log) (uint64, error) {
	for range 1000 {
		if _, size, _ := l.Checkpoint(); size == l.Size() {
			return size, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	_, size, _ := l.Checkpoint()
	return 0, fmt.Errorf("%d entries are published of %d", size, l.Size())
}

// check compares a log with everything that was seen of it: each acknowledged entry at its index, each published head a
// prefix, no entry twice, and every file in order.
func (w *witnessed) check(ctx context.Context, l *tlog.Log) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault != nil {
		return w.fault
	}
	size, err := publishedAgain(ctx, l)
	if err != nil {
		return err
	}
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	twice := map[string]uint64{}
	found := 0
	for leaf, err := range l.Leaves(ctx, 0, size) {
		if err != nil {
			return err
		}
		if want, ok := w.acks[leaf.Index]; ok {
			found++
			if !bytes.Equal(want, leaf.Data) {
				return fmt.Errorf("entry %d is not the one acknowledged", leaf.Index)
			}
		}
		if first, ok := twice[string(leaf.Data)]; ok {
			return fmt.Errorf("entries %d and %d are equal", first, leaf.Index)
		}
		twice[string(leaf.Data)] = leaf.Index
		if err := r.Append(rfc6962.DefaultHasher.HashLeaf(leaf.Data), nil); err != nil {
			return err
		}
		root, err := r.GetRootHash(nil)
		if err != nil {
			return err
		}
		if seen, ok := w.heads[r.End()]; ok && seen != string(root) {
			return fmt.Errorf("the published root of %d entries is not theirs: a fork", r.End())
		}
	}
	if found != len(w.acks) {
		return fmt.Errorf("%d of %d acknowledged entries are in the log of %d: lost", found, len(w.acks), size)
	}
	for seen := range w.heads {
		if seen > size {
			return fmt.Errorf("a tree of %d was published, the log has %d", seen, size)
		}
	}
	return l.Fsck(ctx, nil)
}

// child starts a child of this test binary, or of another build of it.
func child(t testing.TB, binary, mode, root, run string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), childMode+"="+mode, childRoot+"="+root, childRun+"="+run)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	return cmd, lines
}

// killRounds is the number of kills of the default test; more need only time.
const killRounds = 6

// TestKilledServerLosesNothing kills a server under load with SIGKILL, several times over one log.
func TestKilledServerLosesNothing(t *testing.T) {
	cfg := create(t)
	seen := newWitnessed()
	for round := range killRounds {
		cmd, lines := child(t, os.Args[0], "append", filepath.Dir(cfg.Dir), strconv.Itoa(round))
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { seen.watch(ctx, cfg.Dir) })
		// After a number of acknowledgements, not a time: a slow machine must get that far too.
		until := 20 + rand.IntN(150)
		for n := 0; lines.Scan(); n++ {
			seen.ack(lines.Text())
			if n == until {
				if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed
		cancel()
		watching.Wait()
		l, err := posix.Open(t.Context(), cfg)
		if err != nil {
			t.Fatalf("round %d: %v (cause: %v)", round, err, errors.Unwrap(err))
		}
		if err := seen.check(t.Context(), l); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		closeLog(t, l)
	}
	t.Logf("%d kills, %d entries acknowledged, %d heads seen, none lost", killRounds, len(seen.acks), len(seen.heads))
	if len(seen.acks) < killRounds*20 {
		t.Errorf("only %d acknowledgements: this test tested nothing", len(seen.acks))
	}
}

// TestCheckerNoticesLoss makes sure that the checker of the crash tests checks.
func TestCheckerNoticesLoss(t *testing.T) {
	l := open(t, create(t))
	fill(t, l, 0, 10)
	leaf, err := l.Entry(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	good := newWitnessed()
	good.ack(fmt.Sprintf("ack 3 %x", leaf))
	if err := good.check(t.Context(), l); err != nil {
		t.Error(err)
	}
	for name, w := range map[string]*witnessed{
		"other entry": {acks: map[uint64][]byte{3: []byte("x")}},
		"lost entry":  {acks: map[uint64][]byte{10: leaf}},
		"fork":        {heads: map[uint64]string{5: "x"}},
		"lost head":   {heads: map[uint64]string{11: "x"}},
	} {
		if err := w.check(t.Context(), l); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
	two := newWitnessed()
	two.ack("ack 1 00")
	two.ack("ack 1 01")
	if err := two.check(t.Context(), l); err == nil {
		t.Error("index acknowledged twice: not noticed")
	}
}

// childWithoutDescriptors uses up all file descriptors of its process, appends, gives them back and appends again.
func childWithoutDescriptors(ctx context.Context, root string, out io.Writer) error {
	l, err := posix.Open(ctx, testConfig(root))
	if err != nil {
		return err
	}
	if _, err := l.Append(ctx, leafOf(0)); err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: 256, Max: 256}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	var hoard []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		hoard = append(hoard, f)
	}
	_, err = l.Append(ctx, leafOf(1))
	fmt.Fprintf(out, "without %v\n", err)
	fmt.Fprintf(out, "health %v\n", l.Health())
	for _, f := range hoard {
		f.Close()
	}
	e, err := l.Append(ctx, leafOf(1))
	fmt.Fprintf(out, "with %d %v\n", e.Index, err)
	fmt.Fprintf(out, "health %v\n", l.Health())
	return l.Close(ctx)
}

func TestWithoutDescriptors(t *testing.T) {
	cfg := create(t)
	cmd, lines := child(t, os.Args[0], "descriptors", filepath.Dir(cfg.Dir), "0")
	var got []string
	for lines.Scan() {
		got = append(got, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
	want := []string{"without LOG_UNAVAILABLE: writing to the log: no file descriptors left",
		"health LOG_UNAVAILABLE: writing to the log: no file descriptors left", "with 1 <nil>", "health <nil>"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}
