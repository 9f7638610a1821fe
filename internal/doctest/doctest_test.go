//go:build unix

package doctest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const root = "../.."

// systemPath is where the programs of every system are: what a document uses beyond them it says with needs=.
var systemPath = []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"}

// TestDocumentation runs every console block of the documentation.
func TestDocumentation(t *testing.T) {
	if testing.Short() {
		t.Skip("builds both programs and runs the commands of the documentation; not with -short")
	}
	documents := documents(t)
	bin := build(t)
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := runDocument(t.TempDir(), bin, string(data), t.Logf); err != nil {
				t.Errorf("%s:%v", name, err)
			}
		})
	}
}

// documents lists the documents with commands, relative to the root.
func documents(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	var with []string
	for _, name := range append(names, filepath.Join(root, "README.md")) {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "```console") {
			relative, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			with = append(with, filepath.ToSlash(relative))
		}
	}
	if len(with) == 0 {
		t.Fatal("no document has a console block: the search is broken, and everything would pass")
	}
	return with
}

// build builds both programs, and the issuer that documents try certificates with. go test keeps the result of a test until a file that the test itself looked at has changed, and
// does not see what a compiler reads: the walk looks at every directory of the sources.
func build(t *testing.T) string {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	// Without symbol tables linking takes half the time.
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", bin+string(os.PathSeparator), "./cmd/avow", "./cmd/avowd",
		"./internal/oidctest/demo-issuer")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return bin
}

// runDocument runs the commands of a document in a session in dir. The error begins with the line of the first one that is not
// as documented.
func runDocument(dir, bin, document string, logf func(string, ...any)) (err error) {
	commands, err := parse(document)
	if err != nil {
		return err
	}
	p, err := freePorts()
	if err != nil {
		return err
	}
	missing, path := programs(commands)
	s, err := startSession(dir, bin, path, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	for _, c := range commands {
		switch {
		case leftOut.MatchString(c.text):
			logf("line %d: not run: %s", c.line, c.text)
		case lacks(c.needs, missing) != "":
			logf("line %d: %s: %s", c.line, lacks(c.needs, missing), c.text)
		default:
			if err := s.run(c); err != nil {
				return fmt.Errorf("%d: $ %s\n%w", c.line, c.text, err)
			}
		}
	}
	return nil
}

// needsRoot stands among the programs for being root on Linux: for blocks that make namespaces.
const needsRoot = "root"

// lacks says which of the needs of a command is not met, or nothing.
func lacks(needs string, missing map[string]bool) string {
	for _, program := range strings.Split(needs, ",") {
		switch {
		case missing[program] && program == needsRoot:
			return "the user is not root on Linux"
		case missing[program]:
			return program + " is not installed"
		}
	}
	return ""
}

// programs looks for what the commands need, and says what is missing and where everything else is.
func programs(commands []command) (missing map[string]bool, path []string) {
	missing, path = map[string]bool{}, append(path, systemPath...)
	needs := []string{"go"}
	for _, c := range commands {
		if c.needs != "" {
			needs = append(needs, strings.Split(c.needs, ",")...)
		}
	}
	for _, program := range needs {
		if program == needsRoot {
			missing[program] = os.Geteuid() != 0 || runtime.GOOS != "linux"
			continue
		}
		found, err := exec.LookPath(program)
		missing[program] = err != nil
		if err == nil {
			path = append(path, filepath.Dir(found))
		}
	}
	return missing, path
}
