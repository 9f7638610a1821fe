package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/bundletest"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/avow-dev/avow/server/vendors"
)

// The vendors of the test world. acme signs on its own side and has two keys; held has its key with the service.
const (
	origin        = "log.example.test"
	indexOrigin   = "index." + origin
	acmeDeclarant = "Example Devices GmbH"
	heldDeclarant = "Held Keys Inc."
)

// issuedAt is that of the statements in testdata; the world's clock begins a little later.
var issuedAt = time.Date(2026, 9, 1, 9, 0, 0, 0, time.UTC)

// clock is a clock that the test sets.
type clock struct{ now atomic.Pointer[time.Time] }

func (c *clock) Now() time.Time      { return *c.now.Load() }
func (c *clock) set(t time.Time)     { c.now.Store(&t) }
func (c *clock) add(d time.Duration) { c.set(c.Now().Add(d)) }

// world is a whole service on temporary directories: a real log, store, authority and registry, and real gRPC on
// loopback.
type world struct {
	t      testing.TB
	dir    string
	clock  clock
	logs   *logBuffer
	logger *slog.Logger
	reg    *prometheus.Registry

	logConfig   tlog.Config
	log         *tlog.Log
	rootsConfig tlog.Config // of the index log; the zero value: the service has no index
	roots       *tlog.Log
	index       *index.Index
	indexClock  func() time.Time // of the index's lag; nil: the real one
	store       *statements.Store
	authority   *authority.Authority
	vendors     *vendors.Watcher
	stamps      []Timestamper
	limits      Limits
	change      func(*Config) // what a test configures besides
	ca          *bundletest.CA
	ct          *bundletest.Log
	foreign     *bundletest.TSA // in the trusted root besides the service's own

	acme, acmeSecond, expired, held *attest.KeyFile
	acmeToken, heldToken            string
	acmeCert                        *x509.Certificate

	server *Server
	conn   *grpc.ClientConn
	stop   func()
}

type option func(*world)

// logBuffer collects the service's log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newWorld makes the world and starts it.
func newWorld(t testing.TB, opts ...option) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), logs: new(logBuffer), limits: Limits{RatePerSecond: 1e9, Burst: 1e9}}
	w.clock.set(issuedAt.Add(5 * time.Minute))
	w.logger = slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, logKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.logConfig = tlog.Config{
		Dir: filepath.Join(w.dir, "log"), AnchorPath: filepath.Join(w.dir, "anchor"),
		Origin: origin, Signer: logKey, Logger: w.logger,
	}
	if err := posix.Create(t.Context(), w.logConfig); err != nil {
		t.Fatal(err)
	}
	_, rootsKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.rootsConfig = tlog.Config{
		Dir: filepath.Join(w.dir, "index"), AnchorPath: filepath.Join(w.dir, "index.anchor"),
		Origin: indexOrigin, Signer: rootsKey, Logger: w.logger,
	}
	if err := posix.Create(t.Context(), w.rootsConfig); err != nil {
		t.Fatal(err)
	}
	store := must(statements.Create(t.Context(), w.storeConfig()))(t)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	credentials := must(authority.Generate(origin, issuedAt.Add(-time.Hour)))(t)
	w.authority = must(authority.New(authority.Config{
		CertChain: credentials.Chain, Key: credentials.Key, Clock: w.clock.Now}))(t)
	w.stamps = []Timestamper{w.authority}
	w.makeVendors()
	for _, o := range opts {
		o(w)
	}
	w.start()
	return w
}

func (w *world) storeConfig() statements.Config {
	return statements.Config{Path: filepath.Join(w.dir, "statements.db"), Logger: w.logger, Clock: w.clock.Now}
}

