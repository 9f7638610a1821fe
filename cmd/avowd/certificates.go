package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/certauthority"
	"github.com/avow-dev/avow/server/identity"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/prometheus/client_golang/prometheus"
)

// CertificatesConfig is the certificate authority inside the service, and those outside whose certificates it accepts.
type CertificatesConfig struct {
	Lifetime time.Duration          `yaml:"lifetime"`
	Embedded EmbeddedCertificates   `yaml:"embedded"`
	Issuers  []IssuerConfig         `yaml:"issuers"`
	External []ExternalCertificates `yaml:"external"`
}

// EmbeddedCertificates is the authority inside the service; an empty Chain: none.
type EmbeddedCertificates struct {
	Chain string               `yaml:"chain"`
	Key   string               `yaml:"key"`
	CTLog CertificateLogConfig `yaml:"ctLog"`
}

// CertificateLogConfig places the log of certificates.
type CertificateLogConfig struct {
	Origin     string `yaml:"origin"`
	Dir        string `yaml:"dir"`
	Key        string `yaml:"key"`
	SigningKey string `yaml:"signingKey"`
	Anchor     string `yaml:"anchor"`
}

// IssuerConfig is an OpenID Connect issuer whose tokens the authority takes.
type IssuerConfig struct {
	URL           string                 `yaml:"url"`
	Audience      string                 `yaml:"audience,omitempty"`
	Type          string                 `yaml:"type"`
	SubjectDomain string                 `yaml:"subjectDomain,omitempty"`
	PlatformURL   string                 `yaml:"platformUrl,omitempty"`
	KeysURL       string                 `yaml:"keysUrl,omitempty"`
	Interactive   bool                   `yaml:"interactive,omitempty"`
	Templates     *IssuerTemplatesConfig `yaml:"templates,omitempty"`
}

// IssuerTemplatesConfig says how the claims of a CI system become a name and extensions.
type IssuerTemplatesConfig struct {
	Name       string            `yaml:"name"`
	Fixed      map[string]string `yaml:"fixed,omitempty"`
	Defaults   map[string]string `yaml:"defaults,omitempty"`
	Extensions map[string]string `yaml:"extensions,omitempty"`
}

// ExternalCertificates is a certificate authority outside, by the trusted root that its operator publishes.
type ExternalCertificates struct {
	URL         string `yaml:"url"`
	TrustedRoot string `yaml:"trustedRoot"`
}

// embeddedCertificates is what `avowd init --certificates` sets up.
func embeddedCertificates(origin string) EmbeddedCertificates {
	return EmbeddedCertificates{
		Chain: "keys/ca.pem", Key: "keys/ca.key",
		CTLog: CertificateLogConfig{
			Origin: "ct." + origin, Dir: "ctlog", Key: "keys/ctlog.key", SigningKey: "keys/sct.key", Anchor: "anchor/ctlog.anchor",
		},
	}
}

// rootKeyName is where init leaves the key of the certificate root, for the operator to take away.
const rootKeyName = "keys/ca-root.key"

func (c *CertificatesConfig) enabled() bool { return c.Embedded.Chain != "" }

// files are the paths of the embedded authority.
func (e *EmbeddedCertificates) files() map[string]string {
	return map[string]string{
		"chain": e.Chain, "key": e.Key, "ctLog.origin": e.CTLog.Origin, "ctLog.dir": e.CTLog.Dir, "ctLog.key": e.CTLog.Key,
		"ctLog.signingKey": e.CTLog.SigningKey, "ctLog.anchor": e.CTLog.Anchor,
	}
}

// certificateFiles are the paths of what createCertificates and createCertificateLog make.
func (c *Config) certificateFiles() []string {
	if !c.Certificates.enabled() {
		return nil
	}
	e := &c.Certificates.Embedded
	return []string{e.Chain, e.Key, rootKeyName, e.CTLog.Dir, e.CTLog.Key, publicName(e.CTLog.Key), e.CTLog.SigningKey, e.CTLog.Anchor}
}

