package keyref

import (
	"regexp"
	"strings"
)

// secretName matches names of environment variables whose values are secrets, or may be.
var secretName = regexp.MustCompile(`(?i)token|secret|passw|pwd|pin$|credential|key|cookie|auth`)

// userinfo is the part of a URL that may hold a password.
var userinfo = regexp.MustCompile(`://[^/@\s"]+@`)

// leastSecretBytes keeps short values ("true", a port) from being cut out of every word.
const leastSecretBytes = 6

// redactor replaces the values of such variables by their names. A plugin passes on what its service said, and services have
// been seen to repeat what they were sent.
func redactor(environ []string) *strings.Replacer {
	var pairs []string
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if len(value) >= leastSecretBytes && secretName.MatchString(name) {
			pairs = append(pairs, value, "["+name+"]")
		}
	}
	return strings.NewReplacer(pairs...)
}

// withoutOwn leaves out what is meant for avow alone: passwords of key files, PINs, tokens of its service.
func withoutOwn(environ []string) []string {
	kept := []string{} // not nil: to a child process that would mean all of them
	for _, variable := range environ {
		if !strings.HasPrefix(variable, "AVOW_") {
			kept = append(kept, variable)
		}
	}
	return kept
}
