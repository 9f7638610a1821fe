package tlog

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"syscall"
)

// Code is one of the closed list of reasons for which the log refuses. Codes are stable: they are metric labels and
// go to clients as the reason of an error.
type Code string

// The closed list of codes. Those for which [Code.Retryable] is true go away by themselves or by an operator's act on
// the machine (space, descriptors); the others need an operator's decision about the log itself.
const (
	// CodeInvalidConfig: a field of [Config] has no usable value.
	CodeInvalidConfig Code = "LOG_CONFIG_INVALID"
	// CodeNotFound: there is no log in the directory. A log is created by an explicit act only.
	CodeNotFound Code = "LOG_NOT_FOUND"
	// CodeExists: Create was asked to create a log where one is.
	CodeExists Code = "LOG_EXISTS"
	// CodeLocked: another process serves this log or uses its anchor.
	CodeLocked Code = "LOG_LOCKED"
	// CodeRollback: the log on disk is older than what was signed, for instance restored from a snapshot.
	CodeRollback Code = "LOG_ROLLBACK"
	// CodeCorrupt: the log on disk is not the one that was signed, for instance because a bit flipped.
	CodeCorrupt Code = "LOG_CORRUPT"
	// CodeAnchorMissing: the log is there, but not the anchor that says what was signed last.
	CodeAnchorMissing Code = "ANCHOR_MISSING"
	// CodeAnchorInvalid: the anchor cannot be parsed, belongs to another log or key, or changed under the server.
	CodeAnchorInvalid Code = "ANCHOR_INVALID"
	// CodeLeafInvalid: the leaf is empty or larger than [MaxLeafBytes], or there are too many in one call.
	CodeLeafInvalid Code = "LEAF_INVALID"
	// CodeOutOfRange: an index or a tree size beyond the log.
	CodeOutOfRange Code = "LOG_OUT_OF_RANGE"
	// CodeDiskFull: no space is left for the log or its anchor. Retryable.
	CodeDiskFull Code = "LOG_DISK_FULL"
	// CodeUnavailable: the log cannot answer now: deadline, disk error, read-only directory, no descriptors,
	// publication late. Retryable; after an Append the outcome is unknown, see [Log.Append].
	CodeUnavailable Code = "LOG_UNAVAILABLE"
	// CodeClosed: the log is being closed or was closed. Retryable against the next server.
	CodeClosed Code = "LOG_CLOSED"
)

// Codes returns the closed list of codes in a fixed order.
func Codes() []Code {
	return []Code{
		CodeInvalidConfig, CodeNotFound, CodeExists, CodeLocked, CodeRollback, CodeCorrupt, CodeAnchorMissing,
		CodeAnchorInvalid, CodeLeafInvalid, CodeOutOfRange, CodeDiskFull, CodeUnavailable, CodeClosed,
	}
}

// Retryable reports whether the same call may succeed later without an operator's decision about the log.
func (c Code) Retryable() bool {
	return c == CodeDiskFull || c == CodeUnavailable || c == CodeClosed
}

// Error is the only error type that this package and its drivers return.
//
// Code, Message and Hint may be shown to a client: they hold numbers and names of the protocol, never a file path. Err
// is the cause; it may hold paths and is for logs only.
type Error struct {
	// Code is the reason.
	Code Code
	// Message says what was found, in lower case, with the numbers that show it.
	Message string
	// Hint says what an operator or caller can do about it; may be empty.
	Hint string
	// Err is the cause, for logs; may be nil.
	Err error
}

// Error returns the code and the message, without the cause.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error of the same code, so that errors.Is(err, &Error{Code: CodeLocked}) works.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code && t.Message == "" && t.Err == nil
}

// LogValue shows everything, the cause included, to the log.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("code", string(e.Code)), slog.String("message", e.Message)}
	if e.Hint != "" {
		attrs = append(attrs, slog.String("hint", e.Hint))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("cause", e.Err.Error()))
	}
	return slog.GroupValue(attrs...)
}

// CodeOf returns the code of err, [CodeUnavailable] for an error of another type, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeUnavailable
}

// Unavailable classifies the error of an operation on the log's storage: an *Error stays as it is, an exhausted disk
// becomes [CodeDiskFull], anything else [CodeUnavailable]. The argument doing is the public description of the
// operation.
func Unavailable(doing string, err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if hasErrno(err, syscall.ENOSPC) || hasErrno(err, syscall.EDQUOT) {
		return &Error{Code: CodeDiskFull, Message: doing + ": no space left on the log's disk",
			Hint: "free space on the disk; the log resumes by itself", Err: err}
	}
	reason := "storage error"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = "deadline exceeded"
	case errors.Is(err, context.Canceled):
		reason = "canceled"
	case hasErrno(err, syscall.EROFS), hasErrno(err, syscall.EACCES), hasErrno(err, syscall.EPERM):
		reason = "the log's directory is not writable"
	case hasErrno(err, syscall.EMFILE), hasErrno(err, syscall.ENFILE):
		reason = "no file descriptors left"
	}
	return &Error{Code: CodeUnavailable, Message: doing + ": " + reason, Err: err}
}

// hasErrno looks for an errno in the chain and, because Tessera v1.0.4 formats the causes of its file errors with %v
// (storage/posix/file_ops.go), in the text.
func hasErrno(err error, errno syscall.Errno) bool {
	return errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error())
}
