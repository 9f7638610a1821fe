package server

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies holds the arrows that point away from this package: drivers and policies are chosen in cmd/avowd.
func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		module + "server/tlog/posix": "the driver is chosen in cmd/avowd",
		module + "server/tlog/aws":   "the driver is chosen in cmd/avowd",
		module + "verify/policy":     "policies are handed in by cmd/avowd",
		module + "cmd":               "nobody imports a command",
		"cel.dev/cel-go":             "policies are handed in by cmd/avowd",
		"github.com/google/cel-go":   "policies are handed in by cmd/avowd",
		"github.com/spf13/cobra":     "flags are read in cmd/avowd",
	})
}

// TestDirectImports: this package itself speaks to no database driver, reads no flag, no environment and no file.
func TestDirectImports(t *testing.T) {
	forbidden := map[string]string{
		"flag": "flags are read in cmd/avowd", "os": "files and environment are read in cmd/avowd",
		"database/sql": "server/statements owns the database", "modernc.org/sqlite": "server/statements owns the database",
		"github.com/go-sql-driver/mysql": "server/statements owns the database", "testing": "not in a program",
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range f.Imports {
			seen++
			path, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if why, bad := forbidden[path]; bad {
				t.Errorf("%s imports %s: %s", name, path, why)
			}
		}
	}
	if seen == 0 {
		t.Fatal("no imports were looked at")
	}
}
