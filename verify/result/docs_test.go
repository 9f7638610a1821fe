package result

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestCodesAreDocumented: the table of the documentation is the closed list, in its order.
func TestCodesAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/signed-verdicts.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []Code
	for _, row := range regexp.MustCompile("(?m)^\\| `(VERDICT_[A-Z_]+)` \\|").FindAllSubmatch(data, -1) {
		documented = append(documented, Code(row[1]))
	}
	if !slices.Equal(documented, Codes()) {
		t.Errorf("documented: %v\nthe list:   %v", documented, Codes())
	}
}
