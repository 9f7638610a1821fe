package main

import (
	"errors"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/attest/keyref"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
)

// usageError is wrong usage or configuration: nothing was touched, and the exit code is exitUsage.
type usageError struct {
	err  error
	hint string
}

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// hintedError is an error of this package with a hint of its own.
type hintedError struct {
	err  error
	hint string
}

func (e hintedError) Error() string { return e.err.Error() }
func (e hintedError) Unwrap() error { return e.err }

// hintOf finds what to do about an error: the outermost hint wins, because it knows the command that was run.
func hintOf(err error) string {
	var usage usageError
	if errors.As(err, &usage) && usage.hint != "" {
		return usage.hint
	}
	var hinted hintedError
	if errors.As(err, &hinted) && hinted.hint != "" {
		return hinted.hint
	}
	var log *tlog.Error
	if errors.As(err, &log) {
		return log.Hint
	}
	var store *statements.Error
	if errors.As(err, &store) {
		return store.Hint
	}
	var tsa *authority.Error
	if errors.As(err, &tsa) {
		return tsa.Hint
	}
	var reference *keyref.Error
	if errors.As(err, &reference) {
		return reference.Hint
	}
	var refused *attest.Error
	if errors.As(err, &refused) {
		return refused.Hint
	}
	return ""
}
