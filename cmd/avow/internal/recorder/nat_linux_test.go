//go:build faults

package recorder

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The way out is tried between two namespaces: one is the host, with the recorder
// and nothing of this machine's rules, the other what lies beyond it.

// inNamespace runs this test again as the only one in a network namespace, and
// reports whether this is that run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("RECORDER_HOST") != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces and rules")
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "RECORDER_HOST=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if t.Logf("%s", out); err != nil {
		t.Error(err)
	}
	return false
}

// startOutside connects this namespace with one beyond it.
func startOutside(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = []string{outsideName}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	said := bufio.NewReader(out)
	hear := func(want string) {
		t.Helper()
		if line, err := said.ReadString('\n'); strings.TrimSpace(line) != want {
			t.Fatalf("heard %q, want %q: %v", line, want, err)
		}
	}
	hear("there")
	if err := commands("ip link set lo up", "ip link add up0 type veth peer name up1", fmt.Sprintf("ip link set up1 netns %d", cmd.Process.Pid),
		"ip link set up0 up", "ip addr add 203.0.113.1/24 dev up0", "ip route add default via 203.0.113.2",
		"ip -6 addr add 2001:db8:1::1/64 dev up0 nodad", "ip -6 route add default via 2001:db8:1::2"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "come")
	hear("listening")
}

func rules(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nft", "list", "ruleset").CombinedOutput()
	if err != nil {
		t.Skipf("needs nft: %v: %s", err, out)
	}
	return string(out)
}

// TestNAT: a program gets out under the host's address, by both families where the
// kernel can, and afterwards the host is as it was.
func TestNAT(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	before := rules(t)
	startOutside(t)
	rec := &recording{}
	o := options(t, rec, "bash", "-c", `for to in 203.0.113.2 2001:db8:1::2; do (exec 3<>/dev/tcp/$to/80; cat <&3) 2>/dev/null; done; nft list ruleset; true`)
	record(t, o, rec)
	if rec.Way != WayNAT || !strings.Contains(rec.out, "you are 203.0.113.1:") {
		t.Errorf("%+v: %s", rec.Result, rec.out)
	}
	none := slices.ContainsFunc(rec.Gaps, func(g Gap) bool { return g.Code == GapNoIPv6 })
	if got := strings.Contains(rec.out, "you are [2001:db8:1::1]:"); got == none {
		t.Errorf("out by IPv6: %v, and the gap is there: %v: %s", got, none, rec.out)
	}
	if strings.Contains(rec.out, tagPrefix) {
		t.Errorf("the program sees the rules of the host: %s", rec.out)
	}
	if got := rec.destinations(t); !slices.Contains(got, "tcp 203.0.113.2:80") {
		t.Errorf("the capture has %v", got)
	}
	if after := rules(t); after != before {
		t.Errorf("rules are left: %s", after)
	}
	for _, path := range []string{"ipv4/conf/up0/forwarding", "ipv6/conf/up0/force_forwarding"} {
		if v := value(sysNet + path); v == "1" {
			t.Errorf("%s is still on", path)
		}
	}
	all, err := net.Interfaces()
	if err != nil || len(all) != 2 {
		t.Errorf("interfaces are left: %v %v", all, err)
	}
}

// TestStale: rules of a run that was killed go with the next one, and its settings
// are put back; those of a run that lives stay.
func TestStale(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	rules(t)
	startOutside(t)
	begun, err := begunAt(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	live := fmt.Sprintf("%s%d_%s", tagPrefix, os.Getpid(), begun)
	reused := fmt.Sprintf("%s%d_1", tagPrefix, os.Getpid()) // the number is somebody else's now
	for table, comment := range map[string]string{live: "", reused: "ipv4/conf/up0/forwarding=0", tagPrefix + "4194305_7": "ipv4/../../kernel/panic=1 ipv4/conf/up0/forwarding=2"} {
		if err := firewall(t.Context(), "nft", fmt.Sprintf("table inet %s { comment %q; }\n", table, comment), "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(sysNet+"ipv4/conf/up0/forwarding", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	removeStale(t.Context(), "nft")
	if left := rules(t); !strings.Contains(left, live+" ") || strings.Count(left, tagPrefix) != 1 {
		t.Errorf("rules afterwards: %s", left)
	}
	if v := value(sysNet + "ipv4/conf/up0/forwarding"); v != "0" {
		t.Errorf("forwarding is %s, want 0", v)
	}
}

// TestKilled: of a run whose process was killed nothing runs on; its rules are left
// for the next one.
func TestKilled(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	rules(t)
	startOutside(t)
	dir := t.TempDir()
	held, ready := dir+"/held", dir+"/ready"
	for _, path := range []string{held, ready} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", held, ready)
	cmd.Args[0] = victimName
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
		// Nobody who waits for the victim waits for ever.
		if f, err := os.OpenFile(ready, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
			f.Close()
		}
	}()
	go func() { defer close(gone); _, _ = os.ReadFile(held) }() // ends when nobody holds the other end
	if said, err := os.ReadFile(ready); err != nil || len(said) == 0 {
		t.Fatalf("the program did not run: %q %v", said, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	<-gone
	if left := rules(t); strings.Count(left, tagPrefix) != 1 {
		t.Errorf("rules after the kill: %s", left)
	}
	rec := &recording{}
	record(t, options(t, rec, "true"), rec)
	if left := rules(t); strings.Contains(left, tagPrefix) {
		t.Errorf("rules after the next run: %s", left)
	}
	if v := value(sysNet + "ipv4/conf/up0/forwarding"); v != "0" {
		t.Errorf("forwarding is %s, want 0: the killed run had switched it on", v)
	}
}

// TestForwardPolicy: a host whose firewall drops what it forwards says so, with the
// commands that let recordings through; they do, and then nothing is said.
func TestForwardPolicy(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	rules(t)
	startOutside(t)
	const closed = "table ip filter {\n chain DOCKER-USER { }\n chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }\n}\n"
	if err := firewall(t.Context(), "nft", closed, "-f", "-"); err != nil {
		t.Fatal(err)
	}
	recordWith := func(command ...string) (*recording, []Gap, string) {
		t.Helper()
		rec, log := &recording{}, &strings.Builder{}
		o := options(t, rec, command...)
		o.Logger = slog.New(slog.NewTextHandler(log, nil))
		record(t, o, rec)
		return rec, slices.DeleteFunc(slices.Clone(rec.Gaps), func(g Gap) bool { return g.Code != GapForwardPolicy }), log.String()
	}
	_, gaps, log := recordWith("true")
	if len(gaps) != 1 || !strings.HasPrefix(gaps[0].Detail, "chain FORWARD of table ip filter drops what it does not accept") {
		t.Fatalf("gaps %v, want one that names the chain", gaps)
	}
	for _, command := range nftDroppers(closedChains(t))[0].commands() {
		if !strings.Contains(log, command) {
			t.Errorf("%q is not in what was said: %s", command, log)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	rec, gaps, log := recordWith("bash", "-c", `exec 3<>/dev/tcp/203.0.113.2/80; cat <&3`)
	if !strings.Contains(rec.out, "you are 203.0.113.1:") {
		t.Errorf("with the rules that were named there is no way out: %s", rec.out)
	}
	if len(gaps) != 0 || strings.Contains(log, "firewall") {
		t.Errorf("with the rules that were named: gaps %v, said %q", gaps, log)
	}
}

// closedChains are the chains of this namespace.
func closedChains(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "nft", "list", "chains").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
