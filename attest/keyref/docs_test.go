package keyref_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-dev/avow/attest/keyref"
)

// TestCodesAreDocumented: every code is in the manual, and a code is in the list once.
func TestCodesAreDocumented(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "keys.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[keyref.Code]bool{}
	for _, code := range keyref.Codes() {
		if seen[code] || !strings.Contains(string(manual), "| `"+string(code)+"` |") {
			t.Errorf("docs/keys.md says nothing about %s, or it is twice in the list", code)
		}
		seen[code] = true
	}
}
