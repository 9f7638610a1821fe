package reach

import (
	"go/types"
	"strings"

	"golang.org/x/tools/go/ssa"

	"github.com/avow-dev/avow/attest/evidence/capability"
)

// body adds the edges that leave a function.
func (g *graph) body(f *ssa.Function) {
	from := g.functions[f]
	if len(f.Blocks) == 0 {
		g.bodiless(from, f)
		return
	}
	var operands []*ssa.Value
	for _, block := range f.Blocks {
		for _, instruction := range block.Instrs {
			g.instruction(from, instruction)
			operands = instruction.Operands(operands[:0])
			for _, operand := range operands {
				if *operand != nil {
					g.operand(from, *operand)
				}
			}
		}
	}
	if strings.HasPrefix(f.Name(), "_Cfunc_") || strings.HasPrefix(f.Name(), "_cgo_") {
		g.edge(from, g.special("C code", capability.Cgo))
	}
}

// bodiless is a function that no Go source shows.
func (g *graph) bodiless(from int, f *ssa.Function) {
	pkg := g.nodes[from].pkg
	if strings.HasPrefix(f.Name(), "_cgo_") || strings.HasPrefix(f.Name(), "_Cfunc_") {
		g.edge(from, g.special("C code", capability.Cgo))
		return
	}
	g.edge(from, g.special("a body that is not Go", capability.Assembly))
	if strings.HasPrefix(pkg, "golang.org/x/sys/") {
		g.edge(from, g.special("a system call", capability.Syscall))
	}
}

// instruction adds what an instruction itself does, beside the values that it uses.
func (g *graph) instruction(from int, instruction ssa.Instruction) {
	switch i := instruction.(type) {
	case ssa.CallInstruction:
		g.call(from, i.Common())
	case *ssa.MakeInterface:
		g.edge(from, g.converted(i.X.Type()))
	case *ssa.Convert:
		if unsafePointer(i.X.Type()) || unsafePointer(i.Type()) {
			g.edge(from, g.special("unsafe.Pointer", capability.Unsafe))
		}
	case *ssa.MultiConvert:
		if unsafePointer(i.X.Type()) || unsafePointer(i.Type()) {
			g.edge(from, g.special("unsafe.Pointer", capability.Unsafe))
		}
	}
}

func unsafePointer(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Kind() == types.UnsafePointer
}

// call adds calls whose target is found at run time. Others name their target as an operand.
func (g *graph) call(from int, c *ssa.CallCommon) {
	if c.IsInvoke() {
		g.invoked(from, c.Value.Type(), c.Method)
		return
	}
	if v, ok := c.Value.(*ssa.Builtin); ok && v.Name()[0] >= 'A' && v.Name()[0] <= 'Z' { // those of package unsafe
		g.edge(from, g.special("unsafe."+v.Name(), capability.Unsafe))
	}
}

// operand adds what a value that is used brings in: functions, and variables of the standard library.
func (g *graph) operand(from int, v ssa.Value) {
	switch v := v.(type) {
	case *ssa.Function:
		g.edge(from, g.function(v)) // called, or its value taken: whoever calls the value has it from here
	case *ssa.Global:
		if v.Pkg != nil && g.std[v.Pkg.Pkg] {
			g.edge(from, g.leaf(v.Pkg.Pkg.Path(), v.Name()))
		}
	}
}
