package verify

import (
	"strings"
	"testing"
)

// TestClaim: what a bundle calls itself is shown short and in printable ASCII.
func TestClaim(t *testing.T) {
	for in, want := range map[string]string{
		"log.example":              "log.example",
		"":                         "without a name",
		"a\x1b[2Jb":                `"a\x1b[2Jb"`,
		"a b":                      `"a b"`,
		"\u202eelpmaxe.gol":        `"\u202eelpmaxe.gol"`,
		strings.Repeat("a", 100):   strings.Repeat("a", maxClaim) + "...",
		`"`:                        `"\""`,
		strings.Repeat("\x00", 90): `"` + strings.Repeat(`\x00`, maxClaim) + `"...`,
	} {
		if got := claim(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	if got := claimedOrigin("log.example\n5\nroot\n"); got != "log.example" {
		t.Error(got)
	}
}
