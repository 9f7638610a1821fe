// Package rebuild builds a Go program again from source, with the toolchain and the flags that an existing binary names in its build
// info, and says whether the same bytes come out. If they do, source and binary are shown to belong together by anybody who repeats
// it, which is what evidence of kind rebuild is for (specification, rule R16).
//
// # Contract
//
//   - Of the binary's build info only settings of a fixed list are used, each with values of a fixed form ([Settings]). Anything else
//     that would change the build is an error with CodeSetting, never a flag: a binary cannot have an argument of its choice passed
//     to a compiler.
//   - The environment is clean, the toolchain is the one on the path and must be the version that the binary names, nothing is
//     downloaded unless asked for (package gocmd).
//   - An unequal result says where the two differ: build info and sections.
//   - [Result.Statement] is an in-toto statement over the rebuilt binary with in-toto's link predicate; [Result.Link] is the same step as a
//     link of in-toto-golang for layouts. Only an equal result has them.
//
// # in-toto
//
// Materials and products are recorded by in-toto-golang (RecordArtifacts, Link). Its InTotoRun starts commands with the whole
// environment of the caller, so the command is started here and the link has what InTotoRun would have recorded.
//
// # Trust
//
// The toolchain is trusted; the binary is foreign and only parsed. The source is compiled, not run; with cgo the C compiler on the path
// takes part, so cgo needs a decision of the caller.
package rebuild
