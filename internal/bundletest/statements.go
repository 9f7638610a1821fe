package bundletest

import (
	"embed"
	"strings"
	"testing"
)

// ArtifactSHA256 is the digest that the statements of [Statement] are about.
const ArtifactSHA256 = "4373911a956f86dcbd706dd2fe050cefa923788b079e93b41880ce7a117b1755"

// OtherSHA256 is the digest of a file that no statement is about.
const OtherSHA256 = "00000000956f86dcbd706dd2fe050cefa923788b079e93b41880ce7a117b1755"

//go:embed statements/*.json
var statements embed.FS

// Statement returns one of the minimal valid statements (no-backdoor,
// data-flows, data-flows-none, undertakings, withdrawal, dispute, assessment) about the
// artifact, issued at [Epoch] for a year, with text replaced: pairs of old and
// new, each old of which must occur.
func Statement(tb testing.TB, name string, oldNew ...string) []byte {
	tb.Helper()
	raw, err := statements.ReadFile("statements/" + name + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	s := string(raw)
	for i := 0; i+1 < len(oldNew); i += 2 {
		if !strings.Contains(s, oldNew[i]) {
			tb.Fatalf("statement %s has no %q to replace", name, oldNew[i])
		}
		s = strings.ReplaceAll(s, oldNew[i], oldNew[i+1])
	}
	return []byte(s)
}
