package keyref_test

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// Keys in services are reached through other processes: no SDK of a service is linked, and no HTTP.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":                           "the vendor's side holds no server code",
		"github.com/avow-dev/avow/api":                              "the library does not know the service's wire contract",
		"github.com/avow-dev/avow/verify":                           "attest and verify must not share code",
		"github.com/avow-dev/avow/cmd":                              "nobody imports a command",
		"github.com/avow-dev/avow/internal":                         "test parts are for tests",
		"net/http":                                                  "services are spoken to by plugins",
		"google.golang.org/grpc":                                    "services are spoken to by plugins",
		"github.com/sigstore/sigstore/pkg/signature/kms/aws":        "SDKs belong to the module cmd/kms",
		"github.com/sigstore/sigstore/pkg/signature/kms/azure":      "SDKs belong to the module cmd/kms",
		"github.com/sigstore/sigstore/pkg/signature/kms/gcp":        "SDKs belong to the module cmd/kms",
		"github.com/sigstore/sigstore/pkg/signature/kms/hashivault": "SDKs belong to the module cmd/kms",
		"github.com/ThalesGroup/crypto11":                           "PKCS #11 needs cgo: the default binary is without it",
	})
}
