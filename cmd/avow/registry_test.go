package main

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"
)

// startRegistry is `registry [-fallback]`: a registry on a loopback port for the rest of the script, with an image at
// team/app:1.2.3. It sets REGISTRY to host and port, and IMAGE and SHA256 to the image's reference and digest. With
// -fallback it has no referrers API.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("registry cannot be negated")
	}
	fallback := len(args) == 1 && args[0] == "-fallback"
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(!fallback),
		registry.Logger(log.New(io.Discard, "", 0))))
	ts.Defer(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	tag, err := name.NewTag(host + "/team/app:1.2.3")
	ts.Check(err)
	image, err := random.Index(64, 1, 2)
	ts.Check(err)
	ts.Check(remote.WriteIndex(tag, image))
	digest, err := image.Digest()
	ts.Check(err)
	ts.Setenv("REGISTRY", host)
	ts.Setenv("IMAGE", host+"/team/app@"+digest.String())
	ts.Setenv("SHA256", digest.Hex)
}
