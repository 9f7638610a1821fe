package observation

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: both sides embed this package, so it stays as light as attest/predicate.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{"golang.org/x": "names: IDNA", "github.com/avow-dev/avow/attest/predicate": "subjects and strict JSON"})
}
