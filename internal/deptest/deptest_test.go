package deptest

import (
	"slices"
	"testing"
)

func TestDepsSeesWhatIsLinked(t *testing.T) {
	paths := deps(t)
	if !slices.Contains(paths, "os/exec") {
		t.Errorf("os/exec is imported here and not listed: %v", paths)
	}
	if slices.Contains(paths, "github.com/avow-dev/avow/internal/deptest") {
		t.Error("the package itself is listed among its dependencies")
	}
}

func TestMatch(t *testing.T) {
	forbidden := map[string]string{"example.test/server": "", "example.test/log": ""}
	for path, want := range map[string]bool{
		"example.test/server":       true,
		"example.test/server/inner": true,
		"example.test/serverside":   false, // shares a prefix of text, not of path
		"example.test/logs":         false,
		"example.test":              false,
	} {
		if _, got := match(path, forbidden); got != want {
			t.Errorf("match(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestAllowOnlyIgnoresTheStandardLibrary(t *testing.T) {
	AllowOnly(t, map[string]string{})
}
