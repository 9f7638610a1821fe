package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAskAgain: the command asks the same, at the time that was judged at, and says nothing about where the answer goes.
func TestAskAgain(t *testing.T) {
	at := time.Date(2026, 9, 1, 11, 0, 0, 7, time.FixedZone("", 7200))
	for in, want := range map[string]string{
		"verify app --bundle b --key k":              "avow verify app --bundle b --key k --at 2026-09-01T09:00:00Z",
		"verify app --format html -o r.html --key k": "avow verify app --key k --at 2026-09-01T09:00:00Z",
		"verify --format=html --output=r -or app":    "avow verify app --at 2026-09-01T09:00:00Z",
		"verify --at 2020-01-01T00:00:00Z app":       "avow verify app --at 2026-09-01T09:00:00Z",
		"verify --key k -- -o":                       "avow verify --key k --at 2026-09-01T09:00:00Z -- -o",
		"verify app --output":                        "avow verify app --at 2026-09-01T09:00:00Z",
	} {
		if got := strings.Join(askAgain(strings.Fields(in), at), " "); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if got := strings.Join(askAgain([]string{"verify", "app"}, time.Time{}), " "); got != "avow verify app" {
		t.Errorf("got %s", got)
	}
}

// TestWriteFileByKeepsTheOldFile: content that breaks off in the middle changes nothing and leaves nothing.
func TestWriteFileByKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report")
	if err := writeFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := writeFileBy(path, 0o644, func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Error(err)
		}
		return broken
	})
	data, readErr := os.ReadFile(path)
	entries, dirErr := os.ReadDir(dir)
	if !errors.Is(err, broken) || string(data) != "old" || len(entries) != 1 || readErr != nil || dirErr != nil {
		t.Errorf("%v: %q, %d files, %v, %v", err, data, len(entries), readErr, dirErr)
	}
}

// TestWriteOutLeavesDevicesAlone: a pipe is written to and stays what it is.
func TestWriteOutLeavesDevicesAlone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	path := fmt.Sprintf("/dev/fd/%d", w.Fd())
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	if err := writeOut(path, func(w io.Writer) error { _, err := io.WriteString(w, "report"); return err }); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != "report" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := writeOut(t.TempDir(), func(io.Writer) error { return nil }); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("got %v", err)
	}
}
