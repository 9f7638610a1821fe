//go:build faults && linux

package egress

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/avow-dev/avow/verify/enforce"
)

// productUID is a user that owns nothing and runs nothing else.
const productUID = 54321

// patience bounds one attempt, and wait the waiting for a change to show.
const (
	patience = 10 * time.Second
	wait     = 30 * time.Second
)

// namespaces are two network namespaces with a cable between them: the product's, and the world with many addresses.
type namespaces struct{ product, world string }

// The addresses of the world. The declared host has .10 and ::10 first, then .20 and ::20.
var worldAddresses = []string{"192.0.2.10", "192.0.2.20", "192.0.2.30", "192.0.2.53", "192.0.2.54", "198.51.100.7", "203.0.113.7",
	"2001:db8::10", "2001:db8::20", "2001:db8::30", "2001:db8::53", "2001:db8:1::7", "2001:db8:2::7"}

func newNamespaces(t *testing.T) namespaces {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	for _, program := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: %v", program, err)
		}
	}
	n := namespaces{fmt.Sprintf("avow-product-%d", os.Getpid()), fmt.Sprintf("avow-world-%d", os.Getpid())}
	for _, name := range []string{n.product, n.world} {
		if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
			t.Skipf("network namespaces cannot be made here: %v: %s", err, out)
		}
		t.Cleanup(func() { command(t, "ip", "netns", "del", name) })
	}
	if out, err := exec.Command("ip", "netns", "exec", n.product, "nft", "add", "table", "inet", "probe").CombinedOutput(); err != nil {
		t.Skipf("the kernel has no nftables for a namespace: %v: %s", err, out)
	}
	command(t, "ip", "netns", "exec", n.product, "nft", "delete", "table", "inet", "probe")
	command(t, "ip", "link", "add", "cable", "netns", n.product, "type", "veth", "peer", "name", "cable", "netns", n.world)
	for _, name := range []string{n.product, n.world} {
		command(t, "ip", "-n", name, "link", "set", "lo", "up")
		command(t, "ip", "-n", name, "link", "set", "cable", "up")
	}
	for _, a := range append([]string{"192.0.2.1", "2001:db8::1"}, worldAddresses...) {
		name := n.world
		if strings.HasSuffix(a, ".1") || a == "2001:db8::1" {
			name = n.product
		}
		bits := "/24"
		if strings.Contains(a, ":") {
			bits = "/64"
		}
		args := []string{"-n", name, "addr", "add", a + bits, "dev", "cable"}
		if bits == "/64" {
			args = append(args, "nodad")
		}
		command(t, "ip", args...)
	}
	command(t, "ip", "-n", n.product, "route", "add", "default", "via", "192.0.2.53")
	command(t, "ip", "-n", n.product, "-6", "route", "add", "default", "via", "2001:db8::53")
	return n
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
}

