package capability

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/avow-dev/avow/attest/predicate"
)

// Format is the value of a report's format member.
const Format = "https://w3id.org/avow/go-capabilities/v1"

// Limits of Parse.
const (
	// MaxReportBytes is the size of the largest report. That of avowd, with 1100 packages, has about 1 MiB.
	MaxReportBytes = 32 << 20
	maxValues      = 1 << 21
	maxPath        = 256 // nodes of one path
)

// Modes of an analysis.
const (
	// ModeCallGraph follows calls, interfaces, function values and conversions from main.
	ModeCallGraph = "callGraph"
	// ModeImports follows imports alone: fast, and says more than is so.
	ModeImports = "imports"
)

// Report is what one program can do.
type Report struct {
	Format string `json:"format"`
	// Tool and Go are the versions of the analysis and of the Go toolchain whose standard library was read.
	Tool string `json:"tool"`
	Go   string `json:"go"`
	Mode string `json:"mode"`
	// Main is the import path of the main package, Module its module.
	Main   string `json:"main"`
	Module string `json:"module"`
	// GOOS, GOARCH, CGO and Tags decide which files are in the build.
	GOOS   string   `json:"goos"`
	GOARCH string   `json:"goarch"`
	CGO    bool     `json:"cgo"`
	Tags   []string `json:"tags"`
	// Sources is the SHA-256, lower-case hex, over the list of packages outside the standard library with their files' digests:
	// two reports with equal Sources are about the same source.
	Sources string `json:"sources"`
	// Capabilities are those of the whole program, each with a shortest path from main.
	Capabilities []Use `json:"capabilities"`
	// Modules sums up the packages of each module.
	Modules []Module `json:"modules"`
	// Packages are those outside the standard library of which something can run.
	Packages []Package `json:"packages"`
}

// Use is one capability and how it is reached.
type Use struct {
	Capability Capability `json:"capability"`
	// Direct means that the package itself uses it, not only packages that it calls.
	Direct bool `json:"direct"`
	// Path is a shortest way to it: functions, and between them what joins them where it is not a plain call. The last one is what
	// gives the capability.
	Path []string `json:"path"`
}

// Module is a module of the build.
type Module struct {
	Path string `json:"path"`
	// Version is empty for the main module and for modules replaced by a directory.
	Version string `json:"version"`
	// Direct are capabilities that packages of the module use themselves, Capabilities all that they can reach.
	Direct       []Capability `json:"direct"`
	Capabilities []Capability `json:"capabilities"`
}

// Package is one package.
type Package struct {
	Path         string `json:"path"`
	Module       string `json:"module"`
	Capabilities []Use  `json:"capabilities"`
}

// sort puts everything in the order of the format, and makes empty lists of absent ones.
func (r *Report) sort() {
	r.Tags = sorted(r.Tags)
	r.Capabilities = sortedUses(r.Capabilities)
	r.Modules = notNil(r.Modules)
	r.Packages = notNil(r.Packages)
	slices.SortFunc(r.Modules, func(a, b Module) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(r.Packages, func(a, b Package) int { return cmp.Compare(a.Path, b.Path) })
	for i := range r.Modules {
		r.Modules[i].Direct = sorted(r.Modules[i].Direct)
		r.Modules[i].Capabilities = sorted(r.Modules[i].Capabilities)
	}
	for i := range r.Packages {
		r.Packages[i].Capabilities = sortedUses(r.Packages[i].Capabilities)
	}
}

func sortedUses(uses []Use) []Use {
	slices.SortFunc(uses, func(a, b Use) int { return cmp.Compare(a.Capability, b.Capability) })
	return notNil(uses)
}

func sorted[T ~string](list []T) []T {
	list = notNil(slices.Clone(list))
	slices.Sort(list)
	return slices.Compact(list)
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// JSON returns the report's bytes, sorted and indented, with a line break at the end. A report that Parse would refuse is an
// error.
func (r *Report) JSON() ([]byte, error) {
	r.sort()
	if err := r.check(); err != nil {
		return nil, err
	}
	return r.encode()
}

func (r *Report) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return b.Bytes(), nil
}

// Parse reads a report that somebody gave. It refuses unknown members and values, double keys, and bytes that JSON would not
// write for the same report.
func Parse(data []byte) (*Report, error) {
	limits := predicate.JSONLimits{MaxBytes: MaxReportBytes, MaxDepth: 8, MaxValues: maxValues}
	if err := predicate.StrictJSON(data, limits); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var r Report
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.sort()
	again, err := r.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("report: not in the form in which reports are written (order, indentation, or a list twice)")
	}
	return &r, nil
}

var hexSHA256 = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check says what is wrong with a report that is otherwise well-formed.
func (r *Report) check() error {
	switch {
	case r.Format != Format:
		return fmt.Errorf("report: format is %.80q, want %q", r.Format, Format)
	case r.Mode != ModeCallGraph && r.Mode != ModeImports:
		return fmt.Errorf("report: mode is %.40q, want %q or %q", r.Mode, ModeCallGraph, ModeImports)
	case r.Main == "" || r.Go == "" || r.GOOS == "" || r.GOARCH == "" || r.Tool == "":
		return fmt.Errorf("report: main, go, tool, goos or goarch is empty")
	case !hexSHA256.MatchString(r.Sources):
		return fmt.Errorf("report: sources is %.80q, want 64 hex digits", r.Sources)
	}
	if err := checkUses("the program", r.Capabilities); err != nil {
		return err
	}
	modules := map[string]bool{}
	for _, m := range r.Modules {
		if modules[m.Path] {
			return fmt.Errorf("report: module %.200q stands twice", m.Path)
		}
		modules[m.Path] = true
		for _, c := range append(slices.Clone(m.Direct), m.Capabilities...) {
			if !slices.Contains(All(), c) {
				return fmt.Errorf("report: module %.200q: %.40q is no capability", m.Path, c)
			}
		}
	}
	packages := map[string]bool{}
	for _, p := range r.Packages {
		if packages[p.Path] || !modules[p.Module] {
			return fmt.Errorf("report: package %.200q stands twice, or its module %.200q is not listed", p.Path, p.Module)
		}
		packages[p.Path] = true
		if err := checkUses(p.Path, p.Capabilities); err != nil {
			return err
		}
	}
	return nil
}

func checkUses(of string, uses []Use) error {
	seen := map[Capability]bool{}
	for _, u := range uses {
		if !slices.Contains(All(), u.Capability) || seen[u.Capability] {
			return fmt.Errorf("report: %.200s: %.40q is no capability, or stands twice", of, u.Capability)
		}
		seen[u.Capability] = true
		if len(u.Path) == 0 || len(u.Path) > maxPath {
			return fmt.Errorf("report: %.200s: the path to %s has %d parts, want 1 to %d", of, u.Capability, len(u.Path), maxPath)
		}
	}
	return nil
}
