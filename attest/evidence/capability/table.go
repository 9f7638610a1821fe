package capability

import (
	_ "embed"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Capability is something a program can do that a reader of a no-backdoor statement asks about.
type Capability string

const (
	// Network: opens, accepts or resolves connections.
	Network Capability = "network"
	// Exec: starts other programs, or sends them signals.
	Exec Capability = "exec"
	// FileWrite: creates, changes or removes files.
	FileWrite Capability = "fileWrite"
	// Unsafe: goes round the type system with package unsafe.
	Unsafe Capability = "unsafe"
	// Syscall: asks the operating system directly, past the standard library's functions.
	Syscall Capability = "syscall"
	// Reflect: calls or changes by reflection what source does not name.
	Reflect Capability = "reflect"
	// Plugin: loads code at run time.
	Plugin Capability = "plugin"
	// Cgo: runs C code, which is not analysed.
	Cgo Capability = "cgo"
	// Assembly: a function without Go body (assembly, or another package's function by linkname), which is not analysed.
	Assembly Capability = "assembly"
	// Unclassified: a package of the standard library that the table does not know.
	Unclassified Capability = "unclassified"
)

// All returns the closed list, sorted. It is a fresh slice.
func All() []Capability {
	return []Capability{Assembly, Cgo, Exec, FileWrite, Network, Plugin, Reflect, Syscall, Unclassified, Unsafe}
}

//go:embed std.txt
var standardLibrary string

// rule is what one package of the standard library gives.
type rule struct {
	otherwise []Capability // of a name that no line lists
	names     []named
}

// named are the patterns of one line.
type named struct {
	gives    []Capability
	patterns []string
}

// Table answers what the standard library gives. The zero value knows no package, so everything is Unclassified.
type Table struct {
	rules map[string]rule
}

// NewTable reads the table of this version. A table that cannot be read is a defect, which any test finds; it is an error and
// never an empty table.
func NewTable() (*Table, error) { return parseTable(standardLibrary) }

func parseTable(source string) (*Table, error) {
	t := &Table{rules: map[string]rule{}}
	current := ""
	for number, line := range strings.Split(source, "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "pure" {
			for _, p := range fields[1:] {
				t.rules[p] = rule{}
			}
			continue
		}
		gives, err := parseCapabilities(fields[0])
		switch {
		case fields[0] == "package" && len(fields) == 3:
			if gives, err = parseCapabilities(fields[2]); err == nil {
				current = fields[1]
				t.rules[current] = rule{otherwise: gives}
			}
		case err == nil && current != "" && len(fields) > 1:
			r := t.rules[current]
			r.names = append(r.names, named{gives, fields[1:]})
			t.rules[current] = r
		case err == nil:
			err = fmt.Errorf("no package, or no names")
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of the table: %w", number+1, err)
		}
	}
	return t, nil
}

// parseCapabilities reads names joined by +, or "none".
func parseCapabilities(s string) ([]Capability, error) {
	if s == "none" {
		return nil, nil
	}
	var list []Capability
	for name := range strings.SplitSeq(s, "+") {
		if !slices.Contains(All(), Capability(name)) {
			return nil, fmt.Errorf("%.40q is no capability", name)
		}
		list = append(list, Capability(name))
	}
	return list, nil
}

// Of returns what using a function, method or variable of the standard library gives. Name is "Dial" or, with a receiver,
// "Dialer.Dial", without star and type parameters. A name that the table does not list has what its package has otherwise, and
// a package that it does not list has Unclassified.
func (t *Table) Of(pkg, name string) []Capability {
	r, ok := t.rules[pkg]
	if !ok {
		return []Capability{Unclassified}
	}
	for _, line := range r.names {
		if slices.ContainsFunc(line.patterns, func(p string) bool { return matches(p, name) }) {
			return line.gives // the first line that lists it
		}
	}
	return r.otherwise
}

// matches is path.Match without its error: the patterns are this package's own, and a test reads each.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// OfPackage returns everything that importing a package of the standard library may give, for analyses that see imports only.
func (t *Table) OfPackage(pkg string) []Capability {
	r, ok := t.rules[pkg]
	if !ok {
		return []Capability{Unclassified}
	}
	all := slices.Clone(r.otherwise)
	for _, line := range r.names {
		all = append(all, line.gives...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Packages returns the packages that the table knows, sorted.
func (t *Table) Packages() []string {
	var all []string
	for p := range t.rules {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}
