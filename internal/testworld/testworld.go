package testworld

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/internal/verdictpb"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/identity"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/result"
)

// Origin is the log's origin.
const Origin = "log.example.test"

// Config says what the test chooses. Dir and Clock are required.
type Config struct {
	// Dir is an existing directory for everything that the service writes.
	Dir string
	// Clock is the service's clock, and that of its timestamp authority.
	Clock func() time.Time
	// VendorKeys are PEM public keys that the vendor may sign with; without any, and without Identities, there is no vendor.
	VendorKeys [][]byte
	// Name, Declarant, Country and Product are the vendor's; by default those of the example statements.
	Name, Declarant, Country, Product string
	// Registry, if not empty, is the whole registry of vendors, in the place of the one vendor; names of files in it are relative to
	// Dir.
	Registry []byte
	// TLS serves with a certificate of an authority of its own (World.CertificatePEM).
	TLS bool
	// PublicURL, if not empty, opens the log to Sigstore clients, who are told this address.
	PublicURL string
	// Identities may sign for the vendor with certificates.
	Identities []Identity
	// Trust, if not nil, adds to the service's trusted root: the authority that certifies the identities.
	Trust func(trustedRoot []byte) []byte
	// RekorOpen lets every key and certificate write, with PublicURL.
	RekorOpen bool
	// Issuers, if any, are those whose tokens the service's certificate authority takes; there is none without.
	Issuers []identity.Issuer
	// NoIndex makes a service without the complete index.
	NoIndex bool
	// Log receives the service's log; nil discards it.
	Log io.Writer
}

// Identity is who may sign with a certificate: OpenID Connect issuer and subject alternative name.
type Identity struct{ Issuer, SAN string }

// World is a running service.
type World struct {
	// Address is host and port of the gRPC service.
	Address string
	// TrustedRoot is trusted_root.json.
	TrustedRoot []byte
	// CertificatePEM is the service's certificate, which is its own authority; nil without TLS.
	CertificatePEM []byte

	// LogKey is the log's key, for tests in which the log itself lies.
	LogKey ed25519.PrivateKey

	// IndexKey is the verifier key of the index log; empty without an index.
	IndexKey string

	log     *tlog.Log
	roots   *tlog.Log    // nil without an index
	index   *index.Index // nil without an index
	ctLog   *tlog.Log    // nil without a certificate authority
	store   *statements.Store
	vendors *vendors.Watcher
	server  *server.Server
	served  chan error
}

