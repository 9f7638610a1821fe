//go:build interop

package interop

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
)

// registryImage starts a registry on loopback and puts an image there. It returns the image's reference and digest.
func registryImage(t *testing.T, referrersAPI bool) (reference, sha256 string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrersAPI), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(16, 1)
	if err == nil {
		err = remote.Write(tag, image)
	}
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return tag.Context().Name() + "@" + digest.String(), digest.Hex
}

// TestImages: cosign verifies what avow attached to an image, and what cosign attests to is beside it for avow and turns no
// verdict.
func TestImages(t *testing.T) {
	cosign := tool(t, "AVOW_COSIGN")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if out, err := run(t, "go", "build", "-o", in("avow"), "../../cmd/avow"); err != nil {
		t.Fatalf("build avow: %v: %s", err, out)
	}
	world := bundletest.NewWorld(t)
	public, err := attest.MarshalPublicKey(&world.Vendor.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, in("vendor.pub"), public)
	write(t, in("trusted_root.json"), world.TrustedRoot())
	write(t, in("predicate.json"), []byte(`{"buildDefinition":{},"runDetails":{}}`))
	keys := exec.CommandContext(t.Context(), cosign, "generate-key-pair")
	keys.Dir, keys.Env = dir, append(os.Environ(), "COSIGN_PASSWORD=")
	if out, err := keys.CombinedOutput(); err != nil {
		t.Fatalf("cosign generate-key-pair: %v: %s", err, out)
	}
	for _, api := range []bool{true, false} {
		image, sha256 := registryImage(t, api)
		now := time.Now().UTC().Truncate(time.Second)
		for _, statement := range []string{"data-flows", "no-backdoor"} {
			write(t, in(statement+".json"), world.IssueJSON(t, bundletest.Spec{At: now.Add(-time.Minute), Payload: bundletest.Statement(t,
				statement, bundletest.ArtifactSHA256, sha256, "2026-09-01T09:00:00Z", now.Add(-time.Hour).Format(time.RFC3339),
				"2027-09-01T09:00:00Z", now.AddDate(0, 6, 0).Format(time.RFC3339))}))
		}
		if out, err := run(t, in("avow"), "attach", image, "--bundle", in("data-flows.json"), "--bundle", in("no-backdoor.json")); err != nil {
			t.Fatalf("attach: %v: %s", err, out)
		}
		attesting := exec.CommandContext(t.Context(), cosign, "attest", "--key", in("cosign.key"), "--type", "slsaprovenance1", "--predicate",
			in("predicate.json"), "--new-bundle-format", "--use-signing-config=false", "--tlog-upload=false", "--allow-http-registry", "--yes", image)
		attesting.Env = append(os.Environ(), "COSIGN_PASSWORD=")
		if out, err := attesting.CombinedOutput(); err != nil {
			t.Fatalf("cosign attest: %v: %s", err, out)
		}
		for _, predicateType := range statements {
			verify := []string{"verify-attestation", "--new-bundle-format", "--use-signed-timestamps", "--allow-http-registry", "--trusted-root",
				in("trusted_root.json"), "--type", predicateType, "--key"}
			if out, err := run(t, cosign, append(verify, in("vendor.pub"), image)...); err != nil {
				t.Errorf("cosign refuses what avow attached: %v: %s", err, out)
			}
			if out, err := run(t, cosign, append(verify, in("cosign.pub"), image)...); !exited(err) {
				t.Errorf("cosign accepts another key, or did not run: %v: %s", err, out)
			}
		}
		out, err := run(t, in("avow"), "verify", "oci://"+image, "--trusted-root", in("trusted_root.json"), "--key", in("vendor.pub"))
		if err != nil || !strings.Contains(out, "oci-foreign-statement: it states https://slsa.dev/provenance/v1") {
			t.Errorf("avow: %v: %s", err, out)
		}
	}
}
