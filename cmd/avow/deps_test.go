package main

import (
	"testing"

	"github.com/avow-dev/avow/internal/deptest"
)

// The client is what buyers and build machines run: it links no service, no log driver, no database and no policy
// engine.
func TestDependencies(t *testing.T) {
	deptest.Forbid(t, map[string]string{
		"github.com/avow-dev/avow/server":                     "the client holds no server code",
		"github.com/avow-dev/avow/internal/testworld":         "the test world is for tests",
		"github.com/transparency-dev/tessera":                 "the log is the service's",
		"github.com/google/cel-go":                            "policies make every start slower; they come in by a command of their own",
		"cel.dev":                                             "policies make every start slower; they come in by a command of their own",
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
