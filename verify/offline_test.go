package verify_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestNoNetwork runs the vectors in a network namespace of their own, in which
// not even the loopback device is up: verification needs no network.
func TestNoNetwork(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("network namespaces are Linux's")
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("no unshare(1)")
	}
	if out, err := exec.CommandContext(t.Context(), unshare, "-n", "true").CombinedOutput(); err != nil {
		t.Skipf("may not make a network namespace: %v: %s", err, out)
	}
	runVectorsUnder(t, unshare, "-n")
}

// TestNoSocket runs the vectors under strace(1): verification opens no socket,
// not even one that stays unused.
func TestNoSocket(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace(1)")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	if out, err := exec.CommandContext(t.Context(), strace, "-f", "-o", trace, "true").CombinedOutput(); err != nil {
		t.Skipf("may not trace: %v: %s", err, out)
	}
	runVectorsUnder(t, strace, "-f", "-qq", "-e", "trace=socket,socketpair,connect,exit_group", "-o", trace)
	calls := string(readFile(t, trace))
	if !strings.Contains(calls, "exit_group") {
		t.Fatal("the trace does not even hold the end of the process")
	}
	for line := range strings.Lines(calls) {
		if strings.Contains(line, "socket") || strings.Contains(line, "connect(") {
			t.Errorf("verification opened a socket: %s", line)
		}
	}
}

// runVectorsUnder runs this test binary's vectors under another command.
func runVectorsUnder(t *testing.T, command ...string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := append(command[1:], self, "-test.run=^TestVectors$", "-test.v")
	out, err := exec.CommandContext(t.Context(), command[0], args...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestVectors/accepted-key") {
		t.Errorf("%v\n%s", err, out)
	}
}
