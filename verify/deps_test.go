package verify_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

const module = "github.com/avow-dev/avow/"

// A buyer verifies offline with little code: no log, no database, no policy
// language, no cloud.
func TestForbiddenImports(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera":                   "a buyer runs no log",
		"modernc.org/sqlite":                                    "a buyer runs no database",
		"github.com/mattn/go-sqlite3":                           "a buyer runs no database",
		"github.com/go-sql-driver/mysql":                        "a buyer runs no database",
		"github.com/pressly/goose":                              "a buyer runs no database",
		"cel.dev/cel-go":                                        "policies are verify/policy's",
		"github.com/google/cel-go":                              "policies are verify/policy's",
		"github.com/sigstore/timestamp-authority/v2/pkg/signer": "it brings four cloud SDKs",
	})
}

// Of avow's own packages verify imports attest/predicate with what lies below it
// and nothing else: not attest, in which a fault must not hide, not server, api or cmd.
func TestImportsOfThisModule(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .DepOnly}}{{.ImportPath}}{{end}}",
		".").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, path := range strings.Fields(string(out)) {
		switch rest, own := strings.CutPrefix(path, module); {
		case !own:
		case rest == "attest/predicate":
			found = true
		case rest == "attest/predicate/diff":
		default:
			t.Errorf("imports %s: verify may import only attest/predicate of this module", path)
		}
	}
	if !found {
		t.Error("attest/predicate is not among the imports: this test would pass whatever is imported")
	}
}
