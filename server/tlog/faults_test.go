//go:build faults && linux

package tlog_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"unsafe"

	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

// These tests break file systems of their own: loop-mounted images and tmpfs. They need root and skip without it.
//
//	go test -tags faults -run 'PowerCut|Disk|ReadOnly' ./server/tlog

const (
	powerCuts = 10
	// controlCuts is the number of cuts within which a log without fsync must lose something.
	controlCuts = 5
)

// run runs a command of the machine, or skips the test: mounting is a privilege.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Skipf("needs root, ext4 and loop devices: %s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// disk is an ext4 file system in a file, whose power can be cut.
type disk struct {
	t          *testing.T
	image, dir string
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	d := &disk{t: t, image: filepath.Join(t.TempDir(), "image"), dir: t.TempDir()}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.image, 300<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext4", "-q", "-F", d.image)
	d.mount()
	t.Cleanup(func() { _ = exec.Command("umount", d.dir).Run() })
	return d
}

func (d *disk) mount() { run(d.t, "mount", "-o", "loop", d.image, d.dir) }

// cut cuts the power: the file system stops at once, without writing its journal, and what was not synced is gone. The
// constants are EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32), and EXT4_GOING_FLAGS_NOLOGFLUSH.
func (d *disk) cut() {
	d.t.Helper()
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	how := uint32(2)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), 0x8004587D, uintptr(unsafe.Pointer(&how))); errno != 0 {
		d.t.Skipf("this kernel cannot shut down ext4: %v", errno)
	}
}

// remount unmounts what is left of the file system after a cut and mounts it again, which replays its journal.
func (d *disk) remount() {
	d.t.Helper()
	for range 100 {
		if exec.CommandContext(d.t.Context(), "umount", d.dir).Run() == nil {
			d.mount()
			return
		}
		time.Sleep(20 * time.Millisecond) // the killed process is still letting go
	}
	d.t.Fatal("file system stays busy")
}

