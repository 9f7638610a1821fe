package statements

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

func invalid(format string, args ...any) *Error {
	return &Error{Code: Invalid, Message: fmt.Sprintf(format, args...)}
}

func notFound(k rowKey) *Error {
	return &Error{Code: NotFound, Message: fmt.Sprintf("no statement %s by key %s", k.statement.id(), k.key.id())}
}

func corrupt(err error, format string, args ...any) *Error {
	return &Error{
		Code: Corrupt, Message: fmt.Sprintf(format, args...), Err: err,
		Hint: "stop the service, keep the files, run avowd fsck, and restore the store from a backup",
	}
}

// reindexable is damage of derived rows alone.
func reindexable(format string, args ...any) *Error {
	e := corrupt(nil, format, args...)
	e.Hint = "stop the service and run avowd reindex"
	return e
}

func closed() *Error {
	return &Error{Code: Closed, Message: "the store is closed", Retryable: true}
}

// classify turns any error of the database or the file system into an *Error.
// Context errors and errors that are *Error already stay what they are.
func classify(err error) error {
	var own *Error
	var lite *sqlite.Error
	switch {
	case err == nil, errors.As(err, &own),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &lite):
		return classifySQLite(lite.Code(), err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault(Full, err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fault(ReadOnly, err)
	}
	return fault(Unavailable, err)
}

func classifySQLite(code int, err error) error {
	// The primary result code is the low byte of the extended one.
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return fault(Full, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fault(ReadOnly, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return corrupt(err, "the database file is damaged")
	case sqlite3.SQLITE_CONSTRAINT:
		return &Error{Code: Conflict, Message: "the rows contradict what is stored", Err: err}
	case sqlite3.SQLITE_INTERRUPT:
		return context.Canceled
	}
	return fault(Unavailable, err)
}

func fault(code string, err error) *Error {
	e := &Error{Code: code, Err: err, Retryable: true}
	switch code {
	case Full:
		e.Message = "the disk is full; nothing was written"
		e.Hint = "free space on the file system of the statement store; writing resumes by itself"
	case ReadOnly:
		e.Message = "the statement store cannot be written"
		e.Hint = "check the permissions of the file and its directory, and whether the file system is mounted read-only"
	default:
		e.Message = "the statement store cannot be used at the moment"
		e.Hint = "see the service's log for the cause"
	}
	return e
}

// drop is for a deferred end of something that was only read.
func drop(end func() error) { _ = end() }

// byCaller reports whether err is the fault of one operation alone, so that the
// other operations of its group can go on: its arguments, its context, or one
// damaged row that nobody else asked for.
func byCaller(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
	var lite *sqlite.Error
	return e.Code == NotFound || e.Code == Invalid || e.Code == Conflict ||
		e.Code == Corrupt && !errors.As(err, &lite)
}
