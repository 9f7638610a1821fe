// Package gocmd is how the packages of evidence run the go command: with an environment that cannot add flags, programs or a
// toolchain, and without a network unless asked.
//
// # Contract
//
//   - Only variables that say where things are (the path, caches, proxies) are taken from the caller. GOFLAGS, CC, GOEXPERIMENT,
//     GODEBUG and whatever else changes a build are not.
//   - The toolchain is the one on the path (GOTOOLCHAIN=local): a go.mod cannot have another one fetched and run.
//   - Modules come from the module cache; GOPROXY=off unless download is asked for.
//
// # Trust
//
// The go command on the path and the caller's environment are trusted; the module that it works on is not.
package gocmd

import (
	"slices"
	"strings"
)

// passedOn are the variables that the go command gets from the caller.
func passedOn() []string {
	return []string{"PATH", "HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "SYSTEMROOT", "TMPDIR", "TMP", "TEMP", "XDG_CACHE_HOME",
		"GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GONOPROXY", "GOPRIVATE", "GOSUMDB", "GONOSUMDB", "GOWORK", "SSL_CERT_FILE"}
}

// Environment returns the environment of the go command: what it needs of the caller's, and nothing that could add flags, programs
// or a toolchain. Modules are downloaded only where download is true.
func Environment(environ []string, download bool, more ...string) []string {
	var env []string
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(passedOn(), name) {
			env = append(env, variable)
		}
	}
	env = append(env, "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local", "GOENV=off", "LC_ALL=C")
	if !download {
		env = append(env, "GOPROXY=off")
	}
	return append(env, more...)
}
