package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/avow-dev/avow/server/webhook"
	"github.com/prometheus/client_golang/prometheus"
)

// maxTrustedRootBytes is the largest trusted root that is read.
const maxTrustedRootBytes = 1 << 20

// parts are what a service is made of. They are opened in the order of their trust: the log first, because its lock decides
// which of two servers on one directory may go on.
type parts struct {
	log      *tlog.Log
	ctLog    *tlog.Log       // nil without a certificate authority
	roots    *tlog.Log       // the index log; nil without an index
	webhooks *webhook.Teller // nil without any
	index    *index.Index
	store    *statements.Store
	registry *vendors.Watcher
	server   *server.Server
	metrics  *prometheus.Registry
}

// openParts opens everything that the configuration names, or nothing.
func openParts(ctx context.Context, c *Config, logger *slog.Logger) (p *parts, err error) {
	p = &parts{metrics: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close(context.WithoutCancel(ctx)))
		}
	}()
	if p.log, err = openLog(ctx, c, logger, p.metrics); err != nil {
		return p, err
	}
	if p.store, err = statements.Open(ctx, statements.Config{Path: c.path(c.Statements.Path), Logger: logger}); err != nil {
		return p, err
	}
	if p.registry, err = vendors.Watch(ctx, vendors.WatcherConfig{Path: c.path(c.Vendors), Logger: logger}); err != nil {
		return p, err
	}
	standing, err := c.openIndex(ctx, p, logger)
	if err != nil {
		return p, err
	}
	if p.server, err = newServer(ctx, c, p, standing, logger); err != nil {
		return p, err
	}
	p.webhooks, err = c.openWebhooks(p, logger)
	return p, err
}

func openLog(ctx context.Context, c *Config, logger *slog.Logger, metrics prometheus.Registerer) (*tlog.Log, error) {
	tc, err := c.tlogConfig(logger)
	if err != nil {
		return nil, err
	}
	tc.Registerer = metrics
	return posix.Open(ctx, tc)
}

func newServer(ctx context.Context, c *Config, p *parts, standing *server.StandingConfig, logger *slog.Logger) (*server.Server, error) {
	root, err := readLimited(c.path(c.TrustedRoot), maxTrustedRootBytes)
	if err != nil {
		return nil, err
	}
	floor, err := newestCommit(ctx, p.log, p.store)
	if err != nil {
		return nil, err
	}
	embedded, timestampers, err := c.timestampers(root, floor, logger)
	if err != nil {
		return nil, err
	}
	sc := server.Config{
		Log: p.log, Store: p.store, Timestampers: timestampers, Vendors: p.registry,
		TrustedRoot: root, Tables: predicate.EmbeddedTables(), Logger: logger, Registerer: p.metrics,
		SigningKey: newSigningKeys().open, MinTimestamps: c.Timestamps.Minimum, StrictRules: c.StrictRules,
		CompilePolicy: compilePolicy, Standing: standing,
	}
	if sc.Certificates, err = c.openCertificates(ctx, p, logger, p.metrics); err != nil {
		return nil, err
	}
	if c.Rekor.Enabled {
		sc.Rekor = &server.RekorConfig{Open: c.Rekor.Open, Credentials: c.Rekor.Credentials}
	}
	if sc.SigningConfig, err = c.signingConfig(root); err != nil {
		return nil, err
	}
	verdicts, err := c.verdictSigner(ctx)
	if err != nil {
		return nil, err
	}
	if verdicts != nil {
		sc.SignVerdict = verdicts.sign
		if sc.VerdictKey, err = verdicts.describe(); err != nil {
			return nil, err
		}
	}
	sc.TUFHandler = c.tufHandler()
	if embedded != nil {
		sc.TimestampHandler = embedded.Handler()
	}
	if err := c.applyLimits(&sc); err != nil {
		return nil, err
	}
	return server.New(sc)
}

