package compare

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: a buyer compares offline, with nothing but the predicates.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"golang.org/x": "names: IDNA",
		"github.com/avow-dev/avow/attest/predicate": "the declaration and the form of observations",
	})
}
