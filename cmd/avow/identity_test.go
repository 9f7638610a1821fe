package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	fulciopb "github.com/sigstore/fulcio/pkg/generated/protobuf"
	"github.com/sigstore/sigstore-go/pkg/root"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/internal/testworld"
)

// The identities of the scripts. A token with the subject S is certified as identityPrefix + S.
const (
	identityIssuer = "https://issuer.example.test"
	identityPrefix = "https://ci.example.test/"
	audience       = "sigstore"
)

// certifier is a certificate authority by Fulcio's API, over gRPC and HTTP: it verifies tokens and proofs of possession and
// certifies with a CT log's timestamp.
type certifier struct {
	fulciopb.UnimplementedCAServer
	t      *testing.T
	now    time.Time
	ca     *bundletest.CA
	ct     *bundletest.Log
	issuer *ecdsa.PrivateKey
	// lie makes the authority answer something else.
	lie atomic.Value
}

// token makes a token, ES256.
func (c *certifier) token(key *ecdsa.PrivateKey, claims map[string]any) string {
	encode := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			c.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	text := encode(map[string]string{"alg": "ES256", "typ": "JWT"}) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		c.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

func (c *certifier) claims(subject string) map[string]any {
	return map[string]any{"iss": identityIssuer, "sub": subject, "aud": audience, "exp": c.now.Add(5 * time.Minute).Unix()}
}

// authenticate verifies a token and returns its subject.
func (c *certifier) authenticate(token string) (string, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("not a token")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || len(sig) != 64 ||
		!ecdsa.Verify(&c.issuer.PublicKey, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		return "", errors.New("the token is not the issuer's")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return "", err
	}
	if claims.Iss != identityIssuer || claims.Aud != audience || c.now.Unix() > claims.Exp {
		return "", errors.New("the token is for somebody else or expired")
	}
	return claims.Sub, nil
}

// CreateSigningCertificate implements dev.sigstore.fulcio.v2.CA.
func (c *certifier) CreateSigningCertificate(
	_ context.Context, req *fulciopb.CreateSigningCertificateRequest,
) (*fulciopb.SigningCertificate, error) {
	subject, err := c.authenticate(req.GetCredentials().GetOidcIdentityToken())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "There was an error processing the identity token")
	}
	key, err := attest.ParsePublicKey([]byte(req.GetPublicKeyRequest().GetPublicKey().GetContent()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	digest := sha256.Sum256([]byte(subject))
	if !ecdsa.VerifyASN1(key, digest[:], req.GetPublicKeyRequest().GetProofOfPossession()) {
		return nil, status.Error(codes.InvalidArgument, "The signature supplied in the request could not be verified")
	}
	if c.lie.Load() == "key" {
		key = &bundletest.NewKey(c.t).PublicKey
	}
	logs := []*bundletest.Log{c.ct}
	if c.lie.Load() == "no-sct" {
		logs = nil
	}
	cert := c.ca.CertifyLogged(c.t, key, identityPrefix+subject, identityIssuer, c.now, c.now.Add(10*time.Minute), c.now, logs...)
	return &fulciopb.SigningCertificate{Certificate: &fulciopb.SigningCertificate_SignedCertificateEmbeddedSct{
		SignedCertificateEmbeddedSct: &fulciopb.SigningCertificateEmbeddedSCT{Chain: &fulciopb.CertificateChain{
			Certificates: []string{pemOf(cert), pemOf(c.ca.Intermediate), pemOf(c.ca.Root)}}}}}, nil
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// ServeHTTP is POST /api/v2/signingCert, and what GitHub answers to its runners.
func (c *certifier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case r.URL.Path == "/github" && bearer == "runner-secret":
		claims := c.claims("acme/release")
		claims["aud"] = r.URL.Query().Get("audience")
		_ = json.NewEncoder(w).Encode(map[string]string{"value": c.token(c.issuer, claims)})
	case r.URL.Path == "/redirect":
		http.Redirect(w, r, "/github?audience=sigstore", http.StatusTemporaryRedirect)
	case r.URL.Path == "/endless":
		for {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	case r.URL.Path == "/echo/api/v2/signingCert":
		http.Error(w, "cannot use "+bearer, http.StatusBadRequest)
	case r.URL.Path == "/api/v2/signingCert" && r.Method == http.MethodPost:
		c.overHTTP(w, r, bearer)
	default:
		http.NotFound(w, r)
	}
}

func (c *certifier) overHTTP(w http.ResponseWriter, r *http.Request, token string) {
	var req fulciopb.CreateSigningCertificateRequest
	var raw json.RawMessage
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&raw) != nil || protojson.Unmarshal(raw, &req) != nil {
		http.Error(w, "not a request", http.StatusBadRequest)
		return
	}
	req.Credentials = &fulciopb.Credentials{Credentials: &fulciopb.Credentials_OidcIdentityToken{OidcIdentityToken: token}}
	answer, err := c.CreateSigningCertificate(r.Context(), &req)
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusBadRequest)
		return
	}
	out, err := protojson.Marshal(answer)
	if err != nil {
		c.t.Error(err)
	}
	_, _ = w.Write(out)
}

