//go:build faults

package recorder

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asUser runs a test of this binary again as a user without rights.
func asUser(t *testing.T, name string, environ ...string) {
	t.Helper()
	const nobody = 65534
	dir, err := os.MkdirTemp("", "recorder-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "recorder.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^"+name+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "TMPDIR="+dir, "RECORDER_USER=1"), environ...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	switch {
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+name):
		t.Errorf("%v: %s", err, out)
	}
}

// TestOfflineAsUser: a user without rights records in a user namespace.
func TestOfflineAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	asUser(t, "TestOffline")
}

// TestProgramsAsUser: so does whose the sockets are.
func TestProgramsAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: becomes another user")
	}
	asUser(t, "TestPrograms")
}

// TestUserWay: a user without rights gets out by a carrier, and is told what is
// missing where it cannot be.
func TestUserWay(t *testing.T) {
	if os.Getenv("RECORDER_USER") != "" {
		userWay(t)
		return
	}
	if !inNamespace(t) {
		return
	}
	if _, err := exec.LookPath(string(WayPasta)); err != nil {
		t.Skip("needs pasta")
	}
	startOutside(t)
	// The device of this machine may be for root alone: here it is for everybody.
	device := filepath.Join(t.TempDir(), "tun")
	const tunNumber = 10<<8 | 200
	if err := unix.Mknod(device, unix.S_IFCHR|0o666, tunNumber); err != nil {
		t.Skipf("a device cannot be made here: %v", err)
	}
	for _, err := range []error{os.Chmod(device, 0o666), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(device, tunDevice, "", unix.MS_BIND, "")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	asUser(t, "TestUserWay")
	if _, err := exec.LookPath(string(WaySlirp)); err == nil {
		asUser(t, "TestUserWay", "PATH="+withoutPasta(t))
	}
	if err := os.Chmod(device, 0o600); err != nil {
		t.Fatal(err)
	}
	asUser(t, "TestUserWay", "RECORDER_NO_DEVICE=1")
}

// withoutPasta is a path on which slirp4netns is the only carrier.
func withoutPasta(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "recorder-path-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{string(WaySlirp), "bash", "cat", "grep"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func userWay(t *testing.T) {
	rec := &recording{}
	o := options(t, rec, "bash", "-c", `exec 3<>/dev/tcp/203.0.113.2/80; cat <&3; grep CapEff /proc/self/status`)
	if os.Getenv("RECORDER_NO_DEVICE") != "" {
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), "pasta needs /dev/net/tun: permission denied") {
			t.Errorf("got %v, want that the device is missing", err)
		}
		return
	}
	record(t, o, rec)
	want := WayPasta
	if _, err := exec.LookPath(string(WayPasta)); err != nil {
		want = WaySlirp
	}
	if rec.Way != want || !strings.Contains(rec.out, "you are 203.0.113.1:") {
		t.Errorf("%+v: %s", rec.Result, rec.out)
	}
	if !strings.Contains(rec.out, "CapEff:\t0000000000000000") {
		t.Errorf("the program has rights that its user does not have: %s", rec.out)
	}
}