// close closes what was opened, in the reverse order. Calling it on a half-opened value is fine.
func (p *parts) close(ctx context.Context) error {
	var errs []error
	if p.registry != nil {
		p.registry.Close()
	}
	if p.index != nil {
		errs = append(errs, p.index.Close()) // before the logs that it reads and writes
	}
	for _, l := range []*tlog.Log{p.roots, p.ctLog, p.log} {
		if l != nil {
			errs = append(errs, l.Close(ctx))
		}
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}

// tlogConfig reads the log's key and describes the log.
func (c *Config) tlogConfig(logger *slog.Logger) (tlog.Config, error) {
	key, err := loadLogKey(c.path(c.Log.Key))
	if err != nil {
		return tlog.Config{}, err
	}
	policy, err := c.witnessPolicy()
	if err != nil {
		return tlog.Config{}, err
	}
	return tlog.Config{
		WitnessPolicy: policy, WitnessTimeout: c.Log.Witnesses.Timeout,
		Dir: c.path(c.Log.Dir), AnchorPath: c.path(c.Log.Anchor), Origin: c.Origin, Signer: key,
		BatchMaxSize: c.Log.BatchMaxSize, BatchMaxAge: c.Log.BatchMaxAge, CheckpointInterval: c.Log.CheckpointInterval,
		ProofWindow: c.Log.ProofWindow, Logger: logger,
	}, nil
}

// witnessPolicy reads the policy of the log's witnesses, if there is one. An empty file must not mean that nobody has to
// cosign.
func (c *Config) witnessPolicy() ([]byte, error) {
	path := c.path(c.Log.Witnesses.Policy)
	if path == "" {
		return nil, nil
	}
	policy, err := readLimited(path, tlog.MaxWitnessPolicyBytes)
	if err != nil {
		return nil, fmt.Errorf("log.witnesses.policy: %w", err)
	}
	if len(policy) == 0 {
		return nil, fmt.Errorf("log.witnesses.policy: %s is empty", path)
	}
	return policy, nil
}

// newestAmong is how many of the newest entries are looked at for the newest commit; some may be pending. Where none of them has a
// statement, more are.
const newestAmong = 256

// newestCommit is when the newest statement was committed, or the zero time in an empty service. The embedded authority signs
// no time before it: a clock that went back while the service was down would date a statement before its predecessors.
func newestCommit(ctx context.Context, log *tlog.Log, store *statements.Store) (newest time.Time, err error) {
	for size, among := log.Size(), uint64(newestAmong); ; among *= 4 {
		from := size - min(size, among)
		for q := (statements.Query{From: from, Limit: statements.MaxPage}); ; {
			page, next, err := store.List(ctx, q)
			if err != nil {
				return newest, err
			}
			for _, s := range page {
				if s.CommittedAt.After(newest) {
					newest = s.CommittedAt
				}
			}
			if next == 0 {
				break
			}
			q.From = next
		}
		if !newest.IsZero() || from == 0 {
			return newest.Truncate(time.Second), nil // tokens have whole seconds
		}
	}
}

// timestampers opens the authorities in the order of the configuration; embedded is nil if there is none.
func (c *Config) timestampers(trustedRoot []byte, floor time.Time, logger *slog.Logger) (
	embedded *authority.Authority, all []server.Timestamper, err error,
) {
	root, err := trustroot.Parse(trustedRoot)
	if err != nil {
		return nil, nil, err
	}
	add := func(t server.Timestamper, chain []*x509.Certificate) error {
		bounded, err := inWindow(t, chain, root)
		all = append(all, bounded)
		return err
	}
	if e := c.Timestamps.Embedded; e.Chain != "" {
		if embedded, err = c.openAuthority(e, floor, logger); err != nil {
			return nil, nil, err
		}
		if err := add(embedded, embedded.CertChain()); err != nil {
			return nil, nil, err
		}
	}
	for _, x := range c.Timestamps.External {
		chain, err := readChain(c.path(x.Chain), authority.ParseChain)
		if err != nil {
			return nil, nil, err
		}
		remote, err := authority.NewRemote(authority.RemoteConfig{URL: x.URL, CertChain: chain, Timeout: x.Timeout})
		if err != nil {
			return nil, nil, err
		}
		if err := add(remote, chain); err != nil {
			return nil, nil, err
		}
	}
	return embedded, all, nil
}

func (c *Config) openAuthority(e EmbeddedTimestamps, floor time.Time, logger *slog.Logger) (*authority.Authority, error) {
	chain, err := readChain(c.path(e.Chain), authority.ParseChain)
	if err != nil {
		return nil, err
	}
	key, err := readKey(c.path(e.Key), authority.ParseKey)
	if err != nil {
		return nil, err
	}
	return authority.New(authority.Config{CertChain: chain, Key: key, NotBefore: floor, Logger: logger})
}
