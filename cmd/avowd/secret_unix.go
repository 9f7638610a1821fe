//go:build unix

package main

import (
	"fmt"
	"os"
)

// checkSecretMode refuses a secret that its group or others can read or change.
func checkSecretMode(path string, info os.FileInfo) error {
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return hintedError{fmt.Errorf("%s: mode %#o lets others use the key", path, perm), "chmod 600 " + path}
	}
	return nil
}
