package wholefile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/avow-dev/avow/internal/wholefile"
)

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pin.json")
	for _, c := range []struct {
		data string
		mode fs.FileMode
	}{{"first", 0o644}, {"the second, which is longer", 0o600}, {"", 0o600}} {
		if err := wholefile.Replace(path, []byte(c.data), c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != c.data {
			t.Errorf("got %q, %v, want %q", got, err, c.data)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != c.mode && runtime.GOOS != "windows" {
			t.Errorf("mode %v, want %v", info.Mode(), c.mode)
		}
	}
	onlyFile(t, dir)
}

// TestReplaceFails: what cannot be replaced stays, and nothing is left beside it.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "directory")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := wholefile.Replace(path, []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced")
	}
	onlyFile(t, dir)
	if err := wholefile.Replace(filepath.Join(dir, "missing", "file"), nil, 0o600); err == nil {
		t.Error("a file was written into a directory that is not there")
	}
}

func onlyFile(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("got %v, %v, want one file", entries, err)
	}
}

// TestRead: a file of exactly the limit is read, a larger one is refused.
func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := wholefile.Read(path, 5); err != nil || string(data) != "12345" {
		t.Errorf("at the limit: got %q, %v", data, err)
	}
	if _, err := wholefile.Read(path, 4); err == nil || err.Error() != path+" has more than 4 bytes" {
		t.Errorf("beyond it: got %v", err)
	}
}
