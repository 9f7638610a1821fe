package enforce_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// Policies are compiled offline, from what verify established and from nothing else.
func TestForbiddenImports(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/transparency-dev/tessera": "a buyer runs no log",
		"modernc.org/sqlite":                  "a buyer runs no database",
		"cel.dev/cel-go":                      "policies are verify/policy's, and come in as a verify.Policy",
		"k8s.io/client-go":                    "a policy is written, not applied",
		"github.com/cilium/cilium":            "the schema is checked in the tests",
	})
}

func TestImportsOfThisModule(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	allowed := map[string]bool{"verify": true, "attest/predicate": true, "attest/predicate/diff": true}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if .DepOnly}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range strings.Fields(string(out)) {
		if rest, own := strings.CutPrefix(path, module); own {
			if found++; !allowed[rest] {
				t.Errorf("imports %s", path)
			}
		}
	}
	if found != len(allowed) {
		t.Errorf("imports %d packages of this module, want %d", found, len(allowed))
	}
}
