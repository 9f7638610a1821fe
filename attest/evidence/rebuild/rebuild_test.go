package rebuild

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/evidence"
	"github.com/avow-dev/avow/attest/evidence/gocmd"
	"github.com/avow-dev/avow/attest/predicate"
)

const source = `package main

var version = "unknown"

func main() { println("hello", version) }
`

// module is a program of one file, outside any other module.
func module(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.com/hello\n\ngo 1.26\n", "main.go": content} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// build is the vendor's build.
func build(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "hello")
	args := append(append([]string{"build"}, flags...), "-o", out, ".")
	c := exec.CommandContext(t.Context(), "go", args...)
	c.Dir, c.Env = dir, gocmd.Environment(os.Environ(), false, "CGO_ENABLED=0")
	if output, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return out
}

func options(dir, binary string) Options {
	return Options{Dir: dir, Pattern: ".", Binary: binary, Environ: os.Environ()}
}

func TestEqual(t *testing.T) {
	binary := build(t, module(t, source), "-trimpath", "-ldflags=-s -w -X main.version=1.2.3")
	o := options(module(t, source), binary) // another directory
	o.Strip, o.Definitions = true, []string{"main.version=1.2.3"}
	// What the caller's environment would add to a build is not taken.
	o.Environ = append(o.Environ, "GOFLAGS=-tags=other -ldflags=-X=main.version=evil", "CC=/bin/false", "GOEXPERIMENT=none")
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Equal || len(r.Differences) != 0 || r.Package != "example.com/hello" {
		t.Fatalf("%+v", r)
	}
	data, err := r.Statement()
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Type          string `json:"_type"`
		PredicateType string
		Subject       []descriptor
		Predicate     struct{ Materials []descriptor }
	}
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	var names []string
	for _, m := range s.Predicate.Materials {
		names = append(names, m.Name)
	}
	if s.Subject[0].Digest["sha256"] != hex.EncodeToString(sum[:]) || s.Subject[0].Name != "hello" ||
		s.PredicateType != LinkPredicate || !slices.Equal(names, []string{"go.mod", "main.go"}) {
		t.Errorf("%s", data)
	}
	checkLink(t, r)
	checkRule(t, r, data)
}

// checkRule: the document is what R16 takes for NB-SOURCE of the same binary, and not of another.
func checkRule(t *testing.T, r *Result, document []byte) {
	t.Helper()
	for subject, want := range map[string]int{r.Rebuilt: 0, strings.Repeat("0", 64): 1} {
		e := evidence.Entry("rebuild", evidence.KindRebuild, "rebuild.json", "", document)
		s := &predicate.Statement{Subjects: []predicate.Subject{{Name: "hello", Digest: map[string]string{"sha256": subject}}},
			NoBackdoor: &predicate.NoBackdoor{Claims: []predicate.Claim{{ID: predicate.ClaimSource, Evidence: []string{"rebuild"}}},
				Evidence: []predicate.Evidence{e}}}
		if findings := s.CheckEvidence([][]byte{document}); len(findings) != want || want == 1 && findings[0].Code != "R16" {
			t.Errorf("over %.8s: %v", subject, findings)
		}
	}
}

