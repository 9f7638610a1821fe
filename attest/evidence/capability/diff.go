package capability

import (
	"cmp"
	"fmt"
	"slices"
)

// Change is a capability that a package gained or lost.
type Change struct {
	// Package is the import path; empty for the whole program.
	Package    string     `json:"package"`
	Module     string     `json:"module"`
	Capability Capability `json:"capability"`
	// Gained is false for what was lost.
	Gained bool `json:"gained"`
	// Direct means that the package itself uses it. A package that could reach it already and now uses it directly has gained it.
	Direct bool `json:"direct"`
	// NewPackage and Removed say that the package is in only one of the two.
	NewPackage bool `json:"newPackage"`
	Removed    bool `json:"removed"`
	// Path is the way to the capability, of the report that has it.
	Path []string `json:"path"`
}

// Difference is what changed between two reports. The JSON form is sorted and stable.
type Difference struct {
	Format string `json:"format"`
	// OldSources and NewSources say which two were compared.
	OldSources string   `json:"oldSources"`
	NewSources string   `json:"newSources"`
	Changes    []Change `json:"changes"`
}

// DifferenceFormat is the value of a difference's format member.
const DifferenceFormat = "https://w3id.org/avow/go-capabilities-diff/v1"

// Gained reports whether anything was gained.
func (d *Difference) Gained() bool {
	return slices.ContainsFunc(d.Changes, func(c Change) bool { return c.Gained })
}

// Compare says what the new release gained and lost. Reports that cannot be compared, because another program, platform or mode
// was analysed, are an error: a capability that is missing on another platform was not lost.
func Compare(before, after *Report) (*Difference, error) {
	for _, m := range []struct{ what, before, after string }{
		{"mode", before.Mode, after.Mode}, {"goos", before.GOOS, after.GOOS}, {"goarch", before.GOARCH, after.GOARCH},
		{"cgo", fmt.Sprint(before.CGO), fmt.Sprint(after.CGO)}, {"tags", fmt.Sprint(before.Tags), fmt.Sprint(after.Tags)},
		{"main", before.Main, after.Main},
	} {
		if m.before != m.after {
			return nil, fmt.Errorf("%s is %.200q in the old report and %.200q in the new one", m.what, m.before, m.after)
		}
	}
	d := &Difference{Format: DifferenceFormat, OldSources: before.Sources, NewSources: after.Sources, Changes: []Change{}}
	d.compare(Package{Module: before.Module, Capabilities: before.Capabilities},
		Package{Module: after.Module, Capabilities: after.Capabilities})
	old := byPath(before)
	for path, p := range byPath(after) {
		previous, ok := old[path]
		delete(old, path)
		d.compare(previous, p)
		d.mark(path, !ok, false)
	}
	for path, p := range old {
		d.compare(p, Package{Path: path})
		d.mark(path, false, true)
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Capability, b.Capability))
	})
	return d, nil
}

func byPath(r *Report) map[string]Package {
	all := make(map[string]Package, len(r.Packages))
	for _, p := range r.Packages {
		all[p.Path] = p
	}
	return all
}

// mark says of the changes of the package that was compared last that it is new or gone.
func (d *Difference) mark(path string, added, removed bool) {
	for i := len(d.Changes) - 1; i >= 0 && d.Changes[i].Package == path; i-- {
		d.Changes[i].NewPackage, d.Changes[i].Removed = added, removed
	}
}

// compare adds the changes of one package.
func (d *Difference) compare(before, after Package) {
	had, has := byCapability(before.Capabilities), byCapability(after.Capabilities)
	for _, c := range All() {
		o, n := had[c], has[c]
		change := Change{Package: cmp.Or(after.Path, before.Path), Module: cmp.Or(after.Module, before.Module), Capability: c}
		switch {
		case n != nil && (o == nil || n.Direct && !o.Direct):
			change.Gained, change.Direct, change.Path = true, n.Direct, n.Path
		case o != nil && (n == nil || o.Direct && !n.Direct):
			change.Direct, change.Path = o.Direct, o.Path
		default:
			continue
		}
		d.Changes = append(d.Changes, change)
	}
}

func byCapability(uses []Use) map[Capability]*Use {
	all := make(map[Capability]*Use, len(uses))
	for i := range uses {
		all[uses[i].Capability] = &uses[i]
	}
	return all
}
