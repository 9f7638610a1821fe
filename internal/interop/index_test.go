//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const indexVectors = "../../verify/index/testdata/vectors.json"

// TestIndexChecker: a checker in another language, written from docs/index.md, takes and refuses the same proofs.
func TestIndexChecker(t *testing.T) {
	out, err := run(t, "node", "js/index.mjs", indexVectors)
	if err != nil || !strings.Contains(out, " 0 differences") || strings.Contains(out, " 0 proofs") {
		t.Errorf("%v: %s", err, out)
	}
	// It can fail: the same proofs with another expectation.
	data, err := os.ReadFile(indexVectors)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := filepath.Join(t.TempDir(), "vectors.json")
	write(t, spoilt, []byte(strings.Replace(string(data), `"shows": "absent"`, `"shows": "present"`, 1)))
	if out, err := run(t, "node", "js/index.mjs", spoilt); err == nil {
		t.Errorf("a wrong expectation passed: %s", out)
	}
}
