//go:build faults && linux

package egress

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/avow-dev/avow/verify/enforce"
)

// TestSquid: a real Squid with the compiled configuration connects to every declared peer and refuses every other.
func TestSquid(t *testing.T) {
	program, err := exec.LookPath("squid")
	if err != nil {
		t.Skipf("needs squid: %v", err)
	}
	n := newNamespaces(t)
	for _, port := range []int{443, 8443} {
		n.echo(t, port)
	}
	plain := peerOf("host", "plain.example.com", "tcp", 8443)
	tls := func(e obj) obj {
		e["tls"].(obj)["requirement"] = "required"
		return e
	}
	p := compiledFor(t, enforce.Options{Target: enforce.Squid}, tls(peerOf("host", "updates.example.com", "tcp", 443)),
		tls(peerOf("suffix", "uploads.example.com", "tcp", 443)), tls(peerOf("cidr", "198.51.100.0/24", "tcp", 8443)), plain)
	n.squid(t, program, string(p.Content))
	dial := dialer(n.product, 0)
	for _, c := range []struct {
		method, target string
		declared       bool
	}{
		{"CONNECT", "updates.example.com:443", true}, {"CONNECT", "a.uploads.example.com:443", true}, {"CONNECT", "b.a.uploads.example.com:443", true},
		{"CONNECT", "198.51.100.7:8443", true}, {"CONNECT", "plain.example.com:8443", true},
		{"CONNECT", "updates.example.com:8443", false}, {"CONNECT", "uploads.example.com:443", false}, {"CONNECT", "xuploads.example.com:443", false},
		{"CONNECT", "other.example.com:443", false}, {"CONNECT", "updates.example.com.evil.example:443", false},
		{"CONNECT", "198.51.100.7:443", false}, {"CONNECT", "203.0.113.7:8443", false},
		// The address of a declared name, the name of a declared address, and a name for an address.
		{"CONNECT", "192.0.2.10:443", false}, {"CONNECT", "block.example.com:8443", false},
		{"GET", "http://updates.example.com:443/", false}, {"GET", "http://other.example.com/", false},
	} {
		status, err := through(t, dial, c.method, c.target)
		if err != nil || (status == http.StatusOK) != c.declared || !c.declared && status != http.StatusForbidden {
			t.Errorf("%s %s: declared %v, answered %d %v", c.method, c.target, c.declared, status, err)
		}
	}
	if status, err := through(t, dial, "GET", "http://plain.example.com:8443/"); err != nil || status == http.StatusForbidden {
		t.Errorf("plain HTTP to a declared peer without TLS: %d %v", status, err) // the echo server speaks no HTTP: anything but a refusal
	}
}

// squid starts a Squid in the product's namespace and waits until it answers.
func (n namespaces) squid(t *testing.T, program, config string) {
	t.Helper()
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o777} { // Squid does not run as root
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	hosts := "192.0.2.10 updates.example.com uploads.example.com a.uploads.example.com b.a.uploads.example.com plain.example.com\n" +
		"192.0.2.30 other.example.com xuploads.example.com updates.example.com.evil.example\n198.51.100.7 block.example.com\n"
	files := map[string]string{"hosts": hosts, "squid.conf": config + fmt.Sprintf("hosts_file %s/hosts\npid_filename none\naccess_log none\ncache_log %s/log\n"+
		"coredump_dir %s\nvisible_hostname proxy\npinger_enable off\ncache_effective_user nobody\nshutdown_lifetime 0 seconds\nmemory_cache_shared off\n", dir, dir, dir)}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("ip", "netns", "exec", n.product, program, "-N", "-n", fmt.Sprintf("avow%d", os.Getpid()), "-f", filepath.Join(dir, "squid.conf"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := through(t, dialer(n.product, 0), "CONNECT", "other.example.com:443"); err == nil {
			return
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("squid does not answer:\n%s", log)
		case <-tick.C:
		}
	}
}

// through asks the proxy for a target and returns the status that it answers.
func through(t *testing.T, dial func(context.Context, string, string) (net.Conn, error), method, target string) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := dial(ctx, "tcp", enforce.DefaultListen().String())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	host := strings.TrimSuffix(strings.TrimPrefix(target, "http://"), "/")
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", method, target, host); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return 0, err
	}
	answer.Body.Close()
	return answer.StatusCode, nil
}