func (c *Config) defaults() {
	for _, d := range []struct {
		field *string
		value string
	}{{&c.Name, "acme"}, {&c.Declarant, "Example Devices GmbH"}, {&c.Country, "DE"}, {&c.Product,
		"pkg:generic/example-gateway"}} {
		if *d.field == "" {
			*d.field = d.value
		}
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
}

// Start makes and starts a service.
func Start(ctx context.Context, c Config) (*World, error) {
	c.defaults()
	w := &World{served: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(c.Log, nil))
	if err := w.openParts(ctx, c, logger); err != nil {
		return nil, err
	}
	credentials, err := authority.Generate(Origin, c.Clock().Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	stamps, err := authority.New(authority.Config{CertChain: credentials.Chain, Key: credentials.Key, Clock: c.Clock})
	if err != nil {
		return nil, err
	}
	rc := server.TrustedRootConfig{Origin: w.log.Origin(), LogID: w.log.LogID(),
		LogKey:   w.log.PublicKey(),
		LogStart: c.Clock().Add(-time.Hour), Authorities: []server.TrustedAuthority{{URI: "https://" + Origin +
			"/api/v1/timestamp", Chain: stamps.CertChain()}}}
	certificates, err := w.certificates(ctx, c, &rc, logger)
	if err != nil {
		return nil, err
	}
	if w.TrustedRoot, err = server.TrustedRoot(rc); err != nil {
		return nil, err
	}
	if c.Trust != nil {
		w.TrustedRoot = c.Trust(w.TrustedRoot)
	}
	sc := server.Config{Log: w.log, Store: w.store, Vendors: w.vendors,
		Timestampers: []server.Timestamper{stamps}, TimestampHandler: stamps.Handler(),
		TrustedRoot: w.TrustedRoot, Logger: logger, Clock: c.Clock, Registerer: prometheus.NewRegistry(),
		Certificates: certificates, Limits: server.Limits{RatePerSecond: 1e9, Burst: 1e9}}
	if err := signVerdicts(&sc); err != nil {
		return nil, err
	}
	if sc.Standing, err = w.openIndex(ctx, c, logger); err != nil {
		return nil, err
	}
	if c.PublicURL != "" {
		sc.Rekor = &server.RekorConfig{Open: c.RekorOpen}
		if sc.SigningConfig, err = server.SigningConfig(server.SigningConfigInput{PublicURL: c.PublicURL, Operator: Origin,
			Start: c.Clock().Add(-time.Hour), OwnAuthority: true, OwnCertificates: certificates != nil}); err != nil {
			return nil, err
		}
	}
	if w.server, err = server.New(sc); err != nil {
		return nil, err
	}
	return w, w.listen(c)
}

// VerifierID is the verifier id of the service's own verdicts.
const VerifierID = "https://" + Origin + "/verifier"

// signVerdicts gives the service a key for its own verdicts, of the form VSA.
func signVerdicts(sc *server.Config) error {
	key, err := attest.GenerateKey()
	if err != nil {
		return err
	}
	public, err := attest.MarshalPublicKey(key.PublicKey())
	if err != nil {
		return err
	}
	sc.VerdictKey = &server.VerdictKey{PublicKeyPEM: public, VerifierID: VerifierID}
	sc.SignVerdict = func(ctx context.Context, v *verify.Verdict, q verdictpb.Question, _ avowv1.SignedVerdictForm,
		lifetime time.Duration,
	) ([]byte, error) {
		return result.Sign(ctx, v, result.Inputs{ArtifactSHA256: q.ArtifactSHA256, TrustedRoot: q.Trust.Digest(), VerifiedAt: q.At,
			Lifetime: lifetime, VerifierID: VerifierID}, result.VSA, key)
	}
	return nil
}

// openParts makes and opens log, store and registry.
func (w *World) openParts(ctx context.Context, c Config, logger *slog.Logger) error {
	_, logKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	w.LogKey = logKey
	logConfig := tlog.Config{Dir: filepath.Join(c.Dir, "log"), AnchorPath: filepath.Join(c.Dir, "anchor"), Origin: Origin,
		Signer: logKey,
		Logger: logger}
	if err := posix.Create(ctx, logConfig); err != nil {
		return err
	}
	if w.log, err = posix.Open(ctx, logConfig); err != nil {
		return err
	}
	w.store, err = statements.Create(ctx, statements.Config{Path: filepath.Join(c.Dir, "statements.db"), Logger: logger,
		Clock: c.Clock})
	if err != nil {
		return err
	}
	path := filepath.Join(c.Dir, "vendors.yaml")
	if err := os.WriteFile(path, c.registry(), 0o600); err != nil {
		return err
	}
	w.vendors, err = vendors.Watch(ctx, vendors.WatcherConfig{Path: path, Logger: logger})
	return err
}

// IndexOrigin is the origin of the index log.
const IndexOrigin = "index." + Origin

// openIndex makes and opens the index log and the complete index.
func (w *World) openIndex(ctx context.Context, c Config, logger *slog.Logger) (*server.StandingConfig, error) {
	if c.NoIndex {
		return nil, nil
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	config := tlog.Config{Dir: filepath.Join(c.Dir, "index"), AnchorPath: filepath.Join(c.Dir, "index.anchor"),
		Origin: IndexOrigin, Signer: key, Logger: logger}
	if err := posix.Create(ctx, config); err != nil {
		return nil, err
	}
	if w.roots, err = posix.Open(ctx, config); err != nil {
		return nil, err
	}
	if w.index, err = server.OpenIndex(ctx, server.IndexConfig{Log: w.log, Roots: w.roots, Store: w.store,
		SnapshotPath: filepath.Join(c.Dir, "index.snapshot"), Logger: logger}); err != nil {
		return nil, err
	}
	if w.IndexKey, err = server.LogVerifierKey(IndexOrigin, w.roots.PublicKey()); err != nil {
		return nil, err
	}
	return &server.StandingConfig{Index: w.index, Roots: w.roots, Key: w.IndexKey}, nil
}

// registry renders the registry of the one vendor, or gives the one that was configured.
func (c *Config) registry() []byte {
	if len(c.Registry) > 0 {
		return c.Registry
	}
	if len(c.VendorKeys) == 0 && len(c.Identities) == 0 {
		return []byte("vendors: []\n")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "vendors:\n  - name: %s\n    declarant: %q\n    country: %s\n    products: [%q]\n    keys:\n", c.Name,
		c.Declarant, c.Country, c.Product)
	for _, key := range c.VendorKeys {
		b.WriteString("      - pem: |\n")
		for line := range strings.Lines(string(key)) {
			b.WriteString("          " + line)
		}
		b.WriteString("        notBefore: 2026-01-01T00:00:00Z\n")
	}
	if len(c.VendorKeys) == 0 {
		b.WriteString("      []\n")
	}
	if len(c.Identities) > 0 {
		b.WriteString("    identities:\n")
	}
	for _, i := range c.Identities {
		fmt.Fprintf(&b, "      - {issuer: %q, san: %q}\n", i.Issuer, i.SAN)
	}
	return []byte(b.String())
}

// listen serves gRPC on a loopback port.
func (w *World) listen(c Config) error {
	var options []grpc.ServerOption
	if c.TLS {
		certificate, err := w.certificate()
		if err != nil {
			return err
		}
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(certificate)))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.Address = listener.Addr().String()
	service := w.server.GRPCServer(options...)
	go func() { w.served <- service.Serve(listener) }()
	return nil
}

// Handler is the handler of the service's HTTP port.
func (w *World) Handler(ctx context.Context) (http.Handler, error) { return w.server.Handler(ctx) }

// certificate makes a certificate for 127.0.0.1 that is its own authority.
func (w *World) certificate() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	// The client checks it by the machine's clock, whatever the service's clock says.
	from, to := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "testworld"}, NotBefore: from,
		NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	w.CertificatePEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Close stops the service and waits for it.
func (w *World) Close(ctx context.Context) error {
	err := w.server.Drain(ctx)
	if served := <-w.served; !errors.Is(served, grpc.ErrServerStopped) {
		err = errors.Join(err, served)
	}
	w.vendors.Close()
	if w.ctLog != nil {
		err = errors.Join(err, w.ctLog.Close(ctx))
	}
	if w.index != nil {
		err = errors.Join(err, w.index.Close(), w.roots.Close(ctx))
	}
	return errors.Join(err, w.log.Close(ctx), w.store.Close())
}
