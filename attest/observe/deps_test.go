package observe

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: what reads foreign bytes is our own or golang.org/x, so that
// the whole of it can be fuzzed here; gopacket is for the tests.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"golang.org/x": "messages of DNS; IDNA by way of the predicates",
		"github.com/avow-dev/avow/attest/predicate":        "the observation that is made, and its subjects",
		"github.com/avow-dev/avow/attest/observe/internal": "the readers",
	})
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/attest/observe/internal/packetworld": "makes captures for tests",
		"net/http": "observing opens no socket",
	})
}
