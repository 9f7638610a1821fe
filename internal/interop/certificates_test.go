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

// workflowSAN is the name that oidctest.GitHubClaims give.
const workflowSAN = "https://github.com/acme/gateway/.github/workflows/release.yml@refs/heads/main"

// keyless is an avowd with a certificate authority, and what its clients have.
type keyless struct {
	issuer             *oidctest.Issuer
	address, dir, demo string
	script             string
	avow               func(code int, args ...string)
}

// newKeyless starts a service whose registered vendor is the identity of the workflow, or which is open to all.
func newKeyless(t *testing.T, open bool) *keyless {
	t.Helper()
	// cosign takes a token for a file's name unless it is signed with RSA.
	issuer, err := oidctest.StartWith(t.Context(), jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	k := &keyless{issuer: issuer, dir: t.TempDir(), demo: quickstart(t), avow: buildAvow(t)}
	vendor := []string{"--key", k.file("demo", "vendor.pub")}
	if !open {
		vendor = []string{"--identity", workflowSAN, "--issuer", issuer.URL()}
	}
	k.address, _ = serveWith(t, vendor, []string{"--certificates"}, func(config []byte) []byte {
		config = bytes.Replace(config, []byte("open: false"), fmt.Appendf(nil, "open: %t", open), 1)
		return bytes.Replace(config, []byte("issuers: []"), fmt.Appendf(nil,
			"issuers:\n    - url: %s\n      type: github-workflow", issuer.URL()), 1)
	})
	k.avow(0, "trust", "--server", k.address, "--insecure", "-o", k.file("root.json"), "--signing-config", k.file("signing.json"))
	k.script = installScript(t, filepath.Join(t.TempDir(), "js"))
	return k
}

// file is a path in the client's directory, or of the quickstart's with "demo" before it.
func (k *keyless) file(path ...string) string {
	if path[0] == "demo" {
		return filepath.Join(append([]string{k.demo}, path[1:]...)...)
	}
	return filepath.Join(append([]string{k.dir}, path...)...)
}

// cosignAttests has unmodified cosign sign with a token and default flags.
func (k *keyless) cosignAttests(t *testing.T, token, bundle string) (string, error) {
	t.Helper()
	return run(t, tool(t, "AVOW_COSIGN"), "attest-blob", "--yes", "--identity-token", token, "--signing-config", k.file("signing.json"),
		"--trusted-root", k.file("root.json"), "--bundle", k.file(bundle), "--statement", k.file("demo", "data-flows.json"))
}

// checkVerifiers has cosign, avow and sigstore-js verify the bundle offline, with default options, so that each asks for the
// certificate's timestamp; and refuse it by another name and issuer.
func (k *keyless) checkVerifiers(t *testing.T, bundle string) {
	t.Helper()
	url := k.issuer.URL()
	cosign := func(san, issuer string) (string, error) {
		return run(t, tool(t, "AVOW_COSIGN"), "verify-blob-attestation", "--bundle", k.file(bundle), "--trusted-root", k.file("root.json"),
			"--type", dataFlowsType, "--certificate-identity", san, "--certificate-oidc-issuer", issuer, k.file("demo", "artifact"))
	}
	js := func(san, issuer string) (string, error) {
		return run(t, "node", k.script, k.file("root.json"), "--identity", san, issuer, k.file(bundle), k.file("demo", "artifact"))
	}
	if out, err := cosign(workflowSAN, url); err != nil {
		t.Errorf("cosign: %v: %s", err, out)
	}
	if out, err := cosign(workflowSAN+"s", url); !exited(err) {
		t.Errorf("cosign, another name: %v: %s", err, out)
	}
	if out, err := cosign(workflowSAN, url+"/"); !exited(err) {
		t.Errorf("cosign, another issuer: %v: %s", err, out)
	}
	avow := func(code int, san, issuer string) {
		k.avow(code, "verify", k.file("demo", "artifact"), "--bundle", k.file(bundle), "--trusted-root", k.file("root.json"), "--identity",
			san, "--issuer", issuer)
	}
	avow(0, workflowSAN, url)
	avow(1, workflowSAN+"s", url)
	avow(1, workflowSAN, url+"/")
	if out, err := js(workflowSAN, url); err != nil {
		t.Errorf("sigstore-js: %v: %s", err, out)
	}
	if out, err := js(workflowSAN+"s", url); !exited(err) {
		t.Errorf("sigstore-js, another name: %v: %s", err, out)
	}
}

// TestCosignWithoutAKey: unmodified cosign gets a certificate, a timestamp and an entry from an open avowd alone.
func TestCosignWithoutAKey(t *testing.T) {
	k := newKeyless(t, true)
	if out, err := k.cosignAttests(t, k.issuer.Token(oidctest.GitHubClaims()), "bundle.json"); err != nil {
		t.Fatalf("attest-blob: %v: %s", err, out)
	}
	k.checkVerifiers(t, "bundle.json")
	stranger, err := oidctest.StartWith(t.Context(), jose.RS256)
	if err != nil {
		t.Fatal(err)
	}
	out, err := k.cosignAttests(t, stranger.Token(oidctest.GitHubClaims()), "stranger.json")
	if !exited(err) || !strings.Contains(out, "TOKEN_ISSUER_UNKNOWN") {
		t.Errorf("a stranger's token: %v: %s", err, out)
	}
	if stranger.Requests() != 0 {
		t.Errorf("the stranger was asked %d times", stranger.Requests())
	}
}

// TestAttestWithoutAKey: avow attest gets a certificate from the service and issues with it, as a registered identity, and
// everybody verifies what comes out. cosign writes as the same identity, and the service takes its bundle for the same statement;
// another workflow of the same issuer gets a certificate and may not write.
func TestAttestWithoutAKey(t *testing.T) {
	k := newKeyless(t, false)
	claims := oidctest.GitHubClaims()
	token := k.file("token")
	write(t, token, []byte(k.issuer.Token(claims)))
	attest := func(code int, output string) {
		k.avow(code, "attest", k.file("demo", "no-backdoor.json"), k.file("demo", "data-flows.json"), "--identity-token", token, "--server",
			k.address, "--insecure", "-o", k.file(output))
	}
	attest(0, "out")
	bundle := filepath.Join("out", "data-flows.sigstore.json")
	k.checkVerifiers(t, bundle)
	attest(0, "again")
	if !bytes.Equal(read(t, k.file(bundle)), read(t, k.file("again", "data-flows.sigstore.json"))) {
		t.Error("the same statement by the same identity got another bundle")
	}

	if out, err := k.cosignAttests(t, k.issuer.Token(claims), "cosign.json"); err != nil {
		t.Fatalf("attest-blob as a registered identity: %v: %s", err, out)
	}
	k.checkVerifiers(t, "cosign.json")
	k.avow(0, "submit", k.file("cosign.json"), "--server", k.address, "--insecure", "-o", k.file("submitted"))

	claims["job_workflow_ref"] = "acme/gateway/.github/workflows/other.yml@refs/heads/main"
	write(t, token, []byte(k.issuer.Token(claims)))
	attest(1, "other")
	out, err := k.cosignAttests(t, k.issuer.Token(claims), "other.json")
	if !exited(err) || !strings.Contains(out, "IDENTITY_UNKNOWN") {
		t.Errorf("another workflow: %v: %s", err, out)
	}
}