// cutPower runs a server on a disk, cuts the power under load, and returns what is wrong with the log afterwards.
func cutPower(t *testing.T, d *disk, cfg tlog.Config, binary, run string, seen *witnessed) error {
	t.Helper()
	cmd, lines := child(t, binary, "append", filepath.Dir(cfg.Dir), run)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { seen.watch(ctx, cfg.Dir) })
	until, cut := 20+rand.IntN(200), false
	for n := 0; lines.Scan(); n++ {
		if cut {
			// An acknowledgement after the cut would be one that the disk never heard of. Those that were on their way
			// in the pipe count as well: they were given before the cut.
			if strings.HasPrefix(lines.Text(), "ack") {
				seen.ack(lines.Text())
			}
			continue
		}
		seen.ack(lines.Text())
		if n == until {
			d.cut()
			cut = true
			if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // killed
	cancel()
	watching.Wait()
	d.remount()
	l, err := posix.Open(t.Context(), cfg)
	if err != nil {
		return fmt.Errorf("%w (cause: %v)", err, errors.Unwrap(err))
	}
	defer closeLog(t, l)
	return seen.check(t.Context(), l)
}

// TestPowerCutLosesNothing cuts the power of a log under load, again and again, with the anchor on the same disk.
func TestPowerCutLosesNothing(t *testing.T) {
	d := newDisk(t)
	cfg := testConfig(d.dir)
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	seen := newWitnessed()
	for i := range powerCuts {
		if err := cutPower(t, d, cfg, os.Args[0], strconv.Itoa(i), seen); err != nil {
			t.Fatalf("cut %d: %v", i, err)
		}
	}
	t.Logf("%d power cuts, %d entries acknowledged, %d heads seen, none lost", powerCuts, len(seen.acks), len(seen.heads))
}

// TestPowerCutControl is the control: the same server, built without O_SYNC and fsync, must lose acknowledged entries
// or not open at all. If it does not, the test above proves nothing.
func TestPowerCutControl(t *testing.T) {
	d := newDisk(t)
	binary := buildWithoutSync(t)
	cfg := testConfig(d.dir)
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	seen := newWitnessed()
	for i := range controlCuts {
		if err := cutPower(t, d, cfg, binary, strconv.Itoa(i), seen); err != nil {
			t.Logf("noticed at cut %d, with %d entries acknowledged: %v", i, len(seen.acks), err)
			return
		}
	}
	t.Errorf("a log without fsync survived %d power cuts: the harness has no teeth", controlCuts)
}

// edit is a change to one line of a source file.
type edit struct{ from, to string }

// buildWithoutSync builds this test binary from sources that do not sync: a copy of Tessera's module with other file
// operations, and the anchor's file laid over by another.
func buildWithoutSync(t *testing.T) string {
	t.Helper()
	const module = "github.com/transparency-dev/tessera"
	dir := t.TempDir()
	copied := filepath.Join(dir, "tessera")
	copyTree(t, copied, goList(t, "-m", "-f", "{{.Dir}}", module))
	fileOps := filepath.Join(copied, "storage", "posix", "file_ops.go")
	if err := os.Chmod(fileOps, 0o600); err != nil {
		t.Fatal(err)
	}
	editFile(t, fileOps, fileOps, edit{"|os.O_SYNC", ""}, edit{"if err := fd.Sync(); err != nil {", "if err != nil {"})
	anchorFile := filepath.Join(goList(t, "-f", "{{.Dir}}", "."), "anchor.go")
	editFile(t, anchorFile, filepath.Join(dir, "anchor.go"), edit{"|os.O_SYNC", ""}, edit{"return dir.Sync()", "return nil"})

	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {anchorFile: filepath.Join(dir, "anchor.go")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	mod := goList(t, "-m", "-f", "{{.GoMod}}")
	replaced := append(read(t, mod), fmt.Appendf(nil, "\nreplace %s => %s\n", module, copied)...)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), replaced, 0o600); err != nil {
		t.Fatal(err)
	}
	copyFile(t, filepath.Join(dir, "go.sum"), filepath.Join(filepath.Dir(mod), "go.sum"))
	binary := filepath.Join(dir, "tlog.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "faults", "-modfile", filepath.Join(dir, "go.mod"),
		"-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

func goList(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// editFile makes the edits, each of which must match exactly once, or the control would be no control.
func editFile(t *testing.T, from, to string, edits ...edit) {
	t.Helper()
	source := string(read(t, from))
	for _, e := range edits {
		if n := strings.Count(source, e.from); n != 1 {
			t.Fatalf("%s: %q occurs %d times, want once", from, e.from, n)
		}
		source = strings.Replace(source, e.from, e.to, 1)
	}
	if err := os.WriteFile(to, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mountTmpfs mounts a small file system in memory.
func mountTmpfs(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	dir := t.TempDir()
	run(t, "mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir)
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// TestDiskFull fills the disk under a running log, several times. Appends are refused as retryable, reads go on, and
// the log resumes by itself, with every acknowledged entry and none twice.
func TestDiskFull(t *testing.T) {
	dir := mountTmpfs(t, "8m")
	cfg := testConfig(dir)
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	l := open(t, cfg)
	seen := newWitnessed()
	ballast := filepath.Join(dir, "ballast")
	next := 0
	appendOne := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		leaf := leafOf(next)
		e, err := l.Append(ctx, leaf)
		if err == nil {
			next++
			seen.ack(fmt.Sprintf("ack %d %x", e.Index, leaf))
		}
		return err
	}
	for round := range 5 {
		for range 20 {
			if err := appendOne(); err != nil {
				t.Fatalf("round %d: %v (cause: %v)", round, err, errors.Unwrap(err))
			}
		}
		full, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = full.Write(make([]byte, 4096))
		}
		full.Close()
		err = appendOne()
		if code := tlog.CodeOf(err); code != tlog.CodeDiskFull && code != tlog.CodeUnavailable {
			t.Errorf("round %d: full disk: %v (cause: %v)", round, err, errors.Unwrap(err))
		}
		t.Logf("round %d: %v", round, err)
		if _, err := l.Prove(t.Context(), 0); err != nil {
			t.Errorf("round %d: reading from a full disk: %v", round, err)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	if err := appendOne(); err != nil {
		t.Fatalf("afterwards: %v (cause: %v)", err, errors.Unwrap(err))
	}
	if err := seen.check(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := l.Health(); err != nil {
		t.Error(err)
	}
}

// TestReadOnlyRemount makes the file system read-only under a running log, as ext4 does after an I/O error.
func TestReadOnlyRemount(t *testing.T) {
	dir := mountTmpfs(t, "16m")
	cfg := testConfig(dir)
	if err := posix.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	l := open(t, cfg)
	fill(t, l, 0, 10)
	remountReadOnly(t, dir)
	_, err := l.Append(t.Context(), leafOf(10))
	wantCode(t, err, tlog.CodeUnavailable)
	wantCode(t, l.Health(), tlog.CodeUnavailable)
	if _, err := l.Prove(t.Context(), 3); err != nil {
		t.Errorf("reading: %v", err)
	}
	run(t, "mount", "-o", "remount,rw", dir)
	fill(t, l, 10, 20)
	if err := l.Health(); err != nil {
		t.Error(err)
	}
}

// remountReadOnly waits for the moment in which nothing is open for writing.
func remountReadOnly(t *testing.T, dir string) {
	t.Helper()
	for range 200 {
		if exec.CommandContext(t.Context(), "mount", "-o", "remount,ro", dir).Run() == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Skip("the file system stays busy")
}
