//go:build faults && linux

package observecorpus

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/recorder"
)

var update = flag.Bool("update", false, "replace the recordings in testdata")

// The roles of this binary beside that of a test.
const (
	helperRole = "corpus-helper"
	worldRole  = "corpus-world"
	clientRole = "corpus-client"
)

func TestMain(m *testing.M) {
	ctx := context.Background()
	var err error
	switch {
	case os.Args[0] == helperRole:
		os.Exit(recorder.Inside(os.NewFile(recorder.HelperFile, "caller")))
	case os.Args[0] == worldRole && len(os.Args) == 2:
		err = recordAll(ctx, os.Args[1])
	case filepath.Base(os.Args[0]) == clientRole && len(os.Args) == 2:
		err = client(ctx, os.Args[1])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestRecordCorpus runs every program of the corpus again and holds what was
// recorded to the labels.
func TestRecordCorpus(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	dir := t.TempDir()
	world := exec.CommandContext(t.Context(), "/proc/self/exe")
	world.Args = []string{worldRole, dir}
	world.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	world.Stderr = t.Output()
	if err := world.Run(); err != nil {
		t.Fatal(err)
	}
	counts := table{}
	for name, c := range cases() {
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Logf("%s was not recorded: %s is not installed", name, c.command[0])
			continue
		}
		t.Run(name, func(t *testing.T) {
			var l label
			if err := json.Unmarshal(data, &l); err != nil {
				t.Fatal(err)
			}
			check(t, filepath.Join(dir, name+".pcap"), l, counts)
			if *update && !t.Failed() {
				replace(t, dir, name)
			}
		})
	}
	t.Logf("\n%s", counts)
}

func replace(t *testing.T, dir, name string) {
	t.Helper()
	for _, file := range []string{name + ".json", name + ".pcap"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", file), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// recordAll runs in the small internet.
func recordAll(ctx context.Context, dir string) error {
	if err := openWorld(ctx, dir); err != nil {
		return err
	}
	for name, c := range cases() {
		if err := recordOne(ctx, filepath.Join(dir, name), c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func recordOne(ctx context.Context, path string, c recorded) error {
	command := c.command
	if command[0] == "go" { // this binary, under another name
		link := filepath.Join(filepath.Dir(path), clientRole)
		self, err := os.Readlink("/proc/self/exe")
		if err != nil {
			return err
		}
		if err := os.Symlink(self, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		command = append([]string{link}, command[1:]...)
	} else if program := c.command[0]; !installed(c) {
		fmt.Fprintln(os.Stderr, path, "needs", program)
		return nil
	}
	out, err := os.Create(path + ".pcap")
	if err != nil {
		return err
	}
	defer out.Close()
	l := label{Program: c.command[0], What: c.what, Peers: c.peers}
	if c.command[0] == "sh" {
		l.Program = programOf(c)
	}
	o := recorder.Options{Command: command, Environ: os.Environ(), Stdout: os.Stderr, Stderr: os.Stderr, Helper: []string{helperRole},
		Offline: c.offline, AnyName: c.offline, Now: time.Now, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Packets: func(local []netip.Addr) (io.Writer, error) {
			for _, a := range local {
				l.Local = append(l.Local, a.String())
			}
			return out, nil
		}}
	result, err := recorder.Run(ctx, o)
	if err != nil {
		return err
	}
	if result.ExitCode != 0 && !c.offline {
		return fmt.Errorf("the program exited with %d", result.ExitCode)
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path+".json", append(data, '\n'), 0o644)
}

// programOf is the program of a script of one program.
func programOf(c recorded) string {
	if c.command[2][:len("ntpdig")] == "ntpdig" {
		return "ntpdig"
	}
	return "curl"
}

func installed(c recorded) bool {
	name := c.command[0]
	if name == "sh" {
		name = programOf(c)
	}
	_, err := exec.LookPath(name)
	return err == nil
}
