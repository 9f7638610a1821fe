package recorder

import (
	"os"
	"strings"
	"testing"
)

// TestGapsAreDocumented: whoever reads an observation finds what its gaps mean.
func TestGapsAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../../../docs/observing-run.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range GapCodes() {
		if !strings.Contains(string(data), "\n| `"+code+"` |") {
			t.Errorf("docs/observing-run.md does not explain the gap %s", code)
		}
	}
}