// startIdentities is `identities`: a service whose vendor signs as the identities acme/release and acme/other, with a
// certificate authority on its port (the script sets AVOW_SERVER) and over HTTP (CA_URL). It writes tokens: token (of
// acme/release), token.stranger (nobody registered), token.forged (another issuer's key), token.expired; and
// signing_config.json. `identities lie LIE` makes the authority answer something else.
func startIdentities(t *testing.T) func(*testscript.TestScript, bool, []string) {
	var running sync.Map // by the script's directory
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if len(args) == 2 && args[0] == "lie" {
			c, _ := running.Load(ts.Getenv("WORK"))
			c.(*certifier).lie.Store(args[1])
			return
		}
		if neg || len(args) != 0 {
			ts.Fatalf("usage: identities [lie LIE]")
		}
		now, err := time.Parse(time.RFC3339, ts.Getenv("AVOW_TEST_NOW"))
		ts.Check(err)
		c := &certifier{t: t, now: now, issuer: bundletest.NewKey(t), ca: bundletest.NewCA(t, "https://ca.example.test", now.AddDate(0, -1, 0)),
			ct: bundletest.NewECDSALog(t, "ct.example.test", now.AddDate(0, -1, 0))}
		running.Store(ts.Getenv("WORK"), c)
		overHTTP := httptest.NewServer(c)
		ts.Defer(overHTTP.Close)
		ts.Setenv("CA_URL", overHTTP.URL)
		startWorld(ts, c)
		c.writeTokens(ts)
		c.writeSigningConfig(ts)
	}
}

// startWorld starts the service and the port in front of it.
func startWorld(ts *testscript.TestScript, c *certifier) {
	config := testworld.Config{Dir: ts.MkAbs("service"), Clock: func() time.Time { return c.now }, PublicURL: "https://avow.example",
		Identities: []testworld.Identity{{Issuer: identityIssuer, SAN: identityPrefix + "acme/release"}, {Issuer: identityIssuer, SAN: identityPrefix + "acme/other"}},
		Trust:      func(root []byte) []byte { return bundletest.WithIdentities(c.t, root, c.ca, c.ct) }}
	ts.Check(os.Mkdir(config.Dir, 0o700))
	world, err := testworld.Start(context.Background(), config)
	ts.Check(err)
	ts.Defer(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := world.Close(ctx); err != nil {
			ts.Logf("service: %v", err)
		}
	})
	ts.Check(os.WriteFile(ts.MkAbs("trusted_root.json"), world.TrustedRoot, 0o600))
	serveHTTP(ts, world)
	ts.Setenv("AVOW_SERVER", c.front(ts, world.Address))
}

// front serves the authority and passes every other call on to the service.
func (c *certifier) front(ts *testscript.TestScript, address string) string {
	behind, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	ts.Check(err)
	pass := func(_ any, stream grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(stream)
		md, _ := metadata.FromIncomingContext(stream.Context())
		var in, out []byte
		if err := stream.RecvMsg(&in); err != nil {
			return err
		}
		if err := behind.Invoke(metadata.NewOutgoingContext(stream.Context(), md), method, &in, &out, grpc.ForceCodec(rawCodec{})); err != nil {
			return err
		}
		return stream.SendMsg(&out)
	}
	front := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(pass))
	fulciopb.RegisterCAServer(front, c)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	go func() { _ = front.Serve(listener) }()
	ts.Defer(func() {
		front.Stop()
		_ = behind.Close()
	})
	return listener.Addr().String()
}

// rawCodec leaves messages of others as bytes.
type rawCodec struct{}

// Name implements encoding.Codec.
func (rawCodec) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (rawCodec) Marshal(v any) ([]byte, error) {
	if raw, ok := v.(*[]byte); ok {
		return *raw, nil
	}
	return proto.Marshal(v.(proto.Message))
}

// Unmarshal implements encoding.Codec.
func (rawCodec) Unmarshal(data []byte, v any) error {
	if raw, ok := v.(*[]byte); ok {
		*raw = append([]byte(nil), data...)
		return nil
	}
	return proto.Unmarshal(data, v.(proto.Message))
}

func (c *certifier) writeTokens(ts *testscript.TestScript) {
	expired := c.claims("acme/release")
	expired["exp"] = c.now.Add(-time.Minute).Unix()
	for name, token := range map[string]string{
		"token":          c.token(c.issuer, c.claims("acme/release")),
		"token.other":    c.token(c.issuer, c.claims("acme/other")),
		"token.stranger": c.token(c.issuer, c.claims("evil/release")),
		"token.forged":   c.token(bundletest.NewKey(c.t), c.claims("acme/release")),
		"token.expired":  c.token(c.issuer, expired),
	} {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(token+"\n"), 0o600))
	}
}

// writeSigningConfig names the authority, the service's log and its timestamp authority; beside each is one that must not be
// chosen.
func (c *certifier) writeSigningConfig(ts *testscript.TestScript) {
	service := func(url string, version uint32) root.Service {
		return root.Service{URL: url, MajorAPIVersion: version, ValidityPeriodStart: c.now.Add(-time.Hour), Operator: "avow"}
	}
	over := service("https://over.invalid", 2)
	over.ValidityPeriodEnd = c.now.Add(-time.Minute)
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02,
		[]root.Service{service(ts.Getenv("CA_URL"), 1), service("https://newer.invalid", 9)}, nil,
		[]root.Service{over, service(ts.Getenv("AVOW_URL"), 2), service("https://rekor-v1.invalid", 1)}, root.ServiceConfiguration{Selector: 2},
		[]root.Service{service(ts.Getenv("AVOW_URL")+"/api/v1/timestamp", 1)}, root.ServiceConfiguration{Selector: 1})
	ts.Check(err)
	raw, err := config.MarshalJSON()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("signing_config.json"), raw, 0o600))
}
