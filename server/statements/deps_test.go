package statements

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: state without transport, and without knowledge of what an envelope says.
func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		module + "server":                     "state knows no transport, and no other state",
		module + "api":                        "state knows no transport",
		module + "attest":                     "an envelope is opened by the caller",
		module + "verify":                     "an envelope is verified by the caller",
		module + "cmd":                        "nobody imports a command",
		"google.golang.org/grpc":              "state knows no transport",
		"github.com/transparency-dev/tessera": "the log is another package's business",
	})
}
