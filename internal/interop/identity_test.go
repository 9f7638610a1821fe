//go:build interop

package interop

import (
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/testworld"
)

// signedAt is shortly after the issuedAt of the example statements.
var signedAt = time.Date(2026, 9, 1, 9, 5, 0, 0, time.UTC)

// certifiedSigner is a key with a certificate of ten minutes, logged in a CT log.
func certifiedSigner(t *testing.T, ca *bundletest.CA, ct *bundletest.Log, id testworld.Identity) *attest.CertifiedSigner {
	t.Helper()
	key, err := attest.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	der := ca.CertifyLogged(t, key.PublicKey(), id.SAN, id.Issuer, signedAt, signedAt.Add(10*time.Minute), signedAt, ct).Raw
	certificate, err := attest.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := attest.Certify(key, certificate)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestCosignVerifiesIdentities: unmodified cosign accepts what an identity issued, with its default demands (certificate
// timestamp included), months after the certificate expired; and refuses another identity and another issuer.
func TestCosignVerifiesIdentities(t *testing.T) {
	id := testworld.Identity{Issuer: "https://issuer.example.test", SAN: "https://ci.example.test/acme/release"}
	ca := bundletest.NewCA(t, "https://ca.example.test", signedAt.AddDate(0, -1, 0))
	ct := bundletest.NewECDSALog(t, "ct.example.test", signedAt.AddDate(0, -1, 0))
	dir := t.TempDir()
	w, err := testworld.Start(t.Context(), testworld.Config{Dir: t.TempDir(), Clock: func() time.Time { return signedAt },
		Product: "pkg:generic/example-tool", Identities: []testworld.Identity{id}, Trust: func(root []byte) []byte { return bundletest.WithIdentities(t, root, ca, ct) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	prepared, err := attest.Prepare(bundletest.Statement(t, "data-flows-none"), attest.PrepareOptions{Now: signedAt})
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := prepared.SignCertified(t.Context(), certifiedSigner(t, ca, ct, id))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(w.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	issued, err := avowv1.NewAttestationServiceClient(conn).Issue(t.Context(), &avowv1.IssueRequest{
		Content: &avowv1.IssueRequest_SignedEnvelope{SignedEnvelope: &avowv1.SignedEnvelope{
			Envelope: envelope.JSON(), Certificate: envelope.Certificate().DER()}}})
	if err != nil {
		t.Fatal(err)
	}
	bundle, root := filepath.Join(dir, "bundle.json"), filepath.Join(dir, "root.json")
	write(t, bundle, issued.GetBundle())
	write(t, root, w.TrustedRoot)
	verify := func(san, issuer, digest string) (string, error) {
		return run(t, tool(t, "AVOW_COSIGN"), "verify-blob-attestation", "--bundle", bundle, "--trusted-root", root,
			"--type", dataFlowsType, "--certificate-identity", san, "--certificate-oidc-issuer", issuer,
			"--digest", digest, "--digestAlg", "sha256")
	}
	if out, err := verify(id.SAN, id.Issuer, bundletest.ArtifactSHA256); err != nil {
		t.Errorf("refused: %v: %s", err, out)
	}
	for name, c := range map[string][3]string{
		"another identity": {id.SAN + "2", id.Issuer, bundletest.ArtifactSHA256},
		"another issuer":   {id.SAN, id.Issuer + "2", bundletest.ArtifactSHA256},
		"another file":     {id.SAN, id.Issuer, bundletest.OtherSHA256},
	} {
		if out, err := verify(c[0], c[1], c[2]); !exited(err) {
			t.Errorf("%s: accepted, or did not run: %v: %s", name, err, out)
		}
	}
}
