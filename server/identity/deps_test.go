package identity

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: whoever reads strangers' tokens links little, and nothing that writes.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"github.com/coreos/go-oidc/v3":               "verification of ID tokens",
		"github.com/go-jose/go-jose/v4":              "go-oidc's signatures and key sets",
		"github.com/sigstore/fulcio/pkg/certificate": "Fulcio's extensions, as it encodes them",
		"golang.org/x/oauth2":                        "go-oidc's types",
		"golang.org/x/sync":                          "one fetch for all who wait",
	})
}
