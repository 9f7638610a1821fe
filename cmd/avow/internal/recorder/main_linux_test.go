package recorder

import (
	"bytes"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"testing"
	"time"
)

// helperName is how the test binary is told to be the helper.
const helperName = "recorder-helper"

func TestMain(m *testing.M) {
	if len(os.Args) == 1 && os.Args[0] == helperName {
		os.Exit(Inside(os.NewFile(HelperFile, "caller")))
	}
	os.Exit(m.Run())
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
