package server_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"
	ct "github.com/google/certificate-transparency-go"
	cttls "github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/google/certificate-transparency-go/x509util"
	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekorpb "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/avow-dev/avow/internal/oidctest"
	"github.com/avow-dev/avow/internal/testworld"
	"github.com/avow-dev/avow/server/identity"
)

// caWorld is a service that issues certificates, its issuers, and its HTTP port.
type caWorld struct {
	*testworld.World
	email, github, gitlab *oidctest.Issuer
	rest                  *httptest.Server
	ca                    fulciopb.CAClient
}

func startIssuer(t testing.TB) *oidctest.Issuer {
	t.Helper()
	i, err := oidctest.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func newCAWorld(t *testing.T) *caWorld {
	t.Helper()
	w := &caWorld{email: startIssuer(t), github: startIssuer(t), gitlab: startIssuer(t)}
	// The address is told to clients, so it is needed before the service that answers there.
	var service http.Handler
	w.rest = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { service.ServeHTTP(out, r) }))
	t.Cleanup(w.rest.Close)
	var err error
	w.World, err = testworld.Start(t.Context(), testworld.Config{
		Dir: t.TempDir(), Clock: time.Now, PublicURL: w.rest.URL, RekorOpen: true,
		Issuers: []identity.Issuer{
			{URL: w.email.URL(), Kind: identity.Email}, {URL: w.github.URL(), Kind: identity.GitHubWorkflow},
			{URL: w.gitlab.URL(), Kind: identity.GitLabPipeline},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if service, err = w.Handler(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(w.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	w.ca = fulciopb.NewCAClient(conn)
	t.Cleanup(func() {
		conn.Close()
		w.rest.Close()
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func mail(address string) map[string]any {
	return map[string]any{"email": address, "email_verified": true, "sub": "1234"}
}

// signer is a key with the PEM form of its public half.
type signer struct {
	key *ecdsa.PrivateKey
	pem string
}

func newSigner(t testing.TB) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key, publicPEM(t, key.Public())}
}

func publicPEM(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (s signer) prove(t testing.TB, challenge string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(challenge))
	sig, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func byProof(token, publicKey string, proof []byte) *fulciopb.CreateSigningCertificateRequest {
	return &fulciopb.CreateSigningCertificateRequest{
		Credentials: &fulciopb.Credentials{Credentials: &fulciopb.Credentials_OidcIdentityToken{OidcIdentityToken: token}},
		Key: &fulciopb.CreateSigningCertificateRequest_PublicKeyRequest{PublicKeyRequest: &fulciopb.PublicKeyRequest{
			PublicKey: &fulciopb.PublicKey{Content: publicKey}, ProofOfPossession: proof,
		}},
	}
}

func byRequest(token string, csr []byte) *fulciopb.CreateSigningCertificateRequest {
	return &fulciopb.CreateSigningCertificateRequest{
		Credentials: &fulciopb.Credentials{Credentials: &fulciopb.Credentials_OidcIdentityToken{OidcIdentityToken: token}},
		Key:         &fulciopb.CreateSigningCertificateRequest_CertificateSigningRequest{CertificateSigningRequest: csr},
	}
}

func signingRequest(t testing.TB, template *x509.CertificateRequest, key any) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func parseCertificate(t testing.TB, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func extension(cert *x509.Certificate, id ...int) (value []byte, critical bool) {
	for _, e := range cert.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier(id)) {
			return e.Value, e.Critical
		}
	}
	return nil, false
}

// TestCertificate: both forms of a request, by gRPC; what is in a certificate; and that its timestamp is true.
func TestCertificate(t *testing.T) {
	w := newCAWorld(t)
	s := newSigner(t)
	token := w.github.Token(oidctest.GitHubClaims())
	// A signing request may ask for any name; only its key counts.
	csr := signingRequest(t, &x509.CertificateRequest{EmailAddresses: []string{"ceo@example.com"}}, s.key)
	for name, req := range map[string]*fulciopb.CreateSigningCertificateRequest{
		"proof":   byProof(token, s.pem, s.prove(t, oidctest.GitHubClaims()["sub"].(string))),
		"request": byRequest(token, csr),
	} {
		t.Run(name, func(t *testing.T) {
			before := time.Now()
			answer, err := w.ca.CreateSigningCertificate(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			chain := answer.GetSignedCertificateEmbeddedSct().GetChain().GetCertificates()
			if len(chain) != 3 {
				t.Fatalf("got %d certificates", len(chain))
			}
			cert := parseCertificate(t, chain[0])
			w.checkForm(t, cert, before)
			if !s.key.PublicKey.Equal(cert.PublicKey) {
				t.Error("the certificate is for another key")
			}
			w.checkLogged(t, cert, parseCertificate(t, chain[1]))
		})
	}
}

// checkForm: what Fulcio's certificate specification asks for.
func (w *caWorld) checkForm(t *testing.T, cert *x509.Certificate, before time.Time) {
	t.Helper()
	const want = "https://github.com/acme/gateway/.github/workflows/release.yml@refs/heads/main"
	if len(cert.URIs) != 1 || cert.URIs[0].String() != want || len(cert.EmailAddresses)+len(cert.DNSNames)+len(cert.IPAddresses) != 0 {
		t.Errorf("names: %v %v", cert.URIs, cert.EmailAddresses)
	}
	if _, critical := extension(cert, 2, 5, 29, 17); !critical || cert.Subject.String() != "" {
		t.Errorf("the name is not critical, or there is a subject %q", cert.Subject)
	}
	if cert.KeyUsage != x509.KeyUsageDigitalSignature || len(cert.ExtKeyUsage) != 1 || cert.ExtKeyUsage[0] != x509.ExtKeyUsageCodeSigning ||
		cert.IsCA {
		t.Errorf("usage %v %v, CA %v", cert.KeyUsage, cert.ExtKeyUsage, cert.IsCA)
	}
	if life := cert.NotAfter.Sub(cert.NotBefore); life != 10*time.Minute || cert.NotBefore.After(time.Now()) ||
		cert.NotBefore.Before(before.Add(-time.Second)) {
		t.Errorf("valid from %s for %s", cert.NotBefore, life)
	}
	value, _ := extension(cert, 1, 3, 6, 1, 4, 1, 57264, 1, 8)
	if got := string(bytes.TrimLeft(value, "\x0c\x15\x16\x17")); !strings.HasSuffix(got, w.github.URL()) {
		t.Errorf("issuer %q", value)
	}
	if value, _ = extension(cert, 1, 3, 6, 1, 4, 1, 11129, 2, 4, 3); value != nil {
		t.Error("the certificate has the poison of a precertificate")
	}
}

// checkLogged: sigstore-go verifies the timestamp, and the entry that it promises is in the log, covered by the checkpoint.
func (w *caWorld) checkLogged(t *testing.T, cert, issuer *x509.Certificate) {
	t.Helper()
	tr, err := root.NewTrustedRootFromJSON(w.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{cert, issuer}
	if err := sgverify.VerifySignedCertificateTimestamp([][]*x509.Certificate{chain}, 1, tr); err != nil {
		t.Errorf("sigstore-go: %v", err)
	}
	parsed, err := ctx509.ParseCertificates(append(append([]byte{}, cert.Raw...), issuer.Raw...))
	if err != nil {
		t.Fatal(err)
	}
	scts, err := x509util.ParseSCTsFromSCTList(&parsed[0].SCTList)
	if err != nil || len(scts) != 1 {
		t.Fatalf("got %d timestamps: %v", len(scts), err)
	}
	if at := time.UnixMilli(int64(scts[0].Timestamp)); at.After(time.Now()) || at.Before(cert.NotBefore) {
		t.Errorf("timestamp of %s", at)
	}
	leaf, err := ct.MerkleTreeLeafForEmbeddedSCT(parsed, scts[0].Timestamp)
	if err != nil {
		t.Fatal(err)
	}
	want, err := cttls.Marshal(*leaf)
	if err != nil {
		t.Fatal(err)
	}
	_, size, _ := w.CertificateLog().Checkpoint()
	for index := range size {
		got, err := w.CertificateLog().Entry(t.Context(), index)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, want) {
			w.checkServed(t, want)
			return
		}
	}
	t.Error("the certificate log does not hold the certificate")
}

// checkServed: anybody can read the entry.
func (w *caWorld) checkServed(t *testing.T, leaf []byte) {
	t.Helper()
	checkpoint := string(w.get(t, "/ct/checkpoint"))
	lines := strings.Split(checkpoint, "\n")
	if len(lines) < 3 || lines[0] != testworld.CertificateLogOrigin {
		t.Fatalf("checkpoint %q", checkpoint)
	}
	if entries := w.get(t, "/ct/tile/entries/000.p/"+lines[1]); !bytes.Contains(entries, leaf) {
		t.Error("the entry is not served")
	}
}

func (w *caWorld) get(t *testing.T, path string) []byte {
	t.Helper()
	response, err := http.Get(w.rest.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v %s", path, response.Status, err, body)
	}
	return body
}

// TestBundleOfACertificate: a bundle made by the service's Fulcio, Rekor and timestamp interfaces alone is accepted by
// sigstore-go with every check, and by this project's verifier, which both want the certificate's timestamp.
func TestBundleOfACertificate(t *testing.T) {
	w := newCAWorld(t)
	s := newSigner(t)
	claims := oidctest.GitHubClaims()
	answer, err := w.ca.CreateSigningCertificate(t.Context(), byProof(w.github.Token(claims), s.pem, s.prove(t, claims["sub"].(string))))
	if err != nil {
		t.Fatal(err)
	}
	cert := parseCertificate(t, answer.GetSignedCertificateEmbeddedSct().GetChain().GetCertificates()[0])
	made := w.bundle(t, s, cert.Raw)
	tr, err := root.NewTrustedRootFromJSON(w.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	v, err := sgverify.NewVerifier(tr, sgverify.WithTransparencyLog(1), sgverify.WithSignedTimestamps(1),
		sgverify.WithSignedCertificateTimestamps(1))
	if err != nil {
		t.Fatal(err)
	}
	const san = "https://github.com/acme/gateway/.github/workflows/release.yml@refs/heads/main"
	accepts := func(issuer, san string) error {
		id, err := sgverify.NewShortCertificateIdentity(issuer, "", san, "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := bundle.NewBundle(made)
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(b, sgverify.NewPolicy(sgverify.WithArtifactDigest("sha256", bytes.Repeat([]byte{0xab}, 32)),
			sgverify.WithCertificateIdentity(id)))
		return err
	}
	if err := accepts(w.github.URL(), san); err != nil {
		t.Errorf("sigstore-go: %v", err)
	}
	if err := accepts(w.email.URL(), san); err == nil {
		t.Error("sigstore-go accepts another issuer")
	}
	if err := accepts(w.github.URL(), san+"s"); err == nil {
		t.Error("sigstore-go accepts another name")
	}
}

// bundle signs a statement with a certificate's key, and has it logged and timestamped over HTTP.
func (w *caWorld) bundle(t *testing.T, s signer, cert []byte) *protobundle.Bundle {
	t.Helper()
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"` +
		strings.Repeat("ab", 32) + `"}}],"predicateType":"https://example.com/p","predicate":{}}`)
	const payloadType = "application/vnd.in-toto+json"
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	digest := sha256.Sum256(pae)
	sig := s.prove(t, string(pae))
	x509Certificate := &commonv1.X509Certificate{RawBytes: cert}
	entry := &rekorv1.TransparencyLogEntry{}
	w.post(t, "/api/v2/log/entries", &rekorpb.CreateEntryRequest{Spec: &rekorpb.CreateEntryRequest_HashedRekordRequestV002{
		HashedRekordRequestV002: &rekorpb.HashedRekordRequestV002{Digest: digest[:], Signature: &rekorpb.Signature{
			Content: sig, Verifier: &rekorpb.Verifier{KeyDetails: commonv1.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
				Verifier: &rekorpb.Verifier_X509Certificate{X509Certificate: x509Certificate}}}}}}, entry)
	request, err := timestamp.CreateRequest(bytes.NewReader(sig), &timestamp.RequestOptions{Hash: crypto.SHA256, Certificates: true})
	if err != nil {
		t.Fatal(err)
	}
	token := w.send(t, "/api/v1/timestamp", "application/timestamp-query", request)
	return &protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:                   &protobundle.VerificationMaterial_Certificate{Certificate: x509Certificate},
			TlogEntries:               []*rekorv1.TransparencyLogEntry{entry},
			TimestampVerificationData: &protobundle.TimestampVerificationData{Rfc3161Timestamps: []*commonv1.RFC3161SignedTimestamp{{SignedTimestamp: token}}},
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: payload, PayloadType: payloadType, Signatures: []*protodsse.Signature{{Sig: sig}}}},
	}
}

func (w *caWorld) post(t *testing.T, path string, in, out proto.Message) {
	t.Helper()
	body, err := protojson.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(w.send(t, path, "application/json", body), out); err != nil {
		t.Fatal(err)
	}
}

func (w *caWorld) send(t *testing.T, path, contentType string, body []byte) []byte {
	t.Helper()
	response, err := http.Post(w.rest.URL+path, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode/100 != 2 {
		t.Fatalf("%s: %s %v %s", path, response.Status, err, answer)
	}
	return answer
}
