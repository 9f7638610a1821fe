package statements

import (
	"errors"
	"log/slog"
)

// Codes of [Error]: a closed list. A new one is an addition to the contract.
const (
	// NotFound: no such statement, or not by that key.
	NotFound = "NOT_FOUND"
	// Invalid: an argument breaks a limit or a format; nothing was written.
	Invalid = "INVALID_ARGUMENT"
	// Conflict: the statement is committed at another log index, or the log
	// index belongs to another statement. It means that log and store disagree.
	Conflict = "STORE_CONFLICT"
	// Full: the disk is full. Reading goes on; writing resumes by itself when there is room.
	Full = "STORE_FULL"
	// ReadOnly: the file system or the file refuses writing.
	ReadOnly = "STORE_READ_ONLY"
	// Corrupt: the file is damaged, or a row does not match its checksum.
	Corrupt = "STORE_CORRUPT"
	// Locked: another process owns the store.
	Locked = "STORE_LOCKED"
	// Newer: the file was written by a newer version of this program.
	Newer = "STORE_NEWER"
	// Missing: there is no store at that place; [Create] makes one.
	Missing = "STORE_MISSING"
	// Exists: [Create] found something at that place.
	Exists = "STORE_EXISTS"
	// Closed: the store was closed.
	Closed = "STORE_CLOSED"
	// Unavailable: any other fault of the disk or the database.
	Unavailable = "STORE_UNAVAILABLE"
)

// ErrNotFound matches, with errors.Is, every error with the code [NotFound].
var ErrNotFound = &Error{Code: NotFound, Message: "no such statement"}

// Error is the only error type of this package, apart from context errors,
// which are returned as they are. Error() is fit for a caller of the service:
// it names no file and shows no cause. The cause is for the log ([Error.LogValue]).
type Error struct {
	// Code is one of the constants of this package.
	Code string
	// Message says what was wrong, with the values that show it.
	Message string
	// Hint says what can be done; it may be empty.
	Hint string
	// Retryable tells whether the same call can succeed later without a change by the caller.
	Retryable bool
	// Err is the cause; it may contain file names and must not be sent to clients.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return "statements: " + e.Code + ": " + e.Message }

// Unwrap gives the cause, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same code.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// LogValue implements slog.LogValuer: everything, the cause included.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", e.Code), slog.String("message", e.Message)}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}
