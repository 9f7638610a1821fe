package reach

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/ssa/ssautil"

	"github.com/avow-dev/avow/attest/evidence/capability"
)

// Analyze returns what the program can do. The error is *Error where the program cannot be analysed as it is.
func Analyze(ctx context.Context, o Options) (*capability.Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	table, err := capability.NewTable()
	if err != nil {
		return nil, err
	}
	b, err := o.list(ctx)
	if err != nil {
		return nil, err
	}
	r := &capability.Report{Format: capability.Format, Tool: o.Tool, Main: b.main.PkgPath, Module: b.main.Module.Path, CGO: o.CGO,
		Tags: o.Tags, Mode: capability.ModeCallGraph}
	if r.Sources, err = b.digest(); err != nil {
		return nil, err
	}
	if err := o.platform(ctx, r); err != nil {
		return nil, err
	}
	if o.Imports {
		r.Mode = capability.ModeImports
		byImports(r, b, table)
		return r, nil
	}
	if err := o.callGraph(ctx, r, b, table); err != nil {
		return nil, err
	}
	return r, nil
}

// callGraph fills in the report from the graph of calls.
func (o *Options) callGraph(ctx context.Context, r *capability.Report, b *build, table *capability.Table) error {
	loaded, err := o.load(ctx, b)
	if err != nil {
		return err
	}
	prog, _ := ssautil.AllPackages(loaded, ssa.InstantiateGenerics)
	prog.Build()
	if err := ctx.Err(); err != nil {
		return err
	}
	g := newGraph(prog, table)
	source := make(map[string]bool, len(loaded))
	for _, p := range loaded {
		source[p.PkgPath] = true
	}
	for _, p := range prog.AllPackages() {
		g.std[p.Pkg] = !source[p.Pkg.Path()]
	}
	main := prog.ImportedPackage(b.main.PkgPath)
	if main == nil {
		main = packageByPath(prog, b.main.PkgPath)
	}
	if main == nil || main.Func("main") == nil {
		return &Error{fmt.Sprintf("%s has no function main", b.main.PkgPath), "name the package of the program"}
	}
	g.run(main.Func("main"), main.Func("init"))
	g.report(r, b, []int{g.functions[main.Func("main")], g.functions[main.Func("init")]})
	return nil
}

// packageByPath finds a main package, which nothing imports.
func packageByPath(prog *ssa.Program, path string) *ssa.Package {
	for _, p := range prog.AllPackages() {
		if p.Pkg.Path() == path {
			return p
		}
	}
	return nil
}

// report reads the answers from the graph.
func (g *graph) report(r *capability.Report, b *build, roots []int) {
	backward := g.backward()
	uses := map[string][]capability.Use{}
	for _, c := range capability.All() {
		next, distance := g.toward(c, backward)
		best := map[string]int{} // by package: the function that is nearest
		for id := range g.nodes {
			pkg := g.nodes[id].pkg
			if pkg == "" || distance[id] < 0 {
				continue
			}
			if other, ok := best[pkg]; !ok || g.nearer(id, other, distance) {
				best[pkg] = id
			}
		}
		for pkg, id := range best {
			uses[pkg] = append(uses[pkg], capability.Use{Capability: c, Direct: distance[id] == 1, Path: g.path(id, next)})
		}
		for _, root := range roots {
			if distance[root] >= 0 {
				r.Capabilities = append(r.Capabilities, capability.Use{Capability: c, Direct: distance[root] == 1, Path: g.path(root, next)})
				break
			}
		}
	}
	reached := map[string]bool{}
	for _, n := range g.nodes {
		reached[n.pkg] = true
	}
	for _, p := range b.packages {
		if reached[p.PkgPath] {
			r.Packages = append(r.Packages, capability.Package{Path: p.PkgPath, Module: p.Module.Path, Capabilities: uses[p.PkgPath]})
		}
	}
	modules(r, b)
}

