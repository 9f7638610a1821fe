package result

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// A signed verdict is made and accepted where verify runs: offline, with little code.
func TestForbiddenImports(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera": "a buyer runs no log",
		"modernc.org/sqlite":                  "a buyer runs no database",
		"github.com/go-sql-driver/mysql":      "a buyer runs no database",
		"github.com/pressly/goose":            "a buyer runs no database",
		"cel.dev/cel-go":                      "policies are verify/policy's; a verdict holds their digest",
	})
}

func TestImportsOfThisModule(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .DepOnly}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, path := range strings.Fields(string(out)) {
		switch rest, own := strings.CutPrefix(path, module); {
		case !own:
		case rest == "verify" || rest == "attest/predicate":
			found[rest] = true
		case rest == "verify/compare" || rest == "attest/predicate/observation": // its results are signed in the same form
		case rest == "attest/predicate/diff": // verify compares statements with it
		default:
			t.Errorf("imports %s: verify/result may import only verify and attest/predicate of this module", path)
		}
	}
	if len(found) != 2 {
		t.Error("verify and attest/predicate are not among the imports: this test would pass whatever is imported")
	}
}
