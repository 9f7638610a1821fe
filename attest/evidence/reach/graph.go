package reach

import (
	"go/types"

	"golang.org/x/tools/go/ssa"
	"golang.org/x/tools/go/types/typeutil"

	"github.com/avow-dev/avow/attest/evidence/capability"
)

// node is a place of the graph: a function, or what joins functions.
type node struct {
	name string
	pkg  string // import path; empty for what belongs to no package
	to   []int
	// gives are capabilities of a leaf.
	gives []capability.Capability
}

// graph grows from its roots until nothing new can be reached.
type graph struct {
	prog  *ssa.Program
	table *capability.Table
	std   map[*types.Package]bool // false: read from source
	nodes []node

	functions map[*ssa.Function]int
	leaves    map[string]int
	work      []*ssa.Function

	types  typeutil.Map // types.Type -> int: what was converted to an interface, and what is inside
	msets  typeutil.MethodSetCache
	called map[string]bool     // by id: unexported methods that are called through an interface
	hidden map[string][]method // by id: unexported methods of the types that were not called so far
}

// method is a method that a converted type has.
type method struct {
	owner     int // the type's node
	selection *types.Selection
}

func newGraph(prog *ssa.Program, table *capability.Table) *graph {
	return &graph{prog: prog, table: table, functions: map[*ssa.Function]int{}, leaves: map[string]int{}, called: map[string]bool{},
		hidden: map[string][]method{}, std: map[*types.Package]bool{}}
}

func (g *graph) add(n node) int {
	g.nodes = append(g.nodes, n)
	return len(g.nodes) - 1
}

func (g *graph) edge(from, to int) {
	if from != to {
		g.nodes[from].to = append(g.nodes[from].to, to)
	}
}

// run follows everything from the roots.
func (g *graph) run(roots ...*ssa.Function) {
	for _, f := range roots {
		g.function(f)
	}
	for len(g.work) > 0 {
		f := g.work[0]
		g.work = g.work[1:]
		g.body(f)
	}
}

// function returns the node of a function, and has its body followed. Functions of the standard library are leaves.
func (g *graph) function(f *ssa.Function) int {
	if id, ok := g.functions[f]; ok {
		return id
	}
	pkg := packageOf(f)
	if pkg != nil && g.std[pkg] && !wrapper(f) {
		id := g.leaf(pkg.Path(), standardName(f))
		g.functions[f] = id
		g.typeArguments(id, f)
		return id
	}
	path := ""
	if pkg != nil {
		path = pkg.Path()
	}
	id := g.add(node{name: f.String(), pkg: path})
	g.functions[f] = id
	g.work = append(g.work, f)
	return id
}

// wrapper reports whether a function is made by package ssa and has a body, whatever package its receiver is of.
func wrapper(f *ssa.Function) bool { return f.Synthetic != "" && len(f.Blocks) > 0 && f.Pkg == nil }

// packageOf finds the package in which a function is written, also of instances, wrappers and closures.
func packageOf(f *ssa.Function) *types.Package {
	for f.Parent() != nil {
		f = f.Parent()
	}
	if origin := f.Origin(); origin != nil {
		f = origin
	}
	if f.Pkg != nil {
		return f.Pkg.Pkg
	}
	if object := f.Object(); object != nil {
		return object.Pkg()
	}
	return nil
}

// standardName is the name by which the table knows a function or method.
func standardName(f *ssa.Function) string {
	if origin := f.Origin(); origin != nil {
		f = origin
	}
	if receiver := f.Signature.Recv(); receiver != nil {
		return receiverName(receiver.Type()) + "." + f.Name()
	}
	return f.Name()
}

func receiverName(t types.Type) string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		return n.Obj().Name()
	}
	return ""
}

// leaf is the node of a function or variable of the standard library.
func (g *graph) leaf(pkg, name string) int {
	key := pkg + "." + name
	id, ok := g.leaves[key]
	if !ok {
		gives := g.table.Of(pkg, name)
		if name == "init" {
			gives = nil // importing a package is not using it
		}
		id = g.add(node{name: key, gives: gives})
		g.leaves[key] = id
	}
	return id
}

