package rebuild_test

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// The vendor's side works offline and holds no server code, whatever it looks at.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server": "the vendor's side holds no server code",
		"github.com/avow-dev/avow/verify": "attest and verify must not share code",
		"github.com/avow-dev/avow/api":    "the library does not know the service's wire contract",
		"net/http":                        "evidence is made offline",
		"golang.org/x/tools":              "source is analysed by reach alone",
	})
}
