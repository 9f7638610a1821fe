//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/avow-dev/avow/internal/oidctest"
)

// TestCosignWithoutAKey: unmodified cosign, with an identity token and default flags, gets a certificate, a timestamp and an
// entry from avowd alone; cosign, avow and sigstore-js verify the bundle offline, each asking for the certificate's timestamp.
func TestCosignWithoutAKey(t *testing.T) {
	// cosign takes a token for a file's name unless it is signed with RSA.
	issuer, err := oidctest.StartWith(t.Context(), jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	story, dir := quickstart(t), t.TempDir()
	address := serveConfigured(t, filepath.Join(story, "vendor.pub"), []string{"--certificates"}, func(config []byte) []byte {
		config = bytes.Replace(config, []byte("open: false"), []byte("open: true"), 1)
		return bytes.Replace(config, []byte("issuers: []"), fmt.Appendf(nil,
			"issuers:\n    - url: %s\n      type: github-workflow", issuer.URL()), 1)
	})
	avow := buildAvow(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	at := func(name string) string { return filepath.Join(story, name) }
	avow(0, "trust", "--server", address, "--insecure", "-o", file("root.json"), "--signing-config", file("signing.json"))
	attestBlob := func(token, bundle string) (string, error) {
		return run(t, tool(t, "AVOW_COSIGN"), "attest-blob", "--yes", "--identity-token", token, "--signing-config", file("signing.json"),
			"--trusted-root", file("root.json"), "--bundle", file(bundle), "--statement", at("data-flows.json"))
	}
	if out, err := attestBlob(issuer.Token(oidctest.GitHubClaims()), "bundle.json"); err != nil {
		t.Fatalf("attest-blob: %v: %s", err, out)
	}
	const san = "https://github.com/acme/gateway/.github/workflows/release.yml@refs/heads/main"
	verifyBlob := func(san, issuer string) (string, error) {
		return run(t, tool(t, "AVOW_COSIGN"), "verify-blob-attestation", "--bundle", file("bundle.json"), "--trusted-root", file("root.json"),
			"--type", dataFlowsType, "--certificate-identity", san, "--certificate-oidc-issuer", issuer, at("artifact"))
	}
	if out, err := verifyBlob(san, issuer.URL()); err != nil {
		t.Errorf("verify-blob-attestation: %v: %s", err, out)
	}
	if out, err := verifyBlob(san+"s", issuer.URL()); !exited(err) {
		t.Errorf("another name: %v: %s", err, out)
	}
	if out, err := verifyBlob(san, issuer.URL()+"/"); !exited(err) {
		t.Errorf("another issuer: %v: %s", err, out)
	}
	verify := func(code int, san, issuer string) {
		avow(code, "verify", at("artifact"), "--bundle", file("bundle.json"), "--trusted-root", file("root.json"), "--identity", san,
			"--issuer", issuer)
	}
	verify(0, san, issuer.URL())
	verify(1, san+"s", issuer.URL())
	verify(1, san, issuer.URL()+"/")

	script := installScript(t, filepath.Join(t.TempDir(), "js"))
	js := func(san string) (string, error) {
		return run(t, "node", script, file("root.json"), "--identity", san, issuer.URL(), file("bundle.json"), at("artifact"))
	}
	if out, err := js(san); err != nil {
		t.Errorf("sigstore-js: %v: %s", err, out)
	}
	if out, err := js(san + "s"); !exited(err) {
		t.Errorf("sigstore-js, another name: %v: %s", err, out)
	}

	stranger, err := oidctest.StartWith(t.Context(), jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	out, err := attestBlob(stranger.Token(oidctest.GitHubClaims()), "stranger.json")
	if !exited(err) || !strings.Contains(out, "TOKEN_ISSUER_UNKNOWN") {
		t.Errorf("a stranger's token: %v: %s", err, out)
	}
	if stranger.Requests() != 0 {
		t.Errorf("the stranger was asked %d times", stranger.Requests())
	}
}
