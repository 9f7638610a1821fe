package gocmd_test

import (
	"slices"
	"testing"

	"github.com/avow-dev/avow/attest/evidence/gocmd"
)

// What says where things are is passed on; what changes a build is not.
func TestEnvironment(t *testing.T) {
	env := gocmd.Environment([]string{"PATH=/bin", "HOME=/home/x", "GOPROXY=https://proxy.example", "GOFLAGS=-toolexec=/tmp/x", "CC=/tmp/cc", "GOTOOLCHAIN=auto",
		"GOENV=/tmp/env", "CGO_CFLAGS=-x", "GOEXPERIMENT=x", "GODEBUG=x=1", "AVOW_PASSWORD=secret", "LD_PRELOAD=/tmp/x.so"}, false, "GOOS=plan9")
	want := []string{"PATH=/bin", "HOME=/home/x", "GOPROXY=https://proxy.example", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local", "GOENV=off", "LC_ALL=C",
		"GOPROXY=off", "GOOS=plan9"} // the last value of a variable counts
	if !slices.Equal(env, want) {
		t.Errorf("got %q\nwant %q", env, want)
	}
	if env := gocmd.Environment([]string{"GOPROXY=https://proxy.example"}, true); slices.Contains(env, "GOPROXY=off") {
		t.Errorf("download was asked for: %q", env)
	}
}
