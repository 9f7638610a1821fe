package oci

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestReasonsAreDocumented, each once, and no others.
func TestReasonsAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(oci-[a-z-]+)` \\| .{10,} \\|$").FindAllSubmatch(page, -1) {
		documented[string(row[1])]++
	}
	for _, r := range Reasons() {
		if documented[string(r)] != 1 {
			t.Errorf("docs/ci.md has %d rows for %s", documented[string(r)], r)
		}
	}
	if len(documented) != len(Reasons()) {
		t.Errorf("docs/ci.md has %d reasons, there are %d", len(documented), len(Reasons()))
	}
}
