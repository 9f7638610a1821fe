// Package posix keeps a log of package tlog in a directory of a local file system.
package posix
