// Package doctest makes the commands of the documentation true: its test runs them and compares what they print.
//
// In README.md and docs/*.md every fenced block that is marked console is run. All blocks of one file are one session of one
// shell, in order, in an empty directory with an empty HOME; PATH holds freshly built avow and avowd, and the system's programs.
//
//   - A line that begins with "$ " is a command. A backslash at its end, or a here-document, continues it.
//   - The lines after it are what the command prints, on standard output and standard error together. They are compared line by
//     line, without trailing space; none of them can begin with "$ ". "…" in a line stands for anything in that line, and a line
//     that is only "…" for any lines, or none.
//   - "# exit 1" at the end of a command says which exit code it has. The default is 0. A file ends at its first difference.
//   - A command that ends in & goes on in the background: the session waits until it has printed what is expected. What it
//     prints later is not compared. All of them are ended with the session.
//   - "console needs=PROGRAM[,PROGRAM]" marks a block that is left out where a PROGRAM is not installed. "root" is none: it stands for
//     being root on Linux, which blocks need that make network namespaces.
//
// Three things are not run as they stand. "go run ./cmd/avow" and "go run ./cmd/avowd" become the built programs. What would
// fetch, build or test this repository (git clone, go build, go install, go test) is not run. And the default ports of avowd
// are replaced by free ones, in the commands, in the configuration that "avowd init" writes, and back again in what is printed,
// so that the test disturbs no service on this machine.
//
// The package trusts the documents that it runs as it trusts the code beside them: they are part of the tree. It reaches no network
// beyond loopback. There is nothing to import here; the package exists for its tests. Blocks that are to be read only are marked
// with nothing, sh or text. The form of fenced blocks is that of CommonMark: https://spec.commonmark.org/0.31.2/#fenced-code-blocks
package doctest
