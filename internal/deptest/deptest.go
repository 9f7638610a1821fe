package deptest

import (
	"errors"
	"os/exec"
	"sort"
	"strings"
	"testing"
)

// Forbid fails the test for each package that the package in the working directory reaches, over any number of imports, and
// whose import path equals a key of forbidden or lies below one. The values say why, and are part of the failure's text.
func Forbid(t *testing.T, forbidden map[string]string) {
	t.Helper()
	for _, path := range deps(t) {
		if prefix, bad := match(path, forbidden); bad {
			t.Errorf("imports %s: %s", path, forbidden[prefix])
		}
	}
}

// AllowOnly fails the test for each package outside the standard library that the package in the working directory reaches and
// that neither equals a key of allowed nor lies below one. The values say what the dependency is there for.
func AllowOnly(t *testing.T, allowed map[string]string) {
	t.Helper()
	for _, path := range deps(t) {
		if _, ok := match(path, allowed); !ok && strings.Contains(firstElement(path), ".") {
			t.Errorf("imports %s, which is not among the allowed: %s", path, strings.Join(sortedKeys(allowed), ", "))
		}
	}
}

// deps lists what the package in the working directory (where `go test` runs a test) is linked from, without itself.
func deps(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .DepOnly}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list -deps: %v: %s", err, stderr(err))
	}
	paths := strings.Fields(string(out))
	if len(paths) == 0 {
		t.Fatal("go list -deps named no package at all: this test would pass whatever is imported")
	}
	return paths
}

func match(path string, prefixes map[string]string) (string, bool) {
	for _, prefix := range sortedKeys(prefixes) {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return prefix, true
		}
	}
	return "", false
}

func firstElement(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func stderr(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(exit.Stderr)
	}
	return ""
}
