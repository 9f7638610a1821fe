//go:build !linux

package main

// namespaces are for Linux.
func namespaces() bool { return false }
