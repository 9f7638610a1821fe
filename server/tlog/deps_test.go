package tlog

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	const reason = "the log does not know what a leaf means, and links no driver"
	deptest.Forbid(t, map[string]string{
		module + "attest": reason, module + "verify": reason, module + "api": reason, module + "cmd": reason,
		module + "server": reason, // the other packages below server; this one is not listed among its own dependencies
		"github.com/transparency-dev/tessera/storage": reason,
		"database/sql": "the log keeps no index",
	})
}
