package certauthority

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: an authority signs what it is given, knows no transport, and has its log handed in.
func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		module + "server":                     "an authority knows no transport and no other state",
		module + "api":                        "an authority knows no transport",
		module + "attest":                     "an authority certifies keys",
		module + "verify":                     "a certificate is verified by the buyer's own code path",
		module + "cmd":                        "nobody imports a command",
		"github.com/sigstore/fulcio/pkg/ca":   "draws in an identity framework and its logging",
		"github.com/sigstore/sigstore-go":     "the buyer's verifier is a test's oracle",
		"github.com/transparency-dev/tessera": "the log is handed in",
	})
}
