package authority

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: an authority signs what it is given, and its tree stays that
// of a verifier (timestamp-authority's own signer and server draw in four clouds).
func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		module + "server":        "an authority knows no transport and no other state",
		module + "api":           "an authority knows no transport",
		module + "attest":        "an authority signs bytes",
		module + "verify":        "a token is verified by its own code path here, by verify at the buyer's",
		module + "cmd":           "nobody imports a command",
		"google.golang.org/grpc": "an authority knows no transport but HTTP",
		"github.com/sigstore/timestamp-authority/v2/pkg/signer": "four cloud key services",
		"github.com/sigstore/timestamp-authority/v2/pkg/api":    "a server with package globals",
		"github.com/sigstore/sigstore-go":                       "the buyer's verifier is a test's oracle here",
	})
}
