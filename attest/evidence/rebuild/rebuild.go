package rebuild

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/avow-dev/avow/attest/evidence/gocmd"
)

// Options say what to rebuild.
type Options struct {
	// Dir is the directory of the module; "" is the current one.
	Dir string
	// Pattern names the main package; Binary is the file to compare with.
	Pattern, Binary string
	// Strip and Definitions are the -s -w and -X flags of the linker, which a binary built with -trimpath does not name.
	Strip       bool
	Definitions []string
	// Download allows the go command to fetch modules; CGO allows a C compiler.
	Download, CGO bool
	// Environ is the caller's environment, of which little is passed on.
	Environ []string
}

// Result is a rebuild that was done.
type Result struct {
	Equal bool `json:"equal"`
	// Package is the import path, Go the toolchain's version, Command what was run, with OUTPUT for the temporary file.
	Package string   `json:"package"`
	Go      string   `json:"go"`
	Command []string `json:"command"`
	// Environment are the variables that were set for the build, beside those that say where things are.
	Environment []string `json:"environment"`
	// Binary and Rebuilt are the SHA-256 of both, lower-case hex.
	Binary  string `json:"binary"`
	Rebuilt string `json:"rebuilt"`
	// Differences say where the two differ; empty when equal.
	Differences []Difference `json:"differences"`

	name       string // base name of the binary
	materials  map[string]in_toto.HashObj
	byProducts map[string]any
}

// Difference is one place in which the two binaries differ.
type Difference struct {
	// Part is file, buildInfo or section; Name is the setting, the module or the section.
	Part    string `json:"part"`
	Name    string `json:"name"`
	Binary  string `json:"binary"`
	Rebuilt string `json:"rebuilt"`
}

// Run rebuilds and compares. The error is *Error where it could not be tried.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	info, s, err := o.plan()
	if err != nil {
		return nil, err
	}
	env := gocmd.Environment(o.Environ, o.Download, s.Env...)
	if err := o.matches(ctx, info, env); err != nil {
		return nil, err
	}
	linker, err := linkerFlags(o.Strip, o.Definitions)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "avow-rebuild-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	out := filepath.Join(dir, "rebuilt")
	command := append([]string{"go", "build"}, s.Flags...)
	if linker != "" {
		command = append(command, linker)
	}
	r = &Result{Package: info.Path, Go: info.GoVersion, Environment: append(s.Env, "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local"),
		Command: append(slices.Clone(command), "-o", "OUTPUT", info.Path), Differences: []Difference{}, name: filepath.Base(o.Binary)}
	slices.Sort(r.Environment)
	if r.materials, err = o.materials(ctx, info.Path, env, s.Flags); err != nil {
		return nil, err
	}
	output, err := o.run(ctx, env, append(command[1:], "-o", out, info.Path)...)
	if err != nil {
		return nil, err
	}
	r.byProducts = map[string]any{"return-value": float64(0), "stdout": string(output), "stderr": ""}
	if err := r.compare(o.Binary, out); err != nil {
		return nil, err
	}
	return r, nil
}

// plan reads what the binary says of its build.
func (o *Options) plan() (*buildinfo.BuildInfo, *Settings, error) {
	if o.Pattern == "" || strings.HasPrefix(o.Pattern, "-") || strings.Contains(o.Pattern, "...") {
		return nil, nil, &Error{CodeOtherProgram, fmt.Sprintf("%.200q does not name one package", o.Pattern), "give the directory of a main package, for example ./cmd/app"}
	}
	info, err := buildinfo.ReadFile(o.Binary)
	if err != nil {
		return nil, nil, &Error{CodeNoBuildInfo, err.Error(), "give a program that `go build` made; `go version -m FILE` shows its build info"}
	}
	s, err := settings(info)
	if err != nil {
		return nil, nil, err
	}
	if s.CGO && !o.CGO {
		return nil, nil, &Error{CodeSetting, "the binary was built with cgo: the C compiler of this machine would take part",
			"give --cgo if this machine has the compiler of the release, or build releases with CGO_ENABLED=0"}
	}
	return info, s, nil
}

// matches checks that the source is that program and the toolchain that version.
func (o *Options) matches(ctx context.Context, info *buildinfo.BuildInfo, env []string) error {
	version, err := o.run(ctx, env, "env", "GOVERSION")
	if err != nil {
		return err
	}
	if v := strings.TrimSpace(string(version)); v != info.GoVersion {
		return &Error{CodeToolchain, fmt.Sprintf("the binary was built with %.60q, the go command on the path is %.60q", info.GoVersion, v),
			"put the binary's version of Go first on the path"}
	}
	path, err := o.run(ctx, env, "list", "-find", "-f", "{{.ImportPath}}", "--", o.Pattern)
	if err != nil {
		return err
	}
	if p := strings.TrimSpace(string(path)); p != info.Path {
		return &Error{CodeOtherProgram, fmt.Sprintf("the binary was built from %.200q, %.100q is %.200q", info.Path, o.Pattern, p),
			"run this in the module of the binary and name its package"}
	}
	return nil
}

// run runs the go command and returns what it printed on standard output.
func (o *Options) run(ctx context.Context, env []string, args ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "go", args...) //nolint:gosec // the arguments are this package's own, of a fixed list, or checked
	c.Dir, c.Env = o.Dir, env
	var problem bytes.Buffer
	c.Stderr = &problem
	out, err := c.Output()
	if err != nil {
		return nil, &Error{CodeBuild, fmt.Sprintf("go %s: %v: %.1000s", args[0], err, strings.TrimSpace(problem.String())),
			"make `go build` work first; modules are not downloaded without --download"}
	}
	return out, nil
}

// materials records the source files of the main module, and go.mod and go.sum, by in-toto-golang. What other modules hold is fixed by go.sum.
func (o *Options) materials(ctx context.Context, path string, env, flags []string) (map[string]in_toto.HashObj, error) {
	const files = `{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .SFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}` +
		`{{range .EmbedFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`
	var tags []string
	for _, f := range flags {
		if strings.HasPrefix(f, "-tags=") {
			tags = append(tags, f)
		}
	}
	list, err := o.run(ctx, env, slices.Concat([]string{"list", "-deps", "-f", files}, tags, []string{"--", path})...)
	if err != nil {
		return nil, err
	}
	root, err := o.run(ctx, env, "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, err
	}
	dir, _, _ := strings.Cut(strings.TrimSpace(string(root)), "\n")
	var paths []string
	for _, name := range append(strings.Split(string(list), "\n"), dir+"/go.mod", dir+"/go.sum") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		if _, err := os.Stat(filepath.FromSlash(name)); err == nil {
			paths = append(paths, name)
		}
	}
	recorded, err := in_toto.RecordArtifacts(paths, []string{"sha256"}, nil, []string{filepath.ToSlash(dir) + "/"}, false, false)
	if err != nil {
		return nil, fmt.Errorf("record the materials: %w", err)
	}
	return recorded, nil
}