func (c *Config) validateCertificates() error {
	var errs []error
	x := &c.Certificates
	if x.Lifetime < certauthority.MinLifetime || x.Lifetime > certauthority.MaxLifetime {
		errs = append(errs, fmt.Errorf("certificates.lifetime: got %s, want %s to %s", x.Lifetime, certauthority.MinLifetime,
			certauthority.MaxLifetime))
	}
	errs = append(errs, c.validateEmbedded())
	for n, i := range x.Issuers {
		issuer := i.issuer()
		if err := issuer.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("certificates.issuers[%d]: %w", n, err))
		}
	}
	for n, e := range x.External {
		if u, err := url.Parse(e.URL); err != nil || e.TrustedRoot == "" || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			errs = append(errs, fmt.Errorf("certificates.external[%d]: url (http or https) and trustedRoot are both needed", n))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateEmbedded() error {
	var errs []error
	x, set := &c.Certificates, 0
	files := x.Embedded.files()
	for _, value := range files {
		if value != "" {
			set++
		}
	}
	if set != 0 && set != len(files) {
		return errors.New("certificates.embedded: chain, key and every member of ctLog go together")
	}
	if !x.enabled() {
		if len(x.Issuers) > 0 {
			errs = append(errs, errors.New("certificates.issuers have no effect without certificates.embedded"))
		}
		return errors.Join(errs...)
	}
	if err := tlog.ValidateOrigin(x.Embedded.CTLog.Origin); err != nil {
		errs = append(errs, fmt.Errorf("certificates.embedded.ctLog.origin: %w", err))
	}
	for name, pair := range map[string][2]string{
		"origin": {x.Embedded.CTLog.Origin, c.Origin}, "dir": {x.Embedded.CTLog.Dir, c.Log.Dir},
		"key": {x.Embedded.CTLog.Key, c.Log.Key}, "anchor": {x.Embedded.CTLog.Anchor, c.Log.Anchor},
	} {
		if pair[0] == pair[1] {
			errs = append(errs, fmt.Errorf("certificates.embedded.ctLog.%s: the log of certificates is another log than that of statements", name))
		}
	}
	return errors.Join(errs...)
}

func (i *IssuerConfig) issuer() identity.Issuer {
	out := identity.Issuer{
		URL: i.URL, Audience: i.Audience, Kind: identity.Kind(i.Type), SubjectDomain: i.SubjectDomain, PlatformURL: i.PlatformURL,
		KeysURL: i.KeysURL, Interactive: i.Interactive,
	}
	if t := i.Templates; t != nil {
		out.Templates = &identity.Templates{Name: t.Name, Fixed: t.Fixed, Defaults: t.Defaults, Extensions: t.Extensions}
	}
	return out
}

// createCertificates makes the authority's keys; its log is made with the other data.
func (c *Config) createCertificates(now time.Time) error {
	if !c.Certificates.enabled() {
		return nil
	}
	e := &c.Certificates.Embedded
	ca, err := certauthority.Generate(c.Origin, now)
	if err != nil {
		return err
	}
	_, stampKey, err := certauthority.GenerateKey()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.path(e.CTLog.Anchor)), 0o700); err != nil {
		return err
	}
	return errors.Join(
		writeNew(c.path(e.Chain), ca.ChainPEM, 0o644),
		writeNew(c.path(e.Key), ca.KeyPEM, 0o600),
		writeNew(c.path(rootKeyName), ca.RootKeyPEM, 0o600),
		createLogKey(c.path(e.CTLog.Key)),
		writeNew(c.path(e.CTLog.SigningKey), stampKey, 0o600),
	)
}

// createCertificateLog makes the empty log of certificates.
func (c *Config) createCertificateLog(ctx context.Context, logger *slog.Logger) error {
	if !c.Certificates.enabled() {
		return nil
	}
	tc, err := c.certificateLogConfig(logger)
	if err != nil {
		return err
	}
	return posix.Create(ctx, tc)
}

// certificateLogConfig describes the log of certificates. It batches as the log of statements does, and has no witnesses.
func (c *Config) certificateLogConfig(logger *slog.Logger) (tlog.Config, error) {
	l := &c.Certificates.Embedded.CTLog
	key, err := loadLogKey(c.path(l.Key))
	if err != nil {
		return tlog.Config{}, err
	}
	return tlog.Config{
		Dir: c.path(l.Dir), AnchorPath: c.path(l.Anchor), Origin: l.Origin, Signer: key, BatchMaxSize: c.Log.BatchMaxSize,
		BatchMaxAge: c.Log.BatchMaxAge, CheckpointInterval: c.Log.CheckpointInterval, Logger: logger,
	}, nil
}

