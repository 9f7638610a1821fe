package witness

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: a witness judges other people's logs, so it shares no code with the log that it may be asked about.
func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		module + "server":                     "a witness shares no code with a log", // the other packages below server
		module + "attest":                     "a witness knows no statements",
		module + "verify":                     "a witness verifies trees only",
		module + "api":                        "a witness knows no other transport",
		module + "cmd":                        "nobody imports a command",
		"github.com/transparency-dev/tessera": "a witness is independent of the log engine",
	})
}