// makeVendors writes the registry.
func (w *world) makeVendors() {
	t := w.t
	t.Helper()
	for _, k := range []**attest.KeyFile{&w.acme, &w.acmeSecond, &w.expired, &w.held} {
		*k = must(attest.GenerateKey())(t)
	}
	var acmeHash, heldHash string
	var err error
	if w.acmeToken, acmeHash, err = vendors.NewToken(); err != nil {
		t.Fatal(err)
	}
	if w.heldToken, heldHash, err = vendors.NewToken(); err != nil {
		t.Fatal(err)
	}
	if w.acmeCert == nil {
		w.acmeCert = clientCert(t)
	}
	text := fmt.Sprintf(`vendors:
  - name: acme
    declarant: %q
    country: DE
    keys:
%s%s%s    identities:
      - {issuer: %q, san: %q}
      - {issuer: %q, san: %q, notAfter: 2026-08-31T00:00:00Z}
      - {issuer: %q, san: %q, notAfter: 2026-09-01T12:00:00Z}
    products: ["pkg:generic/example-gateway"]
    tokens: [%q]
    clientCerts: [%q]
  - name: held
    declarant: %q
    country: US
    keys:
%s    products: ["pkg:generic/held"]
    tokens: [%q]
    signingKey:
      file: held.key
      passwordFile: held.pass
`, acmeDeclarant, keyEntry(t, w.acme, ""), keyEntry(t, w.acmeSecond, ""), keyEntry(t, w.expired, "2026-08-31T00:00:00Z"),
		ciIssuer, ciSAN, ciIssuer, retiredSAN, ciIssuer, leavingSAN, acmeHash, certFingerprint(w.acmeCert.Raw), heldDeclarant, keyEntry(t, w.held, ""), heldHash)
	path := filepath.Join(w.dir, "vendors.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w.vendors = must(vendors.Watch(t.Context(), vendors.WatcherConfig{Path: path, Logger: w.logger}))(t)
	t.Cleanup(w.vendors.Close)
}

// keyEntry renders a key for the registry.
func keyEntry(t testing.TB, k *attest.KeyFile, notAfter string) string {
	t.Helper()
	block := must(attest.MarshalPublicKey(k.PublicKey()))(t)
	var b strings.Builder
	b.WriteString("      - pem: |\n")
	for line := range strings.Lines(string(block)) {
		b.WriteString("          " + line)
	}
	b.WriteString("        notBefore: 2026-01-01T00:00:00Z\n")
	if notAfter != "" {
		b.WriteString("        notAfter: " + notAfter + "\n")
	}
	return b.String()
}

// start opens log and store and serves.
func (w *world) start() {
	t := w.t
	t.Helper()
	w.log = must(posix.Open(t.Context(), w.logConfig))(t)
	w.store = must(statements.Open(t.Context(), w.storeConfig()))(t)
	w.reg = prometheus.NewRegistry()
	if w.rootsConfig.Dir != "" {
		w.roots = must(posix.Open(t.Context(), w.rootsConfig))(t)
		w.index = must(OpenIndex(t.Context(), IndexConfig{Log: w.log, Roots: w.roots, Store: w.store,
			SnapshotPath: filepath.Join(w.dir, "index.snapshot"), Logger: w.logger, Registerer: w.reg,
			Clock: w.indexClock}))(t)
	}
	w.server = must(New(w.config()))(t)
	lis := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	gs := w.server.GRPCServer()
	served := make(chan error, 1)
	go func() { served <- gs.Serve(lis) }()
	w.conn = must(grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())))(t)
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_ = w.conn.Close()
			if err := w.server.Drain(ctx); err != nil {
				t.Errorf("drain: %v", err)
			}
			if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				t.Errorf("serve: %v", err)
			}
			if w.index != nil {
				if err := errors.Join(w.index.Close(), w.roots.Close(ctx)); err != nil {
					t.Errorf("close index: %v", err)
				}
			}
			if err := w.log.Close(ctx); err != nil {
				t.Errorf("close log: %v", err)
			}
			if err := w.store.Close(); err != nil {
				t.Errorf("close store: %v", err)
			}
		})
	}
	t.Cleanup(w.stop)
}

// config is the server's configuration in this world.
func (w *world) config() Config {
	w.t.Helper()
	c := Config{
		Log: w.log, Store: w.store, Vendors: w.vendors, Timestampers: w.stamps, TrustedRoot: w.trustedRoot(),
		SigningKey: func(_ context.Context, k *vendors.SigningKey) (attest.Signer, error) {
			if filepath.Base(k.File) != "held.key" {
				return nil, fmt.Errorf("no key at %s", k.File)
			}
			return w.held, nil
		},
		TimestampHandler: w.authority.Handler(),
		Logger:           w.logger, Clock: w.clock.Now, Registerer: w.reg, Limits: w.limits,
	}
	if w.index != nil {
		c.Standing = &StandingConfig{Index: w.index, Roots: w.roots, Key: must(LogVerifierKey(indexOrigin, w.roots.PublicKey()))(w.t)}
	}
	if w.change != nil {
		w.change(&c)
	}
	return c
}

// withoutIndex makes a service that has no complete index.
func withoutIndex(w *world) { w.rootsConfig = tlog.Config{} }

func (w *world) trustedRoot() []byte {
	w.t.Helper()
	root := must(TrustedRoot(w.rootConfig()))(w.t)
	if w.ca != nil {
		root = bundletest.WithIdentities(w.t, root, w.ca, w.ct)
	}
	return root
}

// restart stops the service and starts it on the same directories.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

func (w *world) attestation() avowv1.AttestationServiceClient {
	return avowv1.NewAttestationServiceClient(w.conn)
}

func (w *world) trust() avowv1.TrustServiceClient { return avowv1.NewTrustServiceClient(w.conn) }

func (w *world) logService() avowv1.LogServiceClient { return avowv1.NewLogServiceClient(w.conn) }

func (w *world) verification() avowv1.VerificationServiceClient {
	return avowv1.NewVerificationServiceClient(w.conn)
}

func (w *world) fetch(id, keyID string) (*avowv1.GetStatementResponse, error) {
	return w.attestation().GetStatement(w.t.Context(), &avowv1.GetStatementRequest{StatementId: id, KeyId: keyID})
}

// rest serves the HTTP port on loopback.
func (w *world) rest() *httptest.Server {
	w.t.Helper()
	h := must(w.server.Handler(w.t.Context()))(w.t)
	srv := httptest.NewServer(h)
	w.t.Cleanup(srv.Close)
	return srv
}

