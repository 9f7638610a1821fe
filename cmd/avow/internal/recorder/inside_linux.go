package recorder

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Inside is the helper: what the executable does when it was started with the
// arguments of [Options.Helper], in the namespaces. caller is the file number
// [HelperFile]. It returns the exit code of the process.
func Inside(caller *os.File) int {
	c := channel{caller}
	defer c.close()
	unix.CloseOnExec(int(caller.Fd()))
	// Signals for the program come from the caller; those of the terminal reach it
	// anyway. Caught and not ignored: what is ignored here would be ignored there.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGHUP)
	if err := inside(c); err != nil {
		_ = c.send(report{Error: err.Error()}) // a caller that is gone does not need it
		return helperFailed
	}
	return 0
}

func inside(c channel) error {
	var o order
	if _, err := c.receive(&o); err != nil || o.Setup == nil {
		return fmt.Errorf("no setup: %w", err)
	}
	s := o.Setup
	notes, err := mounts(s.Conf)
	if err != nil {
		return err
	}
	local, err := configure(s)
	if err != nil {
		return err
	}
	if err := passSockets(c, local, notes); err != nil {
		return err
	}
	if _, err := c.receive(&o); err != nil || !o.Start {
		return err // the caller has changed its mind
	}
	sockets := func() []Socket { return nil }
	if s.Programs {
		w, err := watch()
		if err != nil {
			return err
		}
		sockets = w.end
	}
	pid, err := start(s)
	if err != nil {
		return err
	}
	if err := c.send(report{Started: true}); err != nil {
		return err
	}
	go func() {
		code := reap(pid)
		for part := range slices.Chunk(sockets(), socketsPerReport) {
			_ = c.send(report{Sockets: part}) // a caller that is gone does not need it
		}
		_ = c.send(report{Ended: true, ExitCode: code})
	}()
	for {
		var o order
		// A caller that is gone is an end as well: nothing of a run outlives it.
		if _, err := c.receive(&o); err != nil || o.End {
			return nil
		}
		if o.Signal > 0 {
			_ = syscall.Kill(pid, syscall.Signal(o.Signal)) // it may just have ended
		}
	}
}

// mounts covers what would lead around the recording resolver. Nothing of it is
// seen outside of this mount namespace.
func mounts(conf []byte) (notes []string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("mount namespace: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		notes = append(notes, "/proc shows the processes outside: "+err.Error())
	}
	if err := coverConf(conf); err != nil {
		return nil, err
	}
	// Sockets of resolvers that the C library asks before, or instead of, the name server.
	for _, path := range []string{"/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve"} {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := unix.Mount("/dev/null", path, "", unix.MS_BIND, ""); err != nil {
			notes = append(notes, path+" is not covered, names that are asked for there are not seen: "+err.Error())
		}
	}
	return notes, nil
}

// coverConf puts conf over /etc/resolv.conf.
func coverConf(conf []byte) error {
	target, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("/etc/resolv.conf: %w", err)
	}
	f, err := os.CreateTemp("", "avow-resolv-*.conf")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // the mount keeps it
	defer f.Close()
	if _, err := f.Write(conf); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o644), unix.Mount(f.Name(), target, "", unix.MS_BIND, "")); err != nil {
		return fmt.Errorf("covering %s: %w", target, err)
	}
	return nil
}

// configure brings the interfaces up and returns the program's addresses.
func configure(s *setup) ([]string, error) {
	n, err := openNetlink()
	if err != nil {
		return nil, err
	}
	defer n.close()
	if err := n.up(loopback); err != nil {
		return nil, err
	}
	local := []string{"127.0.0.1", "::1"}
	switch s.Way {
	case WayOffline:
		return append(local, s.Addresses...), offline(n, s.Addresses)
	case WayNAT:
		return append(local, s.Addresses...), online(n, s)
	}
	more, err := waitForAddress()
	return append(local, more...), err
}

// offline makes every address of the world one of the namespace's own: where
// nothing listens the kernel refuses, at once, and the packets are there to be
// seen.
func offline(n *netlink, addresses []string) error {
	for _, a := range addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return err
		}
		if addr.Is6() && !hasIPv6() {
			continue
		}
		err = errors.Join(n.address(loopback, netip.PrefixFrom(addr, addr.BitLen())),
			n.route(route{to: everywhere(addr), source: addr, index: loopback, local: true}))
		if err != nil {
			return err
		}
	}
	return nil
}

