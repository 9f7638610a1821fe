package recorder

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The roles of the test binary: the helper, what lies beyond a host, and a recorder
// that is killed.
const (
	helperName  = "recorder-helper"
	outsideName = "recorder-outside"
	victimName  = "recorder-victim"
)

func TestMain(m *testing.M) {
	var err error
	switch os.Args[0] {
	case helperName:
		os.Exit(Inside(os.NewFile(HelperFile, "caller")))
	case outsideName:
		err = outside()
	case victimName:
		err = victim(context.Background(), os.Args[1], os.Args[2])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// outside answers everybody with the address that it sees.
func outside() error {
	fmt.Println("there")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil { // the interface has come
		return err
	}
	if err := commands("ip link set lo up", "ip link set up1 up", "ip addr add 203.0.113.2/24 dev up1",
		"ip -6 addr add 2001:db8:1::2/64 dev up1 nodad"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", ":80")
	if err != nil {
		return err
	}
	fmt.Println("listening")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		fmt.Fprintln(c, "you are", c.RemoteAddr())
		c.Close()
	}
}

func commands(list ...string) error {
	for _, command := range list {
		f := strings.Fields(command)
		if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command, err, out)
		}
	}
	return nil
}

// victim records a program that holds one pipe, says in another that it runs, and
// does not end.
func victim(ctx context.Context, held, ready string) error {
	_, err := Run(ctx, Options{Command: []string{"bash", "-c", `exec 3>"$0"; echo >"$1"; sleep 1000`, held, ready}, Environ: os.Environ(), Stderr: os.Stderr,
		Helper: []string{helperName}, Now: time.Now, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Packets: func([]netip.Addr) (io.Writer, error) { return io.Discard, nil }})
	return err
}

// recording is what a run of a test leaves.
type recording struct {
	*Result
	pcap  bytes.Buffer
	out   string
	local []netip.Addr
}

// options are those of a test: the output goes to a file, the packets to memory.
func options(t *testing.T, rec *recording, command ...string) Options {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return Options{Command: command, Environ: os.Environ(), Stdout: out, Stderr: out, Helper: []string{helperName}, Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Packets: func(local []netip.Addr) (io.Writer, error) {
			rec.local = local
			return &rec.pcap, nil
		}}
}

// record runs a command, or skips the test where there are no namespaces.
func record(t *testing.T, o Options, rec *recording) *recording {
	t.Helper()
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatalf("%v: %s", err, output(t, o))
	}
	rec.Result, rec.out = result, output(t, o)
	return rec
}

func output(t *testing.T, o Options) string {
	t.Helper()
	b, err := os.ReadFile(o.Stdout.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
