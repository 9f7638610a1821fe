//go:build unix

package attest_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/avow-dev/avow/attest"
)

// TestSubjectsRefusePipes would wait for ever if the pipe was opened.
func TestSubjectsRefusePipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{pipe, filepath.Dir(pipe)} {
		_, err := attest.SubjectsFromPaths(t.Context(), []string{path}, attest.SubjectOptions{})
		wantCode(t, err, attest.CodeSubject)
	}
}
