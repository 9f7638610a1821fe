package identity

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: of Fulcio the generated types alone, and no browser, no OpenID Connect client: tokens come from outside.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":   "the client holds no server code",
		"github.com/avow-dev/avow/api":      "the certificate authority speaks Fulcio's API",
		"github.com/avow-dev/avow/verify":   "nothing is verified here",
		"github.com/sigstore/fulcio/pkg/ca": "of Fulcio only the generated types",
		"github.com/sigstore/sigstore-go":   "the protocol is two messages",
		"github.com/coreos/go-oidc":         "tokens are not verified by their sender",
		"github.com/pkg/browser":            "no browser is started",
	})
}
