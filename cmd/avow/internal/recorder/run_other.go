//go:build !linux

package recorder

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// Run is for Linux.
func Run(context.Context, Options) (*Result, error) {
	return nil, &HintError{Err: fmt.Errorf("%w, this is %s", ErrSystem, runtime.GOOS),
		Hint: "capture with a tool of this system and give the file to `avow observe`"}
}

// Inside is for Linux.
func Inside(*os.File) int { return helperFailed }
