package recorder

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// TestPrograms: what a program has open is known to be its own, and only where it
// was asked for. The shell ends while a child of it holds the socket, so that it is
// there when the helper looks for the last time.
func TestPrograms(t *testing.T) {
	needNamespace(t)
	dir := t.TempDir()
	ready, never := filepath.Join(dir, "ready"), filepath.Join(dir, "never")
	for _, path := range []string{ready, never} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, asked := range []bool{true, false} {
		rec := &recording{}
		o := options(t, rec, "bash", "-c", `
			( for to in 203.0.113.9 2001:db8::9; do exec {fd}<>/dev/udp/$to/514; echo x >&$fd; done; echo up >"$0"; read -r _ <"$1" ) &
			read -r up <"$0"; exit 0`, ready, never)
		o.Offline, o.Programs = true, asked
		record(t, o, rec)
		var want []Socket
		if asked {
			want = []Socket{{Transport: "udp", Remote: netip.MustParseAddrPort("203.0.113.9:514"), Program: "bash", Count: 1},
				{Transport: "udp", Remote: netip.MustParseAddrPort("[2001:db8::9]:514"), Program: "bash", Count: 1}}
		}
		slices.SortFunc(rec.Sockets, func(a, b Socket) int { return a.Remote.Compare(b.Remote) })
		if !slices.Equal(rec.Sockets, want) {
			t.Errorf("asked %v: got %v, want %v", asked, rec.Sockets, want)
		}
	}
}

// TestOwnSockets: the kernel's lists are read as they are, with this test's sockets
// in them.
func TestOwnSockets(t *testing.T) {
	at := serveNames(t, newResolver(&Options{Logger: quiet()}, nil))
	for _, transport := range []string{"tcp", "udp"} {
		data, err := os.ReadFile("/proc/net/" + transport)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(parseSockets(string(data), transport), func(s kernelSocket) bool { return s.local == at && s.listens() }) {
			t.Errorf("%s: no socket listens at %s", transport, at)
		}
	}
}

func TestParseSockets(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, remote, state, inode string) string {
		return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000     0        0 %s 1 0 100 0\n", local, remote, state, inode)
	}
	for text, want := range map[string]int{
		"":   0,
		head: 0,
		head + line("0100007F:2116", "00000000:0000", "0A", "77"):                                         1,
		line("0100007F:2116", "00000000:0000", "06", "0"):                                                 0, // nobody's any more
		line("0100007F", "00000000:0000", "0A", "77"):                                                     0,
		line("0100007F:2116", "00:0000", "0A", "77"):                                                      0,
		line("0100007G:2116", "00000000:0000", "0A", "77"):                                                0,
		line("00000000000000000000000001000000:0035", "B80D0120000000000000000001000000:01BB", "01", "5"): 1,
	} {
		if got := parseSockets(text, "tcp"); len(got) != want {
			t.Errorf("%q: got %v, want %d", text, got, want)
		}
	}
}
