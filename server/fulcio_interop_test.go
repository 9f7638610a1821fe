//go:build interop

package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/avow-dev/avow/internal/oidctest"
	"github.com/avow-dev/avow/server/certauthority"
)

// inNamespace runs a test again in a network namespace of its own, where there is nothing but loopback; it reports whether
// this is that run.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const mark = "AVOW_TEST_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-n", "sh", "-c", `ip link set lo up && exec "$0" "$@"`,
		os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("in a network namespace: %v: %s", err, out)
	}
	return false
}

// TestBesideFulcio: the real Fulcio and this service, asked with the same token and key, give certificates of the same name,
// extensions, usages and lifetime. Fulcio listens for metrics on all interfaces, hence the namespace.
func TestBesideFulcio(t *testing.T) {
	program := os.Getenv("AVOW_FULCIO")
	if program == "" {
		t.Fatal("AVOW_FULCIO is not set; run: bash .ci/run interop")
	}
	if !inNamespace(t) {
		return
	}
	w := newCAWorld(t)
	fulcio := startFulcio(t, program, w)
	s := newSigner(t)
	plain := oidctest.GitHubClaims()
	umlaut := with(plain, map[string]any{"job_workflow_ref": "acme/gateway/.github/workflows/r.yml@refs/heads/grün"})
	for name, c := range map[string]struct {
		token, challenge string
	}{
		"email":       {w.email.Token(mail("Jane.Doe+ci@example.com")), "Jane.Doe+ci@example.com"},
		"github":      {w.github.Token(plain), plain["sub"].(string)},
		"environment": {w.github.Token(with(plain, map[string]any{"environment": "production"})), plain["sub"].(string)},
		"gitlab":      {w.gitlab.Token(oidctest.GitLabClaims()), oidctest.GitLabClaims()["sub"].(string)},
		"gitlab tag": {w.gitlab.Token(with(oidctest.GitLabClaims(), map[string]any{"ref_type": "tag", "ref": "v1"})),
			oidctest.GitLabClaims()["sub"].(string)},
		"umlaut": {w.github.Token(umlaut), plain["sub"].(string)},
	} {
		t.Run(name, func(t *testing.T) {
			req := byProof(c.token, s.pem, s.prove(t, c.challenge))
			ours, err := w.ca.CreateSigningCertificate(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := fulcio.CreateSigningCertificate(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, parseCertificate(t, ours.GetSignedCertificateEmbeddedSct().GetChain().GetCertificates()[0]),
				parseCertificate(t, theirs.GetSignedCertificateDetachedSct().GetChain().GetCertificates()[0]))
		})
	}
}

// compare compares all extensions but the authority's key and the timestamp, which Fulcio does not have here.
func compare(t *testing.T, ours, theirs *x509.Certificate) {
	t.Helper()
	if a, b := ours.NotAfter.Sub(ours.NotBefore), theirs.NotAfter.Sub(theirs.NotBefore); a != b {
		t.Errorf("valid for %s, Fulcio's for %s", a, b)
	}
	if ours.Subject.String() != theirs.Subject.String() {
		t.Errorf("subject %q, Fulcio's %q", ours.Subject, theirs.Subject)
	}
	list := func(c *x509.Certificate) map[string]string {
		all := map[string]string{}
		for _, e := range c.Extensions {
			if id := e.Id.String(); id != "2.5.29.35" && id != "1.3.6.1.4.1.11129.2.4.2" {
				all[id] = fmt.Sprintf("%v %q", e.Critical, e.Value)
			}
		}
		return all
	}
	a, b := list(ours), list(theirs)
	for id := range with(toAny(a), toAny(b)) {
		if a[id] != b[id] {
			t.Errorf("extension %s: %s, Fulcio's %s", id, a[id], b[id])
		}
	}
}

func toAny(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// fulcioConfig names the world's issuers, with the definitions of CI systems that the published instance of Fulcio has.
func fulcioConfig(t *testing.T, w *caWorld) []byte {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/fulcio").Output()
	if err != nil {
		t.Fatal(err)
	}
	published, err := os.ReadFile(filepath.Join(string(bytes.TrimSpace(dir)), "config", "identity", "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	define, rest, found := bytes.Cut(published, []byte("oidc-issuers:\n"))
	_, metadata, found2 := bytes.Cut(rest, []byte("ci-issuer-metadata:\n"))
	if !found || !found2 {
		t.Fatal("Fulcio's configuration has changed its form")
	}
	out := fmt.Appendf(define, "oidc-issuers:\n  %[1]s:\n    issuer-url: %[1]s\n    client-id: sigstore\n    type: email\n", w.email.URL())
	for issuer, provider := range map[string]string{w.github.URL(): "github", w.gitlab.URL(): "gitlab"} {
		out = fmt.Appendf(out, "  %[1]s:\n    issuer-url: %[1]s\n    client-id: sigstore\n    type: ci-provider\n    ci-provider: *%[2]s-type\n",
			issuer, provider)
	}
	return append(append(out, "ci-issuer-metadata:\n"...), metadata...)
}

// startFulcio runs Fulcio with a chain of its own and the world's issuers.
func startFulcio(t *testing.T, program string, w *caWorld) fulciopb.CAClient {
	t.Helper()
	dir := t.TempDir()
	ca, err := certauthority.Generate("fulcio.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // the form in which Fulcio reads its key
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte("password"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	config := fulcioConfig(t, w)
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "serve", "--ca", "fileca",
		"--fileca-cert", file("ca.pem", ca.ChainPEM), "--fileca-key", file("ca.key", pem.EncodeToMemory(block)), "--fileca-key-passwd", "password",
		"--config-path", file("config.yaml", config), "--ct-log-url", "", "--host", "127.0.0.1", "--port", "5555",
		"--grpc-host", "127.0.0.1", "--grpc-port", "5554", "--metrics-port", "5552")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("fulcio: %s", log.String())
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:5554")
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("fulcio does not listen: %s", log.String())
		}
	}
	conn, err := grpc.NewClient("127.0.0.1:5554", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return fulciopb.NewCAClient(conn)
}
