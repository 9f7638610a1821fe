// Package text prints foreign text on a person's terminal.
//
// Everything that a vendor, a service or a file says is foreign: a name can hold escape sequences that rewrite the
// screen, right-to-left overrides that turn "rejected" around, or line breaks that forge a line of the verdict. So
// strings go through Safe, once, where they enter the output, and nothing is trusted because it was signed.
//
// Writer keeps the colours (only on a terminal, never with NO_COLOR set: https://no-color.org) and the width; Table
// lays out cells that wrap. Width follows Unicode Standard Annex 11 as golang.org/x/text/width implements it, which
// is good enough for columns and promises nothing about fonts.
//
// Contract: a Writer keeps the first error of its destination and prints nothing after it; a command that could not
// print its answer must not report success. No line is wider than the width, unless a single word of a heading is.
package text