// special is the node of something that is no function of the standard library but gives a capability all the same.
func (g *graph) special(name string, gives ...capability.Capability) int {
	id, ok := g.leaves[name]
	if !ok {
		id = g.add(node{name: name, gives: gives})
		g.leaves[name] = id
	}
	return id
}

// typeArguments: a generic function of the standard library can call the methods of what it is made for.
func (g *graph) typeArguments(from int, f *ssa.Function) {
	for _, t := range f.TypeArgs() {
		g.edge(from, g.converted(t))
	}
}

// converted returns the node of a type whose values become interfaces: from there its exported methods can be called by whoever
// gets the value, and those of the types inside it by reflection.
func (g *graph) converted(t types.Type) int {
	t = types.Unalias(t)
	if id, ok := g.types.At(t).(int); ok {
		return id
	}
	id := g.add(node{name: "type " + types.TypeString(t, nil)})
	g.types.Set(t, id)
	if !types.IsInterface(t) {
		g.methodsOf(id, t)
	}
	for _, inner := range g.inside(t) {
		if !g.standardType(inner) { // who reflects on what the standard library made uses reflect, which is a capability
			g.edge(id, g.converted(inner))
		}
	}
	return id
}

// standardType reports whether a type, or what it points to, is one of the standard library.
func (g *graph) standardType(t types.Type) bool {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.TypeArgs().Len() == 0 && (n.Obj().Pkg() == nil || g.std[n.Obj().Pkg()])
}

// methodsOf adds the exported methods of a type, and the unexported ones that are called through an interface.
func (g *graph) methodsOf(id int, t types.Type) {
	set := g.msets.MethodSet(t)
	for i := range set.Len() {
		m := method{id, set.At(i)}
		if key := m.selection.Obj().Id(); !m.selection.Obj().Exported() && !g.called[key] {
			g.hidden[key] = append(g.hidden[key], m)
			continue
		}
		g.method(m)
	}
}

func (g *graph) method(m method) {
	// An abstract method, of an embedded interface, has no function: what implements it is converted elsewhere.
	if f := g.prog.MethodValue(m.selection); f != nil {
		g.edge(m.owner, g.function(f))
	}
}

// inside are the types that reflection finds in a value of a type. Those of the standard library are not looked into: what they
// hold was made by their own functions, or converted where it was put in.
func (g *graph) inside(t types.Type) []types.Type {
	switch t := t.(type) {
	case *types.Named:
		var list []types.Type
		for a := range t.TypeArgs().Types() {
			list = append(list, a)
		}
		if pkg := t.Obj().Pkg(); pkg == nil || g.std[pkg] {
			return list
		}
		if !types.IsInterface(t) {
			list = append(list, types.NewPointer(t))
		}
		return append(list, g.inside(t.Underlying())...)
	case *types.Pointer:
		return []types.Type{t.Elem()}
	case *types.Slice:
		return []types.Type{t.Elem()}
	case *types.Array:
		return []types.Type{t.Elem()}
	case *types.Chan:
		return []types.Type{t.Elem()}
	case *types.Map:
		return []types.Type{t.Key(), t.Elem()}
	case *types.Struct:
		var list []types.Type
		for f := range t.Fields() {
			list = append(list, f.Type())
		}
		return list
	}
	return nil
}

// invoked adds what a call of an interface's method brings in. The methods that it can reach belong to types which were converted
// somewhere, and that place is answerable for them; here only unexported ones come alive, and what the table says of a method
// of one of the standard library's interfaces counts.
func (g *graph) invoked(from int, receiver types.Type, m *types.Func) {
	if key := m.Id(); !m.Exported() && !g.called[key] {
		g.called[key] = true
		for _, hidden := range g.hidden[key] {
			g.method(hidden)
		}
		delete(g.hidden, key)
	}
	n, ok := types.Unalias(receiver).(*types.Named)
	if pkg := m.Pkg(); ok && pkg != nil && g.std[pkg] && n.Obj().Pkg() == pkg && pkg.Path() == "reflect" {
		g.edge(from, g.leaf(pkg.Path(), n.Obj().Name()+"."+m.Name()))
	}
}
