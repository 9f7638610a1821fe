package vendors

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// TestDependencies: the registry is the standard library and a YAML parser.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"go.yaml.in/yaml/v3": "the registry's file format",
	})
}
