package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/avow-dev/avow/internal/oidctest"
	"github.com/avow-dev/avow/internal/testworld"
)

// reasonOf is the reason of an error.
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// TestCertificateRefusals: each with its reason.
func TestCertificateRefusals(t *testing.T) {
	w := newCAWorld(t)
	s, other := newSigner(t), newSigner(t)
	const address = "a@example.com"
	good := w.email.Token(mail(address))
	proof := s.prove(t, address)
	stranger := startIssuer(t)
	now := time.Now().Unix()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	down := with(mail(address), map[string]any{})
	forged := signingRequest(t, &x509.CertificateRequest{}, s.key)
	block, _ := pem.Decode(forged)
	block.Bytes[len(block.Bytes)-1] ^= 1
	forged = pem.EncodeToMemory(block)
	for name, c := range map[string]struct {
		req    *fulciopb.CreateSigningCertificateRequest
		reason string
	}{
		"no token":            {byProof("", s.pem, proof), "TOKEN_MALFORMED"},
		"dots":                {byProof(strings.Repeat(".", 1<<19), s.pem, proof), "TOKEN_MALFORMED"},
		"foreign issuer":      {byProof(stranger.Token(mail(address)), s.pem, proof), "TOKEN_ISSUER_UNKNOWN"},
		"foreign key":         {byProof(stranger.Token(with(mail(address), map[string]any{"iss": w.email.URL()})), s.pem, proof), "TOKEN_SIGNATURE"},
		"expired":             {byProof(w.email.Token(with(down, map[string]any{"exp": now - 1})), s.pem, proof), "TOKEN_TIME"},
		"audience":            {byProof(w.email.Token(with(down, map[string]any{"aud": "x"})), s.pem, proof), "TOKEN_AUDIENCE"},
		"not verified":        {byProof(w.email.Token(with(down, map[string]any{"email_verified": false})), s.pem, proof), "TOKEN_IDENTITY"},
		"no key":              {byProof(good, "", proof), "REQUEST_INVALID"},
		"no request":          {&fulciopb.CreateSigningCertificateRequest{Credentials: byProof(good, "", nil).GetCredentials()}, "REQUEST_INVALID"},
		"key is no key":       {byProof(good, "x", proof), "REQUEST_INVALID"},
		"request is none":     {byRequest(good, []byte("x")), "REQUEST_INVALID"},
		"P-384":               {byProof(good, publicPEM(t, p384.Public()), proof), "KEY_UNSUPPORTED"},
		"small RSA":           {byProof(good, publicPEM(t, small.Public()), proof), "KEY_UNSUPPORTED"},
		"P-384 request":       {byRequest(good, signingRequest(t, &x509.CertificateRequest{}, p384)), "KEY_UNSUPPORTED"},
		"SHA-512 request":     {byRequest(good, signingRequest(t, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA512}, s.key)), "KEY_UNSUPPORTED"},
		"no proof":            {byProof(good, s.pem, nil), "POSSESSION_UNPROVEN"},
		"another's proof":     {byProof(good, s.pem, other.prove(t, address)), "POSSESSION_UNPROVEN"},
		"proof of sub":        {byProof(good, s.pem, s.prove(t, "1234")), "POSSESSION_UNPROVEN"},
		"proof of the token":  {byProof(good, s.pem, s.prove(t, good)), "POSSESSION_UNPROVEN"},
		"long proof":          {byProof(good, s.pem, make([]byte, 2048)), "POSSESSION_UNPROVEN"},
		"another's request":   {byRequest(good, forged), "POSSESSION_UNPROVEN"},
		"proof in upper case": {byProof(good, s.pem, s.prove(t, strings.ToUpper(address))), "POSSESSION_UNPROVEN"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.ca.CreateSigningCertificate(t.Context(), c.req)
			if got := reasonOf(err); got != c.reason {
				t.Errorf("gRPC: got %v with reason %q, want %s", err, got, c.reason)
			}
		})
	}
	if n := w.CertificateLog().Size(); n != 0 {
		t.Errorf("%d certificates were logged", n)
	}
	if stranger.Requests() != 0 {
		t.Errorf("a foreign issuer was asked %d times", stranger.Requests())
	}
	gone := w.github
	gone.Handle(oidctest.DiscoveryPath, http.NotFound)
	_, err = w.ca.CreateSigningCertificate(t.Context(), byProof(gone.Token(oidctest.GitHubClaims()), s.pem, proof))
	if got := reasonOf(err); got != "ISSUER_UNAVAILABLE" {
		t.Errorf("issuer down: got %v with reason %q", err, got)
	}
}

func with(claims, changes map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range []map[string]any{claims, changes} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// TestCertificateOverHTTP: the token in the header or in the body, status 200, the trust bundle and the configuration.
func TestCertificateOverHTTP(t *testing.T) {
	w := newCAWorld(t)
	s := newSigner(t)
	token := w.email.Token(mail("a@example.com"))
	key := map[string]any{"publicKey": map[string]any{"algorithm": "ECDSA", "content": s.pem}, "proofOfPossession": s.prove(t, "a@example.com")}
	post := func(body map[string]any, authorization string) (*http.Response, string) {
		t.Helper()
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.rest.URL+"/api/v2/signingCert", bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(answer)
	}
	inBody := map[string]any{"publicKeyRequest": key, "credentials": map[string]any{"oidcIdentityToken": token}}
	inHeader := map[string]any{"publicKeyRequest": key}
	for name, c := range map[string]struct {
		body          map[string]any
		authorization string
		status        int
		reason        string
	}{
		"body":           {inBody, "", 200, ""},
		"header":         {inHeader, "Bearer " + token, 200, ""},
		"both":           {inBody, "Bearer junk", 200, ""},
		"neither":        {inHeader, "", 400, "TOKEN_MALFORMED"},
		"another scheme": {inHeader, "Basic " + token, 400, "TOKEN_MALFORMED"},
		"gateway's key":  {inHeader, "Bearer x.y.z", 400, "TOKEN_MALFORMED"},
	} {
		response, answer := post(c.body, c.authorization)
		if response.StatusCode != c.status || !strings.Contains(answer, c.reason) {
			t.Errorf("%s: got %s %s", name, response.Status, answer)
		}
	}
	if answer := w.get(t, "/api/v2/trustBundle"); strings.Count(string(answer), "BEGIN CERTIFICATE") != 2 {
		t.Errorf("trust bundle: %s", answer)
	}
	if answer := string(w.get(t, "/api/v2/configuration")); !strings.Contains(answer, w.email.URL()) || !strings.Contains(answer, "email") {
		t.Errorf("configuration: %s", answer)
	}
}

// TestCertificatesNotConfigured: a service without a certificate authority says so.
func TestCertificatesNotConfigured(t *testing.T) {
	w, err := testworld.Start(t.Context(), testworld.Config{Dir: t.TempDir(), Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(w.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := w.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	client := fulciopb.NewCAClient(conn)
	_, err = client.CreateSigningCertificate(t.Context(), byProof("a.b.c", "", nil))
	if reasonOf(err) != "CERTIFICATES_NOT_CONFIGURED" {
		t.Error(err)
	}
	if _, err = client.GetTrustBundle(t.Context(), &fulciopb.GetTrustBundleRequest{}); reasonOf(err) != "CERTIFICATES_NOT_CONFIGURED" {
		t.Error(err)
	}
	if _, err = client.GetConfiguration(t.Context(), &fulciopb.GetConfigurationRequest{}); reasonOf(err) != "CERTIFICATES_NOT_CONFIGURED" {
		t.Error(err)
	}
}
