package recorder

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// needNamespace skips where this user may make no namespace at all.
func needNamespace(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
	}
	if err := cmd.Run(); err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
}

// destinations are the ends of the connections that were tried, as proto address:port.
func (r *recording) destinations(t *testing.T) []string {
	t.Helper()
	b := r.pcap.Bytes()
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != pcapNano {
		t.Fatalf("%d bytes are no capture", len(b))
	}
	var found []string
	for b = b[24:]; len(b) >= recordHeader; {
		n := binary.LittleEndian.Uint32(b[8:])
		p := b[recordHeader : recordHeader+n]
		b = b[recordHeader+n:]
		to, proto, rest := netip.AddrFrom4([4]byte(p[16:20])), p[9], p[20:]
		if p[0]>>4 == 6 {
			to, proto, rest = netip.AddrFrom16([16]byte(p[24:40])), p[6], p[40:]
		}
		name := map[byte]string{unix.IPPROTO_TCP: "tcp ", unix.IPPROTO_UDP: "udp "}[proto]
		if name == "" {
			continue
		}
		if s := name + netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:])).String(); !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	return found
}

// TestOffline: nothing gets out, everything that is tried is there to be seen, and
// the program sees the recording resolver.
func TestOffline(t *testing.T) {
	needNamespace(t)
	rec := &recording{}
	o := options(t, rec, "bash", "-c", `
		for to in updates.acme.example/443 8.8.8.8/853 2001:4860:4860::8888/443 nowhere.example/80; do
			(exec 3<>/dev/tcp/$to) 2>/dev/null && echo "$to answered"
		done
		echo x >/dev/udp/203.0.113.9/514
		cat /etc/resolv.conf; exit 7`)
	o.Offline, o.Names = true, map[string][]netip.Addr{"updates.acme.example": {netip.MustParseAddr("192.0.2.10")}}
	record(t, o, rec)
	if rec.Way != WayOffline || rec.ExitCode != 7 || rec.Stopped || rec.Dropped != 0 {
		t.Errorf("%+v", rec.Result)
	}
	if strings.Contains(rec.out, "answered") || !strings.Contains(rec.out, "nameserver 127.0.0.53") {
		t.Errorf("the program said %q", rec.out)
	}
	got := rec.destinations(t)
	for _, want := range []string{"udp 127.0.0.53:53", "tcp 192.0.2.10:443", "tcp 8.8.8.8:853", "tcp [2001:4860:4860::8888]:443", "udp 203.0.113.9:514"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in the capture: %v", want, got)
		}
	}
	if q := rec.Queries["nowhere.example"]; q.Answered || q.Code != "NXDOMAIN" {
		t.Errorf("nowhere.example: %+v", q)
	}
	if q := rec.Queries["updates.acme.example"]; !q.Answered {
		t.Errorf("updates.acme.example: %+v", q)
	}
	if conf, err := os.ReadFile("/etc/resolv.conf"); err != nil || bytes.Contains(conf, []byte("127.0.0.53")) != hostHasIt(t) {
		t.Errorf("the host's own file: %v %s", err, conf)
	}
}

// hostHasIt: on many systems that address is the resolver's already.
func hostHasIt(t *testing.T) bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "grep", "-c", "127.0.0.53", "/etc/resolv.conf").Output()
	return err == nil && !strings.HasPrefix(string(out), "0")
}

// TestAnyName: a name that nobody has leads to an address of its own.
func TestAnyName(t *testing.T) {
	needNamespace(t)
	rec := &recording{}
	o := options(t, rec, "bash", "-c", `for to in one.example/443 two.example/443 one.example/80; do (exec 3<>/dev/tcp/$to) 2>/dev/null; done`)
	o.Offline, o.AnyName = true, true
	record(t, o, rec)
	got := rec.destinations(t)
	for _, want := range []string{"tcp 198.18.0.1:443", "tcp 198.18.0.2:443", "tcp 198.18.0.1:80"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in the capture: %v", want, got)
		}
	}
}

