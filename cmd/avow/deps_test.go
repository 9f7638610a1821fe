package main

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// The client is what buyers and build machines run: it links no service, no log driver and no database. Policies come
// in through verify/policy, which builds its CEL environment when the first policy is loaded and not before.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":                     "the client holds no server code",
		"github.com/avow-dev/avow/internal/testworld":         "the test world is for tests",
		"github.com/transparency-dev/tessera":                 "the log is the service's",
		"github.com/google/cel-go":                            "the module is cel.dev/cel-go; the old path links a second copy",
		"modernc.org/sqlite":                                  "statements are stored by the service",
		"github.com/pressly/goose":                            "statements are stored by the service",
		"github.com/prometheus":                               "a client has no metrics",
		"github.com/moby":                                     "the client speaks to registries, never to a container daemon",
		"github.com/docker/cli/cli/command":                   "of docker only the file with the credentials is read",
		"k8s.io/client-go":                                    "credentials come from docker's configuration, not from a cluster",
		"cloud.google.com":                                    "no cloud is asked for credentials",
		"github.com/google/go-containerregistry/pkg/registry": "a registry for tests",
	})
}