// checkLink signs the link and reads it as a verifier would.
func checkLink(t *testing.T, r *Result) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var key in_toto.Key
	if err := key.LoadKeyReaderDefaults(bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))); err != nil {
		t.Fatal(err)
	}
	link, name, err := r.Link(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := link.Dump(path); err != nil {
		t.Fatal(err)
	}
	found, err := attest.ReadInToto(path)
	if err != nil {
		t.Fatal(err)
	}
	if found.Step != StepName || name != "rebuild."+key.KeyID[:8]+".link" {
		t.Errorf("%+v in %s", found, name)
	}
	loaded, err := in_toto.LoadMetadata(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.VerifySignature(key); err != nil {
		t.Error(err)
	}
	if got := loaded.GetPayload().(in_toto.Link).Products["hello"]["sha256"]; got != r.Rebuilt {
		t.Errorf("product %s, want %s", got, r.Rebuilt)
	}
}

func TestDifferent(t *testing.T) {
	binary := build(t, module(t, strings.Replace(source, "hello", "goodbye", 1)), "-trimpath", "-tags=extra")
	r, err := Run(t.Context(), options(module(t, source), binary))
	if err != nil {
		t.Fatal(err)
	}
	if r.Equal || r.Binary == r.Rebuilt {
		t.Fatalf("%+v", r)
	}
	parts := map[string]bool{}
	for _, d := range r.Differences {
		parts[d.Part] = true
	}
	if !parts["section"] || parts["buildInfo"] {
		t.Errorf("the tag is taken from the binary, the text is not: %+v", r.Differences)
	}
	if _, err := r.Statement(); err == nil || !strings.Contains(err.Error(), "no evidence of a rebuild") {
		t.Errorf("statement: %v", err)
	}
	if _, _, err := r.Link(in_toto.Key{}); err == nil || !strings.Contains(err.Error(), "no evidence of a rebuild") {
		t.Errorf("link: %v", err)
	}
}

func code(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestWhatCannotBeTried(t *testing.T) {
	dir := module(t, source)
	if _, err := Run(t.Context(), options(dir, filepath.Join(dir, "main.go"))); code(err) != CodeNoBuildInfo {
		t.Errorf("not a program: %v", err)
	}
	if _, err := Run(t.Context(), options(dir, build(t, dir))); code(err) != CodeSetting || !strings.Contains(err.Error(), "-trimpath") {
		t.Errorf("without -trimpath: %v", err)
	}
	binary := build(t, dir, "-trimpath")
	other := module(t, source)
	if err := os.WriteFile(filepath.Join(other, "go.mod"), []byte("module example.com/other\n\ngo 1.26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), options(other, binary)); code(err) != CodeOtherProgram {
		t.Errorf("another module: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() { undefined() }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), options(dir, binary)); code(err) != CodeBuild || !strings.Contains(err.Error(), "undefined") {
		t.Errorf("broken source: %v", err)
	}
	for _, pattern := range []string{"", "-toolexec=x", "./..."} {
		o := options(dir, binary)
		o.Pattern = pattern
		if _, err := Run(t.Context(), o); code(err) != CodeOtherProgram {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
	o := options(dir, binary)
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	info.GoVersion = "go1.0"
	if err := o.matches(t.Context(), info, gocmd.Environment(os.Environ(), false)); code(err) != CodeToolchain {
		t.Errorf("another toolchain: %v", err)
	}
}

// A binary's build info cannot bring arguments or variables of its choice into the build.
func TestSettingsAreTakenFromAListOnly(t *testing.T) {
	plain := []debug.BuildSetting{{Key: "-trimpath", Value: "true"}, {Key: "-compiler", Value: "gc"}, {Key: "CGO_ENABLED", Value: "0"}, {Key: "GOOS", Value: "linux"}}
	s, err := settings(&buildinfo.BuildInfo{Settings: append(plain, debug.BuildSetting{Key: "-tags", Value: "a,b"}, debug.BuildSetting{Key: "vcs", Value: "git"})})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Flags, []string{"-trimpath=true", "-tags=a,b", "-buildvcs=true"}) || !slices.Equal(s.Env, []string{"CGO_ENABLED=0", "GOOS=linux"}) {
		t.Errorf("%+v", s)
	}
	for _, b := range []debug.BuildSetting{
		{Key: "-toolexec", Value: "/bin/sh"}, {Key: "-ldflags", Value: "-extld=/bin/sh"}, {Key: "-gcflags", Value: "all=-N"}, {Key: "-overlay", Value: "x.json"},
		{Key: "-tags", Value: "a -toolexec=/bin/sh"}, {Key: "-tags", Value: "-toolexec=x"}, {Key: "-buildmode", Value: "plugin"}, {Key: "-compiler", Value: "gccgo"},
		{Key: "CC", Value: "/bin/sh"}, {Key: "CGO_CFLAGS", Value: "-fplugin=x.so"}, {Key: "GOFLAGS", Value: "-toolexec=x"}, {Key: "GOROOT", Value: "/tmp"},
		{Key: "GOOS", Value: "linux\nPATH=/tmp"}, {Key: "GOAMD64", Value: "v9"}, {Key: "GOEXPERIMENT", Value: "A=B"}, {Key: "PATH", Value: "/tmp"},
		{Key: "-trimpath", Value: "false"}, {Key: "-race", Value: "x"}, {Key: "GOOS", Value: "windows"},
	} {
		if b.Key == "-trimpath" {
			if _, err := settings(&buildinfo.BuildInfo{Settings: []debug.BuildSetting{b}}); code(err) != CodeSetting {
				t.Errorf("%v: %v", b, err)
			}
			continue
		}
		if _, err := settings(&buildinfo.BuildInfo{Settings: append(slices.Clone(plain), b)}); code(err) != CodeSetting {
			t.Errorf("%v: %v", b, err)
		}
	}
	if _, _, err := (&Options{Pattern: ".", Binary: build(t, module(t, source), "-trimpath")}).plan(); err != nil {
		t.Errorf("a plain build: %v", err)
	}
}

func TestLinkerFlags(t *testing.T) {
	if got, err := linkerFlags(true, []string{"main.version=1.2.3"}); err != nil || got != "-ldflags=-s -w -X main.version=1.2.3" {
		t.Errorf("%q, %v", got, err)
	}
	for _, d := range []string{"main.version=1 -extld=/bin/sh", "-extld=/bin/sh", "main.version", "main.version='x'", "version=1"} {
		if _, err := linkerFlags(false, []string{d}); code(err) != CodeSetting {
			t.Errorf("%q: %v", d, err)
		}
	}
}
