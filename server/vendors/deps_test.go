package vendors

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: the registry is the standard library, a YAML parser and Unicode's tables.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"go.yaml.in/yaml/v3": "the registry's file format",
		"golang.org/x/text":  "normal forms of identities",
	})
}
