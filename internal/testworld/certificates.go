package testworld

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/identity"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
)

// CertificateLogOrigin is the origin of the certificate log.
const CertificateLogOrigin = "ct." + Origin

// certificates makes a certificate authority with a log of its own, and adds both to the trusted root.
func (w *World) certificates(
	ctx context.Context, c Config, root *server.TrustedRootConfig, logger *slog.Logger,
) (*server.CertificatesConfig, error) {
	if len(c.Issuers) == 0 {
		return nil, nil
	}
	identities, err := identity.New(identity.Config{Issuers: c.Issuers, Clock: c.Clock})
	if err != nil {
		return nil, err
	}
	if err := w.openCertificateLog(ctx, c, logger); err != nil {
		return nil, err
	}
	start := c.Clock().Add(-time.Hour)
	credentials, err := certauthority.Generate(Origin, start)
	if err != nil {
		return nil, err
	}
	stampKey, _, err := certauthority.GenerateKey()
	if err != nil {
		return nil, err
	}
	ca, err := certauthority.New(certauthority.Config{
		CertChain: credentials.Chain, Key: credentials.Key, LogKey: stampKey, Clock: c.Clock,
		Append: func(ctx context.Context, leaf []byte) error {
			_, err := w.ctLog.Append(ctx, leaf)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	root.Certificates = &server.TrustedCertificates{URI: "https://" + Origin, Chain: ca.CertChain()}
	root.CertificateLog = &server.TrustedCertificateLog{Origin: CertificateLogOrigin, Key: ca.LogKey(), Start: start}
	return &server.CertificatesConfig{Identities: identities, Authority: ca, Log: w.ctLog}, nil
}

func (w *World) openCertificateLog(ctx context.Context, c Config, logger *slog.Logger) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	config := tlog.Config{Dir: filepath.Join(c.Dir, "ctlog"), AnchorPath: filepath.Join(c.Dir, "ctlog.anchor"),
		Origin: CertificateLogOrigin, Signer: key, Logger: logger}
	if err := posix.Create(ctx, config); err != nil {
		return err
	}
	w.ctLog, err = posix.Open(ctx, config)
	return err
}

// CertificateLog is the log of certificates; nil without a certificate authority.
func (w *World) CertificateLog() *tlog.Log { return w.ctLog }