// TestEnd: what a program leaves running is ended with it, one that does not end is
// ended when its time is over or the caller has enough, and signals come through.
func TestEnd(t *testing.T) {
	needNamespace(t)
	t.Run("children", func(t *testing.T) {
		rec := &recording{}
		mark := filepath.Join(t.TempDir(), "held")
		if err := syscall.Mkfifo(mark, 0o600); err != nil {
			t.Fatal(err)
		}
		// The child holds the writing end of the pipe; reading ends when it is gone.
		o := options(t, rec, "bash", "-c", `setsid sleep 1000 >"`+mark+`" & exit 0`)
		o.Offline = true
		reader := make(chan error, 1)
		go func() { _, err := os.ReadFile(mark); reader <- err }()
		record(t, o, rec)
		if err := <-reader; err != nil {
			t.Error(err)
		}
	})
	t.Run("time", func(t *testing.T) {
		rec := &recording{}
		o := options(t, rec, "sleep", "1000")
		o.Offline, o.For = true, time.Millisecond
		if record(t, o, rec); !rec.Stopped || rec.ExitCode != 128+int(syscall.SIGTERM) {
			t.Errorf("%+v", rec.Result)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		rec := &recording{}
		o := options(t, rec, "bash", "-c", `trap 'echo asked; exit 5' TERM; echo ready >"$READY"; while :; do sleep 0.01; done`)
		ready := filepath.Join(t.TempDir(), "ready")
		if err := syscall.Mkfifo(ready, 0o600); err != nil {
			t.Fatal(err)
		}
		o.Offline, o.Environ = true, append(o.Environ, "READY="+ready)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_, _ = os.ReadFile(ready) // returns when the program has written
			cancel()
		}()
		result, err := Run(ctx, o)
		if err != nil || result.ExitCode != 5 || !strings.Contains(output(t, o), "asked") {
			t.Errorf("%+v %v %q", result, err, output(t, o))
		}
	})
	t.Run("signal", func(t *testing.T) {
		rec := &recording{}
		o := options(t, rec, "bash", "-c", `trap 'exit 6' USR1; kill -0 $$; echo >"$READY"; while :; do sleep 0.01; done`)
		ready := filepath.Join(t.TempDir(), "ready")
		if err := syscall.Mkfifo(ready, 0o600); err != nil {
			t.Fatal(err)
		}
		o.Offline, o.Environ = true, append(o.Environ, "READY="+ready)
		go func() {
			_, _ = os.ReadFile(ready) // returns when the program has written
			_ = syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		}()
		if record(t, o, rec); rec.ExitCode != 6 {
			t.Errorf("%+v", rec.Result)
		}
	})
}

// TestRefused: what cannot be recorded says what is wrong and what to do.
func TestRefused(t *testing.T) {
	needNamespace(t)
	run := func(change func(*Options)) error {
		o := options(t, &recording{}, "true")
		o.Offline = true
		change(&o)
		_, err := Run(t.Context(), o)
		return err
	}
	script := filepath.Join(t.TempDir(), "no-program")
	if err := os.WriteFile(script, []byte("\x7fELF, but not really"), 0o755); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"executable file not found":             run(func(o *Options) { o.Command = []string{"there-is-no-such-program"} }),
		"exec format error":                     run(func(o *Options) { o.Command = []string{script} }),
		"a run of -1s":                          run(func(o *Options) { o.For = -time.Second }),
		"want the address of another machine":   run(func(o *Options) { o.Names = map[string][]netip.Addr{"a.example": {netip.MustParseAddr("127.0.0.1")}} }),
		"are for runs without a way out":        run(func(o *Options) { o.Offline, o.AnyName = false, true }),
		"no program to run":                     run(func(o *Options) { o.Command = nil }),
		"Helper, Packets, Now and Logger are r": run(func(o *Options) { o.Now = nil }),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	var hint *HintError
	if err := run(func(o *Options) { o.Command = []string{script} }); !errors.Is(err, ErrCommand) || !errors.As(err, &hint) || hint.Hint == "" {
		t.Errorf("got %v, want %v with a hint", err, ErrCommand)
	}
}
