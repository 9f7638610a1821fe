package compare

import (
	"os"
	"strings"
	"testing"
)

// TestCodesAreDocumented: a reader finds every code, and none that does not exist.
func TestCodesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/comparing.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := 0
	inTable := false
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "| code |") {
			inTable = true
		} else if !strings.HasPrefix(line, "|") {
			inTable = false
		} else if inTable && strings.HasPrefix(line, "| `") {
			documented++
		}
	}
	for _, code := range Codes() {
		if !strings.Contains(string(data), "| `"+string(code)+"` |") {
			t.Errorf("docs/comparing.md does not say what %s means", code)
		}
	}
	if documented != len(Codes()) {
		t.Errorf("docs/comparing.md has %d codes, want %d", documented, len(Codes()))
	}
}
