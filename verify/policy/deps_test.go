package policy_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// A buyer judges offline: no log, no database, no service.
func TestForbiddenImports(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera":                   "a buyer runs no log",
		"modernc.org/sqlite":                                    "a buyer runs no database",
		"github.com/go-sql-driver/mysql":                        "a buyer runs no database",
		"github.com/pressly/goose":                              "a buyer runs no database",
		"github.com/google/cel-go":                              "the module is cel.dev/cel-go; the old path links a second copy",
		"github.com/sigstore/timestamp-authority/v2/pkg/signer": "it brings four cloud SDKs",
	})
}

// Of avow's own packages it reaches verify, the predicates and their descriptors.
func TestImportsOfThisModule(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	allowed := map[string]bool{"verify": true, "attest/predicate": true, "attest/predicate/diff": true, "api/avow/predicate/v1": true}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .DepOnly}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range strings.Fields(string(out)) {
		if rest, own := strings.CutPrefix(path, module); own {
			if !allowed[rest] {
				t.Errorf("imports %s", path)
			}
			found++
		}
	}
	if found != len(allowed) {
		t.Errorf("%d packages of this module among the imports, want %d: this test would pass whatever is imported", found, len(allowed))
	}
}
