package oci

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// What a registry serves is moved here and understood elsewhere: no statement, no signature, no bundle is parsed.
func TestDependencies(t *testing.T) {
	deptest.AllowOnly(t, map[string]string{
		"github.com/google/go-containerregistry/internal": "of the library",
		"github.com/google/go-containerregistry/pkg":      "the distribution protocol",
		"github.com/docker/cli/cli/config":                "where docker keeps credentials",
		"github.com/docker/docker-credential-helpers":     "credential helpers of docker",
		"github.com/klauspost/compress":                   "of the library: layers",
		"github.com/opencontainers":                       "of the library: digests and media types",
		"github.com/sirupsen/logrus":                      "of docker's configuration",
		"golang.org/x":                                    "errgroup",
		"vendor/golang.org/x":                             "of the standard library",
	})
	deptest.Forbid(t, map[string]string{
		"github.com/google/go-containerregistry/pkg/registry":  "a registry for tests",
		"github.com/google/go-containerregistry/pkg/v1/google": "one vendor's registry",
	})
}