// withToken attaches a bearer token.
func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

var serial atomic.Int64

// statement makes a statement from testdata with an identity and a subject of its own.
func statement(t testing.TB, name string, change func(common, predicate, whole map[string]any)) []byte {
	t.Helper()
	raw := must(os.ReadFile(filepath.Join("testdata", name+".json")))(t)
	var whole map[string]any
	if err := json.Unmarshal(raw, &whole); err != nil {
		t.Fatal(err)
	}
	predicate := whole["predicate"].(map[string]any)
	common := predicate["common"].(map[string]any)
	common["statementId"] = fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-%012d", serial.Add(1))
	if change != nil {
		change(common, predicate, whole)
	}
	return must(json.Marshal(whole))(t)
}

func dataFlows(t testing.TB) []byte { t.Helper(); return statement(t, "data-flows", nil) }

// noBackdoor makes a no-backdoor statement that refers to a data-flows statement.
func noBackdoor(t testing.TB, flows []byte) []byte {
	t.Helper()
	return statement(t, "no-backdoor", func(common, _, _ map[string]any) {
		common["related"] = []any{map[string]any{
			"digest": map[string]any{"sha256": digestOf(flows)}, "predicateType": "https://w3id.org/avow/data-flows/v1",
		}}
	})
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// envelope signs bytes as they are, statements that break rules included.
func envelope(t testing.TB, payload []byte, key *attest.KeyFile) []byte {
	t.Helper()
	return dsse(t, "application/vnd.in-toto+json", payload, key)
}

func dsse(t testing.TB, payloadType string, payload []byte, key *attest.KeyFile) []byte {
	t.Helper()
	pae := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload))
	sig := must(key.SignDigest(t.Context(), pae))(t)
	return must(json.Marshal(map[string]any{
		"payload": payload, "payloadType": payloadType, "signatures": []any{map[string]any{"sig": sig}},
	}))(t)
}

func idOf(t testing.TB, k *attest.KeyFile) string {
	t.Helper()
	return must(attest.KeyID(k.PublicKey()))(t)
}

// signed makes the request for a payload.
func signed(t testing.TB, payload []byte, key *attest.KeyFile) *avowv1.IssueRequest {
	t.Helper()
	return rawRequest(envelope(t, payload, key), idOf(t, key))
}

func rawRequest(env []byte, keyID string) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_SignedEnvelope{
		SignedEnvelope: &avowv1.SignedEnvelope{Envelope: env, KeyId: keyID},
	}}
}

func unsigned(payload []byte) *avowv1.IssueRequest {
	return &avowv1.IssueRequest{Content: &avowv1.IssueRequest_UnsignedStatement{
		UnsignedStatement: &avowv1.UnsignedStatement{Statement: payload},
	}}
}

// issue issues a payload and fails the test if that does not work.
func (w *world) issue(payload []byte, key *attest.KeyFile) *avowv1.IssueResponse {
	w.t.Helper()
	return must(w.attestation().Issue(w.t.Context(), signed(w.t, payload, key)))(w.t)
}

// wantReason fails the test unless err carries exactly that reason with the code that belongs to it.
func wantReason(t testing.TB, err error, want avowv1.ErrorReason) *status.Status {
	t.Helper()
	st := status.Convert(err)
	if got := reasonOf(st); got != reasonName(want) {
		t.Fatalf("got %v with reason %q, want %s", err, got, reasonName(want))
	}
	if st.Code() != outcomes[want].code {
		t.Errorf("%s: got code %s, want %s", reasonName(want), st.Code(), outcomes[want].code)
	}
	infos, retries := 0, 0
	for _, d := range st.Details() {
		switch d.(type) {
		case *errdetails.ErrorInfo:
			infos++
		case *errdetails.RetryInfo:
			retries++
		}
	}
	if infos != 1 || (retries == 1) != (outcomes[want].retry > 0) {
		t.Errorf("%s: got %d ErrorInfo and %d RetryInfo", reasonName(want), infos, retries)
	}
	return st
}

// violations returns the reason codes and fields of a status's BadRequest.
func violations(st *status.Status) (reasons, fields []string) {
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				reasons, fields = append(reasons, v.GetReason()), append(fields, v.GetField())
			}
		}
	}
	return reasons, fields
}

// wantOK fails the test unless err is nil.
func wantOK(t testing.TB, err error) {
	t.Helper()
	if status.Code(err) != codes.OK {
		t.Fatal(err)
	}
}

// pemOf renders a public key.
func pemOf(t testing.TB, k *attest.KeyFile) string {
	t.Helper()
	return string(must(attest.MarshalPublicKey(k.PublicKey()))(t))
}

// clientCert makes a self-signed client certificate.
func clientCert(t testing.TB) *x509.Certificate {
	t.Helper()
	c := must(authority.Generate("client.example.test", issuedAt))(t)
	block, _ := pem.Decode(c.ChainPEM)
	return must(x509.ParseCertificate(block.Bytes))(t)
}