// nearer orders functions by their distance, then by name, so that the answer does not depend on the order of the nodes.
func (g *graph) nearer(a, b int, distance []int) bool {
	if distance[a] != distance[b] {
		return distance[a] < distance[b]
	}
	return g.nodes[a].name < g.nodes[b].name
}

// backward turns the edges round.
func (g *graph) backward() [][]int {
	back := make([][]int, len(g.nodes))
	for from := range g.nodes {
		for _, to := range g.nodes[from].to {
			back[to] = append(back[to], from)
		}
	}
	return back
}

// toward returns for every node the next one on a shortest path to a leaf with the capability, and how far that is; -1 where there
// is no path.
func (g *graph) toward(c capability.Capability, backward [][]int) (next, distance []int) {
	next, distance = make([]int, len(g.nodes)), make([]int, len(g.nodes))
	var queue []int
	for id := range g.nodes {
		next[id], distance[id] = -1, -1
		if slices.Contains(g.nodes[id].gives, c) {
			distance[id] = 0
			queue = append(queue, id)
		}
	}
	slices.SortFunc(queue, func(a, b int) int { return strings.Compare(g.nodes[a].name, g.nodes[b].name) })
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		for _, from := range backward[id] {
			if distance[from] < 0 {
				next[from], distance[from] = id, distance[id]+1
				queue = append(queue, from)
			}
		}
	}
	return next, distance
}

const (
	maxPath  = 64  // parts of a path that are written; the middle of longer ones is left out, and says so
	maxWords = 400 // bytes of one part
)

// path follows next to the leaf.
func (g *graph) path(id int, next []int) []string {
	var parts []string
	for ; id >= 0; id = next[id] {
		name := g.nodes[id].name
		if len(name) > maxWords {
			name = strings.ToValidUTF8(name[:maxWords], "") + "..."
		}
		parts = append(parts, name)
	}
	if over := len(parts) - maxPath; over > 0 {
		left := fmt.Sprintf("... %d more ...", over+1)
		parts = slices.Concat(parts[:maxPath/2], []string{left}, parts[len(parts)-maxPath/2+1:])
	}
	return parts
}

// modules sums up the packages of each module.
func modules(r *capability.Report, b *build) {
	all := map[string]*capability.Module{}
	for _, p := range b.packages {
		if all[p.Module.Path] == nil {
			all[p.Module.Path] = &capability.Module{Path: p.Module.Path, Version: version(p.Module)}
		}
	}
	for _, p := range r.Packages {
		m := all[p.Module]
		for _, u := range p.Capabilities {
			m.Capabilities = append(m.Capabilities, u.Capability)
			if u.Direct {
				m.Direct = append(m.Direct, u.Capability)
			}
		}
	}
	for _, m := range all {
		r.Modules = append(r.Modules, *m)
	}
}

// byImports fills in the report from imports alone.
func byImports(r *capability.Report, b *build, table *capability.Table) {
	g := &graph{}
	ids := map[string]int{}
	for _, p := range b.packages {
		ids[p.PkgPath] = g.add(node{name: p.PkgPath, pkg: p.PkgPath})
	}
	for _, p := range b.packages {
		from := ids[p.PkgPath]
		for _, path := range sortedKeys(p.Imports) {
			if _, known := ids[path]; !known {
				ids[path] = g.add(node{name: path, gives: table.OfPackage(path)})
			}
			g.edge(from, ids[path])
		}
		if slices.ContainsFunc(p.OtherFiles, func(name string) bool { return strings.HasSuffix(name, ".s") }) {
			g.edge(from, g.add(node{name: "assembly in " + p.PkgPath, gives: []capability.Capability{capability.Assembly}}))
		}
		if _, cgo := p.Imports["runtime/cgo"]; cgo {
			g.edge(from, g.add(node{name: "C code in " + p.PkgPath, gives: []capability.Capability{capability.Cgo}}))
		}
	}
	g.report(r, b, []int{ids[b.main.PkgPath]})
}

func sortedKeys(m map[string]*packages.Package) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
