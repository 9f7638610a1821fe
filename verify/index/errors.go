package index

import "fmt"

// Codes of [Error]: a closed list.
const (
	// CodeMalformed: the bytes are not the encoding of a proof, or a list or key is not of the form that it must have.
	CodeMalformed = "INDEX_PROOF_MALFORMED"
	// CodeRootMismatch: the proof does not lead to the root.
	CodeRootMismatch = "INDEX_ROOT_MISMATCH"
	// CodeNotShown: the proof is one of its root, and does not show what was asked.
	CodeNotShown = "INDEX_NOT_SHOWN"
	// CodeRootMalformed: a leaf of the index log is not a root in its form, or cannot follow the one before it.
	CodeRootMalformed = "INDEX_ROOT_MALFORMED"
)

// Error says why a proof is refused.
type Error struct {
	// Code is one of the constants of this package.
	Code string
	// Detail says what was found and what was wanted.
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return "index: " + e.Code + ": " + e.Detail }

func malformed(format string, args ...any) *Error {
	return &Error{Code: CodeMalformed, Detail: fmt.Sprintf(format, args...)}
}

func notShown(format string, args ...any) *Error {
	return &Error{Code: CodeNotShown, Detail: fmt.Sprintf(format, args...)}
}

func rootMalformed(format string, args ...any) *Error {
	return &Error{Code: CodeRootMalformed, Detail: fmt.Sprintf(format, args...)}
}
