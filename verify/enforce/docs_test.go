package enforce_test

import (
	"os"
	"strings"
	"testing"

	"github.com/avow-dev/avow/verify/enforce"
)

// TestDocumented: every target, code and reason has its line in the document.
func TestDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/enforcing.md")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, target := range enforce.Targets() {
		words = append(words, string(target))
	}
	for _, c := range enforce.Codes() {
		words = append(words, string(c))
	}
	for _, w := range enforce.Whys() {
		words = append(words, string(w))
	}
	for _, w := range words {
		if !strings.Contains(string(data), "\n| `"+w+"` |") {
			t.Errorf("docs/enforcing.md has no line for %s", w)
		}
	}
}
