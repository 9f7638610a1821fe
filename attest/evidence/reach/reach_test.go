package reach_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/avow-dev/avow/attest/evidence/capability"
	"github.com/avow-dev/avow/attest/evidence/reach"
)

// module writes testdata/module.txtar, a real module of many small programs, into a directory.
func module(t testing.TB) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "module.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, f := range archive.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func analyze(t testing.TB, dir, pattern string, change func(*reach.Options)) *capability.Report {
	t.Helper()
	o := reach.Options{Dir: dir, Pattern: pattern, Environ: os.Environ(), Tool: "test"}
	if change != nil {
		change(&o)
	}
	r, err := reach.Analyze(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func capabilities(uses []capability.Use) string {
	var all []string
	for _, u := range uses {
		all = append(all, string(u.Capability))
	}
	return strings.Join(all, " ")
}

// Each program has what its name says, and nothing else: every positive is the others' negative.
func TestCapabilitiesAreFound(t *testing.T) {
	dir := module(t)
	for program, want := range map[string]string{
		"none": "", "network": "network", "transport": "network", "exec": "exec", "write": "fileWrite", "unsafe": "unsafe", "syscall": "syscall",
		"reflect": "reflect", "plugin": "plugin", "assembly": "assembly", "dependency": "exec", "iface": "exec", "hidden": "exec",
		"closure": "exec", "callback": "exec", "global": "exec", "generic": "exec", "field": "exec", "embedded": "exec", "initialised": "exec",
		"later": "exec", "variable": "network", "typeargument": "exec", "dead": "", "imported": "", "methodvalue": "exec", "goroutine": "exec", "asserted": "exec",
	} {
		t.Run(program, func(t *testing.T) {
			if program == "assembly" && runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
				t.Skip("the program's assembly file is empty, but the assembler's name depends on the platform")
			}
			r := analyze(t, dir, "./cmd/"+program, nil)
			if got := capabilities(r.Capabilities); got != want {
				t.Fatalf("has %q, want %q: %v", got, want, r.Capabilities)
			}
			for _, u := range r.Capabilities {
				if u.Path[0] != "example.com/m/cmd/"+program+".main" && u.Path[0] != "example.com/m/cmd/"+program+".init" {
					t.Errorf("the path begins with %s", u.Path[0])
				}
			}
			if _, err := r.JSON(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The package that does it is named, and the one that only calls it is told from it.
func TestPackagesAreToldApart(t *testing.T) {
	r := analyze(t, module(t), "./cmd/dependency", nil)
	got := map[string]string{}
	for _, p := range r.Packages {
		for _, u := range p.Capabilities {
			got[p.Path] = string(u.Capability) + " " + map[bool]string{true: "direct", false: "through"}[u.Direct] + " " + u.Path[len(u.Path)-1]
		}
	}
	want := map[string]string{"example.com/m/cmd/dependency": "exec through os/exec.Cmd.Run", "example.com/m/runner": "exec direct os/exec.Cmd.Run"}
	if len(got) != len(want) || got["example.com/m/runner"] != want["example.com/m/runner"] ||
		got["example.com/m/cmd/dependency"] != want["example.com/m/cmd/dependency"] {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(r.Modules) != 1 || !slices.Equal(r.Modules[0].Direct, []capability.Capability{capability.Exec}) {
		t.Errorf("modules: %v", r.Modules)
	}
}

func TestTheSameSourceGivesTheSameDocument(t *testing.T) {
	var documents [][]byte
	for range 2 {
		r := analyze(t, module(t), "./cmd/field", nil) // another directory each time
		data, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, data)
	}
	if !bytes.Equal(documents[0], documents[1]) {
		t.Errorf("two analyses differ:\n%s\n%s", documents[0], documents[1])
	}
	dir := module(t)
	before := analyze(t, dir, "./cmd/none", nil)
	f, err := os.OpenFile(filepath.Join(dir, "cmd", "none", "main.go"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\n// changed\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if after := analyze(t, dir, "./cmd/none", nil); after.Sources == before.Sources {
		t.Error("changed source has the same digest")
	}
}

func TestTagsAndPlatform(t *testing.T) {
	dir := module(t)
	if r := analyze(t, dir, "./cmd/tagged", nil); len(r.Capabilities) != 0 {
		t.Errorf("without the tag: %v", r.Capabilities)
	}
	r := analyze(t, dir, "./cmd/tagged", func(o *reach.Options) { o.Tags = []string{"backdoor"} })
	if got := capabilities(r.Capabilities); got != "exec" {
		t.Errorf("with the tag: %q", got)
	}
	r = analyze(t, dir, "./cmd/platform", func(o *reach.Options) { o.GOOS, o.GOARCH, o.Imports = "windows", "amd64", true })
	if got := capabilities(r.Capabilities); !strings.Contains(got, "exec") || r.GOOS != "windows" {
		t.Errorf("for windows: %q on %s", got, r.GOOS)
	}
}

func TestImportsAreCoarser(t *testing.T) {
	dir := module(t)
	r := analyze(t, dir, "./cmd/dead", func(o *reach.Options) { o.Imports = true })
	if got := capabilities(r.Capabilities); !strings.Contains(got, "exec") || r.Mode != capability.ModeImports {
		t.Errorf("%q in mode %s", got, r.Mode)
	}
	if r := analyze(t, dir, "./cmd/unsafe", func(o *reach.Options) { o.Imports = true }); !strings.Contains(capabilities(r.Capabilities), "unsafe") {
		t.Errorf("unsafe by imports: %v", r.Capabilities)
	}
}

func TestWhatCannotBeAnalysedIsRefused(t *testing.T) {
	dir := module(t)
	for name, test := range map[string]struct {
		o    reach.Options
		want string
	}{
		"a flag":         {reach.Options{Pattern: "-toolexec=/bin/true"}, "does not name one package"},
		"all":            {reach.Options{Pattern: "./..."}, "does not name one package"},
		"a query":        {reach.Options{Pattern: "file=x.go"}, "does not name one package"},
		"a library":      {reach.Options{Pattern: "./runner"}, "want main"},
		"nothing":        {reach.Options{Pattern: "./cmd/absent"}, "cmd/absent"},
		"broken":         {reach.Options{Pattern: "./cmd/broken"}, "undefined"},
		"a tag":          {reach.Options{Pattern: "./cmd/none", Tags: []string{"a -toolexec=x"}}, "not a build tag"},
		"a platform":     {reach.Options{Pattern: "./cmd/none", GOOS: "linux;x"}, "not a platform"},
		"missing module": {reach.Options{Pattern: "./cmd/missing"}, "example.org/absent"},
	} {
		test.o.Dir, test.o.Environ = dir, os.Environ()
		if _, err := reach.Analyze(t.Context(), test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
