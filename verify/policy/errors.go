package policy

import (
	"fmt"
	"strings"
)

// Code says what is wrong with a policy. The list is closed ([Codes]); a code
// never changes its meaning.
type Code string

// The codes.
const (
	// CodeRead: the policy, or a key file that it names, cannot be read.
	CodeRead Code = "POLICY_READ"
	// CodeSyntax: not YAML, or not the YAML that policies are written in (one
	// document, no anchors, no tags), or CEL that does not parse.
	CodeSyntax Code = "POLICY_SYNTAX"
	// CodeUnknownField: a member that policies, or the type that an expression
	// reads, do not have.
	CodeUnknownField Code = "POLICY_UNKNOWN_FIELD"
	// CodeMissingField: a member that must be there.
	CodeMissingField Code = "POLICY_MISSING_FIELD"
	// CodeUnknownName: a variable or function that expressions do not have.
	CodeUnknownName Code = "POLICY_UNKNOWN_NAME"
	// CodeType: a value of the wrong kind, or an expression of the wrong type.
	CodeType Code = "POLICY_TYPE"
	// CodeValue: a value of the right kind that is not allowed there.
	CodeValue Code = "POLICY_VALUE"
	// CodeDuplicate: the same member, rule, parameter or vendor twice.
	CodeDuplicate Code = "POLICY_DUPLICATE"
	// CodeIncludeMissing: a policy that is included and is not there.
	CodeIncludeMissing Code = "POLICY_INCLUDE_MISSING"
	// CodeIncludeCycle: a policy that includes itself.
	CodeIncludeCycle Code = "POLICY_INCLUDE_CYCLE"
	// CodeLimit: larger, deeper or more than the limits of this package.
	CodeLimit Code = "POLICY_LIMIT"
	// CodeParameter: a parameter that is unknown, of another type, or given two
	// values.
	CodeParameter Code = "POLICY_PARAMETER"
	// CodeKey: a key that is not an ECDSA P-256 public key in PEM.
	CodeKey Code = "POLICY_KEY"
	// CodeNoRule: a policy that asks for nothing.
	CodeNoRule Code = "POLICY_NO_RULE"
)

// Codes returns all codes.
func Codes() []Code {
	return []Code{
		CodeRead, CodeSyntax, CodeUnknownField, CodeMissingField, CodeUnknownName, CodeType, CodeValue, CodeDuplicate,
		CodeIncludeMissing, CodeIncludeCycle, CodeLimit, CodeParameter, CodeKey, CodeNoRule,
	}
}

// Error is one thing that is wrong with a policy.
type Error struct {
	// Code is one of [Codes].
	Code Code
	// File is the name of the policy, as it was loaded or included.
	File string
	// Line and Column are where, from 1; 0 where it is not about a place.
	Line, Column int
	// Message says what is wrong; it may quote the policy.
	Message string
	// Hint says what to do about it; may be empty.
	Hint string
}

// Error returns place, message and code, without the hint.
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, max(e.Column, 1))
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s (%s)", e.Message, e.Code)
	return b.String()
}

// Errors are all things that are wrong with a policy, in the order of its text;
// errors.As finds the first as an [*Error].
type Errors []*Error

// Error returns one line per error.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors one by one.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}
