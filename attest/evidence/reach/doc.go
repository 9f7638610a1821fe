// Package reach finds what a Go program can do from its source: which packages of a build can reach the network, other
// programs, unsafe memory and the other capabilities of package capability.
//
// # Method
//
// The packages outside the standard library are read from source and brought into SSA form (golang.org/x/tools/go/packages and
// go/ssa). A graph is built from main.main and the initialisation of main. A function has an edge to every function that it calls
// or whose value it takes, and to every type that it converts to an interface; a type has edges to its exported methods, to those
// unexported ones that some interface calls, and to the types inside it, because whoever gets the value can call them, the
// standard library and reflection included (the rule of rapid type analysis). Paths are shortest paths in that graph.
//
// So the package that supplies a behaviour is answerable for it: the one that makes the closure, registers the handler or hands out
// the value, not the one that calls what it was given. Every function that can run has an edge from where its value came from, so
// nothing is lost for the program as a whole, and io.Copy does not open connections because somebody's Reader does.
//
// The standard library is a boundary: what its functions give is a table (package capability), not a path through its source.
// Followed through, every program that prints a line reaches a system call, and the answer says nothing. x/tools' own rta and
// vta follow calls only where they have a body, and would miss a callback given to sort.Slice or http.Handle when the library's
// bodies are left out; that is why the graph is built here.
//
// # Contract
//
//   - What can be reached is found, also by ways that no run takes; the result is an upper bound. The exceptions name themselves:
//     assembly, cgo, plugin, reflect and unsafe are capabilities of their own, because behind them anything can be.
//   - The same source, options and toolchain give the same report, byte for byte.
//   - Nothing of the program is run. The go command lists and compiles it, as a build does, with a clean environment; it downloads
//     no modules and no toolchain unless asked.
//
// # Trust
//
// The Go toolchain on the path is trusted, as for every build. The analysed source is not: it is parsed and compiled, never run,
// and cgo is switched off unless asked for, because a C compiler and its flags come with it.
package reach
