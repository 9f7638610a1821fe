//go:build faults && linux

package main

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	powerCuts        = 10
	powerCutsControl = 5
)

// cutPower makes the file system drop everything that was not synced, as a power cut does: EXT4_IOC_SHUTDOWN with
// EXT4_GOING_FLAGS_NOLOGFLUSH.
func cutPower(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	must(t, err)
	defer f.Close()
	how := uint32(2)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), 0x8004587D, uintptr(unsafe.Pointer(&how))); errno != 0 {
		t.Skipf("this kernel cannot cut the power of a file system: %v", errno)
	}
}

func remount(t *testing.T, device, dir string) {
	t.Helper()
	wantWithin(t, "unmount", func() error { return unix.Unmount(dir, 0) })
	must(t, unix.Mount(device, dir, "ext4", 0, "errors=remount-ro"))
}

// TestPowerCut cuts the power of the whole service under load: log, store and anchor on one disk. Acknowledgements are kept in
// this process, outside the disk.
func TestPowerCut(t *testing.T) {
	disk, device := loopExt4(t, 300)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, filepath.Join(disk, "service"))
	h := &history{world: w, byID: map[string]acknowledged{}}
	unix.Sync()
	p := w.start()
	for cut := range powerCuts {
		load := h.write(p)
		time.Sleep(200*time.Millisecond + time.Duration(random.Int64N(int64(1200*time.Millisecond))))
		h.seal()
		cutPower(t, disk)
		p.kill9()
		load.Wait()
		remount(t, device, disk)
		h.checkFiles(cut)
		p = w.start()
		h.checkService(p, cut)
		if t.Failed() {
			t.Fatalf("seed %d, cut %d", seed, cut)
		}
	}
	p.kill9()
	t.Logf("seed %d: %d power cuts, %d statements acknowledged, 0 lost", seed, powerCuts, len(h.byID))
}

// TestPowerCutControl runs the same service with fsync and fdatasync taken away by strace. It must lose something, or the test
// above would pass whatever the service does.
func TestPowerCutControl(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("needs strace, which takes fsync away from the running program")
	}
	disk, device := loopExt4(t, 300)
	w := newWorld(t, filepath.Join(disk, "service"))
	unix.Sync()
	for cut := range powerCutsControl {
		h := &history{world: w, byID: map[string]acknowledged{}}
		p := startWithoutSync(t, w)
		load := h.write(p)
		time.Sleep(1500 * time.Millisecond)
		h.seal()
		cutPower(t, disk)
		must(t, syscall.Kill(p.addresses.PID, syscall.SIGKILL))
		<-p.exited
		load.Wait()
		remount(t, device, disk)
		if len(h.byID) == 0 {
			continue
		}
		if lost := lostStatements(t, w, h); lost > 0 {
			t.Logf("without fsync, %d of %d acknowledged statements were lost at cut %d", lost, len(h.byID), cut+1)
			return
		}
	}
	t.Errorf("nothing was lost in %d power cuts without fsync: this harness cannot show a missing fsync", powerCutsControl)
}

// lostStatements counts what was acknowledged and is gone. A service that does not start any more has lost all of it.
func lostStatements(t *testing.T, w *world, h *history) int {
	t.Helper()
	p, err := w.tryStart()
	if err != nil {
		t.Logf("the service does not start: %v", err)
		return len(h.byID)
	}
	defer p.kill9()
	lost := 0
	for id := range h.byID {
		if _, err := p.issuing.GetStatement(t.Context(), getStatement(id)); err != nil {
			lost++
		}
	}
	return lost
}

// startWithoutSync starts the real binary under strace, which answers its fsync calls with success and does nothing.
func startWithoutSync(t *testing.T, w *world) *process {
	t.Helper()
	wrapper := filepath.Join(t.TempDir(), "avowd-without-sync")
	script := "#!/bin/sh\nexec strace -f -qq -o /dev/null -e trace=fsync,fdatasync -e inject=fsync,fdatasync:retval=0 " +
		avowdBinary(t) + " \"$@\"\n"
	must(t, os.WriteFile(wrapper, []byte(script), 0o755))
	c, a, err := startChild(context.Background(), wrapper, filepath.Join(w.dir, configName), filepath.Join(t.TempDir(), "ready.json"))
	must(t, err)
	p, err := newProcess(t, c, a)
	must(t, err)
	return p
}