// openCertificates opens the log of certificates and the authority; nil without one.
func (c *Config) openCertificates(
	ctx context.Context, p *parts, logger *slog.Logger, metrics prometheus.Registerer,
) (*server.CertificatesConfig, error) {
	if !c.Certificates.enabled() {
		return nil, nil
	}
	if len(c.Certificates.Issuers) == 0 {
		logger.LogAttrs(ctx, slog.LevelWarn, "no issuer is configured, so nobody can get a certificate",
			slog.String("member", "certificates.issuers"))
		return nil, nil
	}
	tc, err := c.certificateLogConfig(logger)
	if err != nil {
		return nil, err
	}
	tc.Registerer = metrics
	if p.ctLog, err = posix.Open(ctx, tc); err != nil {
		return nil, err
	}
	issuers := make([]identity.Issuer, len(c.Certificates.Issuers))
	for n := range issuers {
		issuers[n] = c.Certificates.Issuers[n].issuer()
	}
	identities, err := identity.New(identity.Config{Issuers: issuers})
	if err != nil {
		return nil, err
	}
	ca, err := c.openAuthorityOf(p.ctLog)
	if err != nil {
		return nil, err
	}
	return &server.CertificatesConfig{Identities: identities, Authority: ca, Log: p.ctLog}, nil
}

func (c *Config) openAuthorityOf(log *tlog.Log) (*certauthority.Authority, error) {
	e := &c.Certificates.Embedded
	config := certauthority.Config{
		Lifetime: c.Certificates.Lifetime,
		Append: func(ctx context.Context, leaf []byte) error {
			_, err := log.Append(ctx, leaf)
			return err
		},
	}
	var err error
	if config.CertChain, err = readChain(c.path(e.Chain), certauthority.ParseChain); err != nil {
		return nil, err
	}
	if config.Key, err = readKey(c.path(e.Key), certauthority.ParseKey); err != nil {
		return nil, err
	}
	if config.LogKey, err = readKey(c.path(e.CTLog.SigningKey), certauthority.ParseKey); err != nil {
		return nil, err
	}
	return certauthority.New(config)
}

// trustCertificates adds the embedded authority and its log to what a trusted root is made of.
func (c *Config) trustCertificates(into *server.TrustedRootConfig) error {
	if !c.Certificates.enabled() {
		return nil
	}
	e := &c.Certificates.Embedded
	chain, err := readChain(c.path(e.Chain), certauthority.ParseChain)
	if err != nil {
		return err
	}
	key, err := readKey(c.path(e.CTLog.SigningKey), certauthority.ParseKey)
	if err != nil {
		return err
	}
	into.Certificates = &server.TrustedCertificates{URI: "https://" + c.Origin, Chain: chain}
	into.CertificateLog = &server.TrustedCertificateLog{Origin: e.CTLog.Origin, Key: &key.PublicKey, Start: into.LogStart}
	return nil
}

// addExternal adds the certificate authorities and logs of the external authorities' trusted roots, and nothing else of
// them: their logs and timestamp authorities are not this service's.
func (c *Config) addExternal(root []byte) ([]byte, error) {
	if len(c.Certificates.External) == 0 {
		return root, nil
	}
	to, err := trustroot.Parse(root)
	if err != nil {
		return nil, err
	}
	for _, x := range c.Certificates.External {
		from, err := readRootFile(c.path(x.TrustedRoot))
		if err != nil {
			return nil, err
		}
		if from = from.Only(trustroot.KindCA, trustroot.KindCTLog); !from.Has(trustroot.KindCA) {
			return nil, fmt.Errorf("%s: names no certificate authority", c.path(x.TrustedRoot))
		}
		if err := to.Merge(from); err != nil {
			return nil, fmt.Errorf("%s: %w", c.path(x.TrustedRoot), err)
		}
	}
	return to.JSON()
}
