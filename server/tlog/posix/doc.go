// Package posix keeps a log of package tlog in a directory of a local file system, with Tessera's POSIX driver.
//
// The directory holds what https://c2sp.org/tlog-tiles describes (checkpoint, tile/...), Tessera's private state
// (.state) and this package's lock (.lock). [Create] makes it, which is an explicit act; [Open] serves it; [Fsck]
// checks it while nobody serves it.
//
// # What is assumed
//
// The file system is local, honours O_SYNC and fsync, and renames atomically. It is not trusted to keep its bits, nor
// to be the newest copy of itself: package tlog checks both before it opens and before it signs. Two servers on one
// directory are refused by a lock that the kernel drops when the process ends, so nothing is left to clean up after a
// crash. A directory that is shared between machines over a network file system is not supported: its locks cannot be
// relied upon.
//
// # What Tessera does to the process
//
// Tessera logs through klog, whose logger belongs to the whole process and may be set only while nobody logs. The first
// [Open] or [Create] of the process therefore sends klog to the logger of its configuration, for good; a program that
// wants another one for it calls [RedirectKlog] before. Lines are limited to a few per second, because Tessera repeats
// the same complaint every checkpoint interval, and they may hold file paths.
//
// Tessera panics, in a goroutine of its own, if it cannot open its lock file when it writes a batch: without file
// descriptors, or on a file system that became read-only. Before each round of writes this package makes sure that
// several descriptors are free and that the directory can be written, and refuses the round otherwise. A process that
// takes its last descriptors in the milliseconds between that check and the write still crashes; no acknowledged entry
// is lost. A server should therefore limit its connections below its descriptor limit.
package posix
