package posix

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	const reason = "a driver's package is glue between Tessera and tlog"
	deptest.Forbid(t, map[string]string{
		module + "attest": reason, module + "verify": reason, module + "api": reason, module + "cmd": reason,
		module + "server/statements": reason, module + "server/authority": reason, module + "server/vendors": reason,
		"database/sql": "the log keeps no index",
		"github.com/transparency-dev/tessera/storage/aws": "one driver per package",
		"github.com/transparency-dev/tessera/storage/gcp": "one driver per package",
		"github.com/aws/aws-sdk-go-v2":                    "no cloud in the log of one machine",
	})
}
