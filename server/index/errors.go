package index

import (
	"errors"
	"fmt"

	"github.com/avow-dev/avow/verify/index/audit"
)

// Codes of [Error], beside those of package audit: a closed list.
const (
	// CodeConfig: a field of [Config] has no usable value.
	CodeConfig = "INDEX_CONFIG_INVALID"
	// CodeAhead: the index log covers more entries than the statement log has, which must have been restored from a backup.
	CodeAhead = "INDEX_AHEAD"
	// CodeForeign: something follows the index's own leaf in the index log.
	CodeForeign = "INDEX_LOG_FOREIGN"
	// CodeBehind: the index is more than [MaxLag] behind, or has not answered yet. It goes away by itself.
	CodeBehind = "INDEX_BEHIND"
	// CodeUnavailable: a log or the statements did not answer. It goes away by itself.
	CodeUnavailable = "INDEX_UNAVAILABLE"
	// CodeClosed: the index is closed.
	CodeClosed = "INDEX_CLOSED"
)

// Error says why the index cannot be answered from.
type Error struct {
	// Code is a constant of this package or of package audit.
	Code string
	// Message says what was found.
	Message string
	// Err is the cause, for logs; may be nil.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Halts tells that the code does not go away by itself: an operator has to look.
func (e *Error) Halts() bool {
	return e.Code != CodeBehind && e.Code != CodeUnavailable && e.Code != CodeClosed
}

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// classify gives an error its code.
func classify(err error) *Error {
	var own *Error
	var differs *audit.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &differs):
		return &Error{Code: differs.Code, Message: fmt.Sprintf("leaf %d of the index log: %s", differs.Leaf, differs.Detail), Err: err}
	}
	return &Error{Code: CodeUnavailable, Message: "a log or the statements do not answer", Err: err}
}
