package pin

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":     "the client holds no server code",
		"github.com/avow-dev/avow/api":        "how a service is asked its caller knows",
		"github.com/transparency-dev/tessera": "the log is the service's",
		"github.com/spf13/cobra":              "flags are read by the commands",
	})
}
