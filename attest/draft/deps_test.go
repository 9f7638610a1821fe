package draft

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: drafting is offline, and shares no code with those who verify what was drafted.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"github.com/avow-dev/avow/attest/predicate": "statements and observations",
		"github.com/CycloneDX/cyclonedx-go":         "the form of CycloneDX documents",
		"go.yaml.in/yaml/v3":                        "Threagile models",
		"golang.org/x":                              "names: IDNA",
	})
}
