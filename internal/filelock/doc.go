// Package filelock lets one process at a time own a file or a directory.
//
// Purpose: two services on one data directory would both write and both sign. Whoever opens such a directory takes the
// lock of a file in it first, and keeps it until it closes.
//
// Trust assumptions: the file system keeps locks, which network file systems may not do. The lock is advisory: it keeps
// away who asks for it, and nobody else.
//
// Contract: [Lock] never waits. It returns the lock, [ErrHeld], or an error of the system, and then holds nothing. What
// the file contains does not matter and is not changed.
//
// The log has a lock of its own, which is held through a file opened for reading and names the process that has it.
package filelock

import "errors"

// ErrHeld is returned where another process, or this one by another call, holds the lock.
var ErrHeld = errors.New("the lock file is held by another process")