// within runs f on a thread of its own in a network namespace and as a user for the sockets that it opens. The thread ends with it.
func within(namespace string, uid int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the runtime ends the thread
		ns, err := os.Open(filepath.Join("/var/run/netns", namespace))
		if err == nil {
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
			ns.Close()
		}
		if err == nil && uid != 0 {
			unix.RawSyscall(unix.SYS_SETFSUID, uintptr(uid), 0, 0) // its result is the old id
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// dialer dials from a namespace as a user.
func dialer(namespace string, uid int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = within(namespace, uid, func() error {
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
}

// passes reports whether a message goes to an echo server and comes back.
func passes(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := dial(ctx, network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != "ping" {
		return fmt.Errorf("answered %q", answer)
	}
	return nil
}

// echo serves TCP and UDP on a port of every address of the world.
func (n namespaces) echo(t *testing.T, port int) {
	t.Helper()
	var streams net.Listener
	var packets net.PacketConn
	err := within(n.world, 0, func() (err error) {
		if streams, err = net.Listen("tcp", fmt.Sprintf("[::]:%d", port)); err != nil {
			return err
		}
		// Answers must come from the address that was asked, which one socket for all addresses does not see to.
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	t.Cleanup(func() { streams.Close(); done.Wait() })
	done.Go(func() {
		for {
			conn, err := streams.Accept()
			if err != nil {
				return
			}
			done.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(wait))
				io.Copy(conn, conn)
			})
		}
	})
	for _, a := range worldAddresses {
		err := within(n.world, 0, func() (err error) {
			packets, err = net.ListenPacket("udp", net.JoinHostPort(a, fmt.Sprint(port)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		socket := packets
		t.Cleanup(func() { socket.Close() })
		done.Go(func() {
			buffer := make([]byte, 64)
			for {
				k, from, err := socket.ReadFrom(buffer)
				if err != nil {
					return
				}
				socket.WriteTo(buffer[:k], from)
			}
		})
	}
}

// resolver serves DNS on an address of the world.
func (n namespaces) resolver(t *testing.T, z *zone, address string) {
	t.Helper()
	var packets net.PacketConn
	var streams net.Listener
	if err := within(n.world, 0, func() (err error) {
		if packets, err = net.ListenPacket("udp", address); err != nil {
			return err
		}
		streams, err = net.Listen("tcp", address)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	z.serve(t, packets, streams)
}

// attempt is one connection and whether the statement declares it.
type attempt struct {
	network, address string
	declared         bool
}

// attempts are connections of each sort; host is the last part of the addresses that the declared host has now.
func attempts(host, gone string) []attempt {
	list := []attempt{
		{"tcp", "198.51.100.7:8443", true}, {"tcp", "[2001:db8:1::7]:8443", true}, // in the declared blocks
		{"tcp", "198.51.100.7:443", false}, {"tcp", "[2001:db8:1::7]:443", false}, // at another port
		{"tcp", "203.0.113.7:8443", false}, {"tcp", "[2001:db8:2::7]:8443", false}, // in other blocks
		{"udp", "198.51.100.7:8443", false}, {"udp", "[2001:db8:1::7]:8443", false}, // over another protocol
	}
	for _, prefix := range []string{"192.0.2.", "[2001:db8::"} {
		end := ""
		if prefix[0] == '[' {
			end = "]"
		}
		list = append(list,
			attempt{"tcp", prefix + host + end + ":443", true}, attempt{"udp", prefix + host + end + ":123", true},
			attempt{"tcp", prefix + host + end + ":8443", false}, attempt{"udp", prefix + host + end + ":443", false},
			attempt{"tcp", prefix + host + end + ":123", false},
			attempt{"tcp", prefix + gone + end + ":443", false}, attempt{"udp", prefix + gone + end + ":123", false},
			attempt{"tcp", prefix + "30" + end + ":443", false}, attempt{"udp", prefix + "30" + end + ":123", false})
	}
	return list
}

// TestNamespace: in a real network namespace the compiled ruleset passes every declared connection and stops every other, over
// IPv4 and IPv6, before and after the declared host has other addresses; for the whole namespace and for one user.
func TestNamespace(t *testing.T) {
	uid := uint32(productUID)
	for name, c := range map[string]struct {
		scope enforce.Scope
		uid   int
	}{"namespace": {enforce.Scope{Namespace: true}, 0}, "user": {enforce.Scope{UID: &uid}, productUID}} {
		t.Run(name, func(t *testing.T) { testNamespace(t, c.scope, c.uid) })
	}
}

func testNamespace(t *testing.T, scope enforce.Scope, uid int) {
	n := newNamespaces(t)
	for _, port := range []int{443, 8443, 123} {
		n.echo(t, port)
	}
	z := &zone{ttl: 1, hosts: map[string][]netip.Addr{"updates.example.com": addrs("192.0.2.10", "2001:db8::10")}}
	n.resolver(t, z, "192.0.2.53:53")
	n.resolver(t, z, "192.0.2.54:53")
	dial := dialer(n.product, uid)
	for _, a := range attempts("10", "20") {
		if err := passes(t.Context(), dial, a.network, a.address); err != nil {
			t.Fatalf("without a ruleset %s %s does not pass: the test would say nothing: %v", a.network, a.address, err)
		}
	}
	p := compiled(t, scope, peerOf("host", "updates.example.com", "tcp", 443), peerOf("host", "updates.example.com", "udp", 123),
		peerOf("cidr", "198.51.100.0/24", "tcp", 8443), peerOf("cidr", "2001:db8:1::/48", "tcp", 8443))
	stop := n.follow(t, p, dial)
	defer stop()

	// Until the ruleset is there everything passes.
	n.eventually(t, dial, attempt{"tcp", "192.0.2.30:443", false})
	n.eventually(t, dial, attempt{"tcp", "192.0.2.10:443", true})
	n.judge(t, dial, "10", "20")
	z.change(func() { z.hosts["updates.example.com"] = addrs("192.0.2.20", "2001:db8::20") })
	for _, a := range []attempt{{"tcp", "192.0.2.20:443", true}, {"tcp", "[2001:db8::20]:443", true}, {"tcp", "192.0.2.10:443", false}, {"tcp", "[2001:db8::10]:443", false}} {
		n.eventually(t, dial, a)
	}
	n.judge(t, dial, "20", "10")

	// Names are resolved by the given resolver and by no other.
	if _, err := (&Resolver{Server: netip.MustParseAddrPort("192.0.2.53:53"), Dial: dial}).lookup(t.Context(), "updates.example.com"); err != nil {
		t.Errorf("the resolver cannot be asked: %v", err)
	}
	if found, err := (&Resolver{Server: netip.MustParseAddrPort("192.0.2.54:53"), Dial: dial}).lookup(t.Context(), "updates.example.com"); err == nil {
		t.Errorf("another resolver answers %v", found)
	}
	if uid != 0 {
		if err := passes(t.Context(), dialer(n.product, 0), "tcp", "192.0.2.30:443"); err != nil {
			t.Errorf("another user is stopped: %v", err)
		}
	}
	// Without the Follower the addresses run out, and the blocks stay.
	stop()
	n.eventually(t, dial, attempt{"tcp", "192.0.2.20:443", false})
	if err := passes(t.Context(), dial, "tcp", "198.51.100.7:8443"); err != nil {
		t.Errorf("a declared block is stopped: %v", err)
	}
}

// follow runs a Follower in the product's namespace until stop is called.
func (n namespaces) follow(t *testing.T, p *enforce.Policy, dial func(context.Context, string, string) (net.Conn, error)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	began := time.Now()
	f := &Follower{Policy: p, Resolver: &Resolver{Server: netip.MustParseAddrPort("192.0.2.53:53"), Dial: dial},
		Apply: NFT("ip", "netns", "exec", n.product, "nft"), Now: func() time.Time { return start.Add(time.Since(began)) },
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(d):
				return nil
			}
		},
		Log: slog.New(slog.NewTextHandler(&log, nil)), Interval: time.Second, Grace: time.Second}
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	var once sync.Once
	return func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("%v\n%s", err, log.String())
			}
		})
	}
}

// judge tries every sort of connection once.
func (n namespaces) judge(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), host, gone string) {
	t.Helper()
	for _, a := range attempts(host, gone) {
		err := passes(t.Context(), dial, a.network, a.address)
		if (err == nil) != a.declared {
			t.Errorf("%s %s: declared %v, and the attempt ended with %v", a.network, a.address, a.declared, err)
		}
		if !a.declared && errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s %s: was left to time out instead of being refused", a.network, a.address)
		}
	}
}

// eventually waits until a connection passes, or is stopped.
func (n namespaces) eventually(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), a attempt) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := passes(ctx, dial, a.network, a.address)
		if (err == nil) == a.declared {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s %s: want it to pass: %v; the last attempt ended with %v", a.network, a.address, a.declared, err)
		case <-tick.C:
		}
	}
}
