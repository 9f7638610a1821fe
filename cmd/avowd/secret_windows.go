package main

import "os"

// checkSecretMode accepts every file: Windows keeps access lists, which os.FileInfo does not show.
func checkSecretMode(string, os.FileInfo) error { return nil }
