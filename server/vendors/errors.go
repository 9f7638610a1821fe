package vendors

import "fmt"

// Codes of [Error]: a closed list.
const (
	// Unreadable: the registry or a key file that it names cannot be read.
	Unreadable = "REGISTRY_UNREADABLE"
	// Syntax: not YAML, not one document, an alias, an unknown member, a member given twice, a value of another kind.
	Syntax = "REGISTRY_SYNTAX"
	// Value: a member is missing, or its value breaks its rule or a limit.
	Value = "REGISTRY_VALUE"
	// BadKey: a public key is not ECDSA P-256 in PEM form.
	BadKey = "REGISTRY_KEY"
	// Duplicate: a name, key, identity, token or client certificate occurs twice.
	Duplicate = "REGISTRY_DUPLICATE"
)

// Error is what is wrong with a registry. It is for the operator and names
// files as the registry does; it never shows a secret, for a registry has none.
type Error struct {
	// Code is one of the constants of this package.
	Code string
	// Line is the line of the registry file, from 1; 0 if the finding has none.
	Line int
	// Message says what was found and what was wanted.
	Message string
	// Err is the cause, or nil.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	s := "vendors: " + e.Code + ": "
	if e.Line > 0 {
		s += fmt.Sprintf("line %d: ", e.Line)
	}
	s += e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

func bad(code string, line int, format string, args ...any) *Error {
	return &Error{Code: code, Line: line, Message: fmt.Sprintf(format, args...)}
}