// everywhere is the block of all addresses of a's family.
func everywhere(a netip.Addr) netip.Prefix {
	if a.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func hasIPv6() bool {
	_, err := os.Stat("/proc/net/if_inet6")
	return err == nil
}

// online gives the interface that the caller made its addresses and routes.
func online(n *netlink, s *setup) error {
	i, err := net.InterfaceByName(s.Interface)
	if err != nil {
		return err
	}
	if err := errors.Join(noLinkLocal(s.Interface), n.up(i.Index)); err != nil {
		return err
	}
	for k, a := range s.Addresses {
		addr, err1 := netip.ParseAddr(a)
		via, err2 := netip.ParseAddr(s.Gateways[k])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		err := errors.Join(n.address(i.Index, netip.PrefixFrom(addr, addr.BitLen())),
			n.route(route{to: everywhere(addr), via: via, source: addr, index: i.Index, onLink: true}))
		if err != nil {
			return err
		}
	}
	return nil
}

// waitForAddress waits until the program that carries packets has made an
// interface with a route.
func waitForAddress() ([]string, error) {
	const limit, step = 10 * time.Second, 20 * time.Millisecond
	for waited := time.Duration(0); waited < limit; waited += step {
		if local, err := globalAddresses(); err != nil || len(local) > 0 && hasDefaultRoute() {
			return local, err
		}
		time.Sleep(step)
	}
	return nil, fmt.Errorf("no interface with an address and a route after %s", limit)
}

func hasDefaultRoute() bool {
	data, err := os.ReadFile("/proc/net/route")
	return err == nil && len(defaultRoutes(data, nil)) > 0
}

func globalAddresses() ([]string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() {
			found = append(found, p.Addr().WithZone("").String())
		}
	}
	return found, nil
}

// passSockets opens the capture and the resolver's sockets and gives them to
// the caller.
func passSockets(c channel, local, notes []string) error {
	packets, err := openCapture()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(packets) }() // the caller has its own by then
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(Resolver))
	if err != nil {
		return err
	}
	defer func() { _ = udp.Close() }()
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(Resolver))
	if err != nil {
		return err
	}
	defer func() { _ = tcp.Close() }()
	u, err := udp.File()
	if err != nil {
		return err
	}
	defer u.Close()
	t, err := tcp.File()
	if err != nil {
		return err
	}
	defer t.Close()
	return c.send(report{Ready: true, Local: local, Notes: notes}, packets, int(u.Fd()), int(t.Fd()))
}

// start starts the program without what the helper may do beyond its user.
func start(s *setup) (int, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A new process has the ambient capabilities of the thread that made it.
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
		return 0, fmt.Errorf("capabilities: %w", err)
	}
	attr := &syscall.ProcAttr{Dir: s.Dir, Env: s.Environ, Files: []uintptr{0, 1, 2}}
	pid, err := syscall.ForkExec(s.Path, s.Command, attr) //nolint:gosec // to run what the user says is what this is for
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.Path, err)
	}
	return pid, nil
}

// reap waits for the program, and for every orphan that falls to the first
// process of the namespace meanwhile. It returns the program's exit code.
func reap(program int) int {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return helperFailed
		case pid == program && status.Signaled():
			return 128 + int(status.Signal())
		case pid == program:
			return status.ExitStatus()
		}
	}
}

// defaultRoutes returns the names of the interfaces with a default route, from
// /proc/net/route and /proc/net/ipv6_route.
func defaultRoutes(v4, v6 []byte) []string {
	const zero4, zero6 = "00000000", "00000000000000000000000000000000"
	var found []string
	for line := range bytes.Lines(v4) {
		if f := strings.Fields(string(line)); len(f) > 7 && f[1] == zero4 && f[7] == zero4 {
			found = append(found, f[0])
		}
	}
	for line := range bytes.Lines(v6) {
		if f := strings.Fields(string(line)); len(f) == 10 && f[0] == zero6 && f[1] == "00" && f[9] != "lo" {
			found = append(found, f[9])
		}
	}
	return found
}
