package tufrepo

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

func TestDependencies(t *testing.T) {
	const module = "github.com/avow-dev/avow/"
	deptest.Forbid(t, map[string]string{
		module + "api":                        "files are published, no messages",
		module + "cmd":                        "nobody imports a command",
		module + "verify":                     "a target is bytes here; what it means the caller knows",
		module + "server/tlog":                "a repository needs no log",
		module + "server/statements":          "a repository needs no database",
		"github.com/transparency-dev/tessera": "a repository needs no log",
		"modernc.org/sqlite":                  "a repository needs no database",
		"github.com/spf13/cobra":              "flags are read in cmd/avowd",
	})
}
