package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	root         = "../.."
	maxFileLines = 500
	minDocLines  = 10
)

// source is one hand-written Go file.
type source struct {
	path  string // slash-separated, relative to the root
	lines int
	fset  *token.FileSet
	file  *ast.File
}

func (s source) isTest() bool          { return strings.HasSuffix(s.path, "_test.go") }
func (s source) dir() string           { return filepath.ToSlash(filepath.Dir(s.path)) }
func (s source) at(pos token.Pos) int  { return s.fset.Position(pos).Line }
func (s source) under(dir string) bool { return strings.HasPrefix(s.path, dir+"/") }

// exempt names the directories that nobody here writes by hand.
func exempt(dir string) bool {
	switch dir {
	case "api", "third_party", "testdata", "node_modules", "bin":
		return true
	}
	return strings.HasPrefix(dir, ".") && dir != ".."
}

// walk visits every file of the tree that is not exempt.
func walk(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if exempt(d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		visit(path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	walk(t, func(path string) {
		if !strings.HasSuffix(path, ".go") {
			return
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, data, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, source{filepath.ToSlash(rel), strings.Count(string(data), "\n"), fset, file})
	})
	if len(all) < 10 {
		t.Fatalf("found %d Go files: the walk is broken, and every rule below would pass", len(all))
	}
	return all
}

func TestFilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s: %d lines, at most %d", s.path, s.lines, maxFileLines)
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	longest := map[string]int{}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		lines := 0
		if s.file.Doc != nil {
			lines = strings.Count(s.file.Doc.Text(), "\n")
		}
		longest[s.dir()] = max(longest[s.dir()], lines)
	}
	for dir, lines := range longest {
		if lines < minDocLines {
			t.Errorf("%s: package documentation of %d lines, at least %d", dir, lines, minDocLines)
		}
	}
}

func TestClockIsInjected(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || s.under("cmd") || s.under("internal") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && isSelector(call.Fun, "time", "Now", "Since", "Until") {
				t.Errorf("%s:%d: reads the machine's clock; use the injected one", s.path, s.at(call.Pos()))
			}
			return true
		})
	}
}

func TestErrorsSayWhatWentWrong(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if ok && lit.Kind == token.STRING && strings.Contains(strings.ToLower(lit.Value), "failed to ") {
				t.Errorf("%s:%d: %s", s.path, s.at(lit.Pos()), lit.Value)
			}
			return true
		})
	}
}

func isSelector(e ast.Expr, pkg string, names ...string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok || x.Name != pkg {
		return false
	}
	for _, name := range names {
		if sel.Sel.Name == name {
			return true
		}
	}
	return false
}
