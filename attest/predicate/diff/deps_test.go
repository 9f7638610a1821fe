package diff

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

const parent = "github.com/avow-dev/avow/attest/predicate"

// TestDependencies: policies and build tools embed this package, so it stays as
// light as the statement types.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{parent: "the statement types", "golang.org/x": "names: IDNA"})
}

// TestImports reads the sources. Unlike the list of go list, which a cached
// answer of go test may not follow, the files are inputs of this test.
func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources: %v", err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(path, "/")
			if strings.Contains(first, ".") && path != parent {
				t.Errorf("%s imports %s: only the standard library and %s are allowed", name, path, parent)
			}
		}
	}
}
