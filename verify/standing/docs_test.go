package standing_test

import (
	"os"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/standing"
)

// TestDocumented: docs/index.md names every code, reason and standing.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/index.md")
	if err != nil {
		t.Fatal(err)
	}
	names := standing.Codes()
	for _, r := range standing.Reasons() {
		names = append(names, string(r))
	}
	for _, n := range names {
		if !strings.Contains(string(text), "`"+n+"`") {
			t.Errorf("%s is not in docs/index.md", n)
		}
	}
	for s := range standing.Stale + 1 {
		if !strings.Contains(string(text), "| "+s.String()+" |") {
			t.Errorf("%s is not in docs/index.md", s)
		}
	}
}
