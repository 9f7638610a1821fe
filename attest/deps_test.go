package attest_test

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// The vendor's side is what a build machine runs: it links no service, no log driver, no database and no policy
// engine, and it shares no code with the buyer's side, so that a fault in one is not hidden by the same fault in the
// other.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":     "the vendor's side holds no server code",
		"github.com/avow-dev/avow/api":        "the library does not know the service's wire contract",
		"github.com/avow-dev/avow/verify":     "attest and verify must not share code",
		"github.com/avow-dev/avow/cmd":        "nobody imports a command",
		"github.com/transparency-dev/tessera": "the log is the service's",
		"github.com/sigstore/sigstore-go":     "verification belongs to verify",
		"github.com/sigstore/rekor-tiles":     "the leaf is written here and only compared with rekor-tiles in tests",
		"google.golang.org/grpc":              "the vendor's side works offline",
		"github.com/google/cel-go":            "policies belong to verify/policy",
		"database/sql":                        "statements are stored by the service",
		"modernc.org/sqlite":                  "statements are stored by the service",
		"net/http":                            "the vendor's side opens no socket",
	})
}
