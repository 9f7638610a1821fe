package trustroot

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// Both programs link this package: it stays as light as verify.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":     "the client links this package",
		"github.com/avow-dev/avow/api":        "a trusted root is a file, whatever way it came",
		"github.com/avow-dev/avow/cmd":        "nobody imports a command",
		"github.com/transparency-dev/tessera": "the log is the service's",
		"cel.dev/cel-go":                      "policies are verify/policy's",
	})
}
