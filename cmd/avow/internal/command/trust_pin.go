package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/pin"
	"github.com/avow-dev/avow/cmd/avow/internal/text"
	"github.com/avow-dev/avow/internal/trustroot"
)

// trustDirVariable is the environment variable with the default of --trust-dir.
const trustDirVariable = "AVOW_TRUST_DIR"

// storeFlag says where the pins are.
type storeFlag struct {
	dir string
}

func (s *storeFlag) register(c *cobra.Command) {
	c.Flags().StringVar(&s.dir, "trust-dir", "", "`DIR` of the pins (default $AVOW_TRUST_DIR, or avow/trust in the user's configuration)")
}

// store finds the directory of the pins.
func (a *app) store(s *storeFlag) (pin.Store, error) {
	if s.dir != "" {
		return pin.Store{Dir: s.dir}, nil
	}
	if dir, _ := a.env.LookupEnv(trustDirVariable); dir != "" {
		return pin.Store{Dir: dir}, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return pin.Store{}, failed("give --trust-dir DIR, or set "+trustDirVariable, "there is no directory for pins: %w", err)
	}
	return pin.Store{Dir: filepath.Join(dir, "avow", "trust")}, nil
}

// pinFlags are the flags of pin and update.
type pinFlags struct {
	store       storeFlag
	server      serverFlags
	url         string
	fingerprint string
	root        string
	accept      string
}

func (a *app) trustPin() *cobra.Command {
	f := &pinFlags{}
	c := &cobra.Command{
		Use:   "pin NAME (--tuf URL | --server HOST:PORT)",
		Short: "Decide whose trusted root to believe from now on",
		Long: `Pin a trusted root under a name: that of a TUF repository, which is then followed by
` + "`avow trust update`" + `, or that of a service without one, which changes by your word alone.

With --fingerprint the first root of the repository (or the trusted root of the service) must have
that digest: take it from a contract, a phone call or the operator's web site. Without it the first
one that comes is believed, and its fingerprint is printed: compare it before you rely on the pin. The
key of the index log is pinned with it, for ` + "`avow verify --status`" + `: a TUF repository signs it; that of
a service is printed, to be compared.

Only the one address is asked, without following redirects: https, or http on this machine.` + serverHelp,
		Example: `  avow trust pin acme --tuf https://avow.example/tuf --fingerprint sha256:13f3...8fe9
  avow trust pin acme --server avow.example:8443`,
		Args: arguments(1, 1, "under which NAME?"),
		RunE: func(c *cobra.Command, args []string) error { return a.runTrustPin(c, args[0], f) },
	}
	o := c.Flags()
	o.StringVar(&f.url, "tuf", "", "`URL` of the TUF repository")
	o.StringVar(&f.fingerprint, "fingerprint", "", "`DIGEST` of the first root, as sha256:HEX")
	o.StringVar(&f.root, "root", "", "`FILE` with the first root (1.root.json) from another channel, instead of fetching it")
	f.store.register(c)
	f.server.register(c)
	return c
}

func (a *app) runTrustPin(c *cobra.Command, name string, f *pinFlags) error {
	if (f.url == "") == (f.server.options.Address == "") {
		return usageFailure(c.CommandPath(), errors.New("give --tuf or --server"))
	}
	if err := pin.CheckName(name); err != nil {
		return usageFailure(c.CommandPath(), err)
	}
	if f.fingerprint != "" {
		if err := pin.CheckFingerprint(f.fingerprint); err != nil {
			return usageFailure(c.CommandPath(), fmt.Errorf("--fingerprint: %w", err))
		}
	}
	client, err := a.pinClient(f)
	if err != nil {
		return err
	}
	result, err := a.makePin(c.Context(), client, name, f)
	if err != nil {
		return err
	}
	w := a.writer()
	w.Line("pinned %s: %s %s", name, result.Pin.Kind, text.Safe(result.Pin.Address))
	w.Line("fingerprint %s", result.Pin.Fingerprint)
	for _, change := range result.Changes {
		w.Line("  %s", change)
	}
	if key := result.Pin.IndexLogKey; key != "" {
		w.Line("  index log key %s", text.Safe(key))
		if f.url == "" {
			a.note("the fingerprint is that of the trusted root alone: compare the index log key, too")
		}
	}
	if f.fingerprint == "" {
		a.note("the fingerprint was not given: compare it with one from another channel before you rely on the pin")
	}
	return w.Err()
}

func (a *app) makePin(ctx context.Context, client *pin.Client, name string, f *pinFlags) (*pin.Result, error) {
	if f.url == "" {
		root, err := a.fetchRoot(ctx, &f.server)
		if err != nil {
			return nil, err
		}
		return client.PinServer(name, f.server.options.Address, root, f.fingerprint)
	}
	base, err := follow.ParseServerURL(f.url)
	if err != nil {
		return nil, failed("write it as https://avow.example/tuf", "--tuf: %w", err)
	}
	var anchor []byte
	if f.root != "" {
		if anchor, err = a.readLimited(f.root, 512_000); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, f.server.timeout)
	defer cancel()
	return client.Pin(ctx, name, base, anchor, f.fingerprint)
}

// pinClient makes what follows pins: a transport without proxies' redirects, cookies or compression.
func (a *app) pinClient(f *pinFlags) (*pin.Client, error) {
	store, err := a.store(&f.store)
	if err != nil {
		return nil, err
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.server.options.CAFile != "" {
		data, err := a.readLimited(f.server.options.CAFile, 1<<20)
		if err != nil {
			return nil, err
		}
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(data) {
			return nil, failed("give PEM certificates with --ca", "%s holds no certificate", f.server.options.CAFile)
		}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: tlsConfig, DisableCompression: true,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 20 * time.Second, MaxResponseHeaderBytes: 64 << 10}
	return &pin.Client{Store: store, Transport: transport, Now: a.env.Now}, nil
}

// fetchRoot asks a service for its trusted root and the key of its index log.
func (a *app) fetchRoot(ctx context.Context, f *serverFlags) (pin.Offer, error) {
	ctx, connection, done, err := a.connect(ctx, f)
	if err != nil {
		return pin.Offer{}, err
	}
	defer done()
	var answer *avowv1.GetTrustedRootResponse
	err = a.call(ctx, connection, func(ctx context.Context) (err error) {
		answer, err = avowv1.NewTrustServiceClient(connection).GetTrustedRoot(ctx, &avowv1.GetTrustedRootRequest{})
		return err
	})
	return pin.Offer{TrustedRoot: answer.GetTrustedRoot(), IndexKey: answer.GetIndexLogKey()}, err
}

func (a *app) trustUpdate() *cobra.Command {
	f := &pinFlags{}
	c := &cobra.Command{
		Use:   "update [NAME...]",
		Short: "Follow the pinned trusted roots; all of them without NAME",
		Long: `Ask the pinned addresses for the current trusted roots, and say in words what they change.

A new root is taken only if it follows from what is pinned: a TUF root signed by the holders of the
one before it, no older metadata than before, nothing expired, every file as the signed metadata
describes it. Everything else is refused with a code (docs/rotation.md lists them), and the pin stays
as it was. A service without TUF may not change its root unseen: --accept takes the new one, by its
digest from another channel.

Exit code 0: current; 1: something was offered and refused; 2: no answer, or a damaged pin.`,
		Example: `  avow trust update
  avow trust update acme --accept sha256:13f3...8fe9`,
		RunE: func(c *cobra.Command, args []string) error { return a.runTrustUpdate(c, args, f) },
	}
	c.Flags().StringVar(&f.accept, "accept", "", "`DIGEST` of the new trusted root of a service without TUF, or of index_log.vkey with its new key, as sha256:HEX")
	f.store.register(c)
	f.server.register(c)
	return c
}

func (a *app) runTrustUpdate(c *cobra.Command, names []string, f *pinFlags) error {
	if f.accept != "" {
		if err := pin.CheckFingerprint(f.accept); err != nil || len(names) != 1 {
			return usageFailure(c.CommandPath(), errors.Join(err, errors.New("--accept is for one NAME")))
		}
	}
	client, err := a.pinClient(f)
	if err != nil {
		return err
	}
	if names, err = someNames(client.Store, names); err != nil {
		return err
	}
	var worst error
	for _, name := range names {
		if err := a.updateOne(c.Context(), client, name, f); err != nil {
			if worst != nil {
				a.report(worst) // the last one is reported by the caller
			}
			worst = err
		}
	}
	return worst
}

// someNames are the names given, or all pins.
func someNames(s pin.Store, names []string) ([]string, error) {
	if len(names) > 0 {
		return names, nil
	}
	names, err := s.List()
	if err == nil && len(names) == 0 {
		err = failed("`avow trust pin` makes a pin", "nothing is pinned in %s", s.Dir)
	}
	return names, err
}

func (a *app) updateOne(ctx context.Context, client *pin.Client, name string, f *pinFlags) error {
	p, err := client.Store.Load(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, f.server.timeout)
	defer cancel()
	var result *pin.Result
	if p.Kind == pin.KindServer {
		server := f.server
		server.options.Address = p.Address
		offered, err := a.fetchRoot(ctx, &server)
		if err != nil {
			return about(name, err)
		}
		if result, err = client.UpdateServer(p, offered, f.accept); err != nil {
			if result != nil {
				a.note("%s: the offered root would change:", name)
				for _, change := range result.Changes {
					a.note("  %s", change)
				}
			}
			return about(name, err)
		}
	} else if result, err = client.Update(ctx, p); err != nil {
		return about(name, err)
	}
	w := a.writer()
	if len(result.Changes) == 0 {
		w.Line("%s: nothing changes", name)
	} else {
		w.Line("%s: the trusted root changes", name)
	}
	if to := result.Pin.RootVersion; to != result.RootFrom && p.Kind == pin.KindTUF {
		w.Line("  TUF root version %d, before: %d", to, result.RootFrom)
	}
	for _, change := range result.Changes {
		w.Line("  %s", change)
	}
	return w.Err()
}

func (a *app) trustUnpin() *cobra.Command {
	var s storeFlag
	c := &cobra.Command{
		Use:   "unpin NAME",
		Short: "Forget a pin",
		Long: `Forget a pin and its files. What is pinned anew under the name is believed without regard to what
was known before: do it when you know why.`,
		Example: `  avow trust unpin acme`,
		Args:    arguments(1, 1, "which NAME?"),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := a.store(&s)
			if err != nil {
				return err
			}
			return store.Remove(args[0])
		},
	}
	s.register(c)
	return c
}

// pinnedTrust resolves --trust and the default of --trusted-root to the file of a pin, and says how old it is.
func (a *app) pinnedTrust(f *verifyFlags) error {
	if f.trust != "" && f.trustedRoot != "" {
		return failed("give one of them", "--trust and --trusted-root are both given")
	}
	if f.trustedRoot != "" {
		return nil
	}
	name := f.trust
	store, err := a.store(&f.store)
	switch {
	case err != nil && name == "":
		return nil // no pins, and none asked for: that no trusted root was given is said later
	case err != nil:
		return err
	}
	if name == "" {
		names, err := store.List()
		if err != nil || len(names) == 0 {
			return nil //nolint:nilerr // as above: pins were not asked for
		}
		if len(names) > 1 {
			return failed("choose one with --trust NAME", "no trusted root was given, and %s are pinned", strings.Join(names, ", "))
		}
		name = names[0]
	}
	p, err := store.Load(name)
	if err != nil {
		return err
	}
	if _, err := p.TrustedRoot(); err != nil {
		return err
	}
	f.trustedRoot, f.trustDate = p.TrustedRootPath(), p.UpdatedAt
	if f.status.indexKey == "" {
		f.status.indexKey = p.IndexLogKey
	}
	now := a.env.Now()
	a.note("trusted root of pin %s, sha256:%s, known to be current at %s (%s ago)", name, p.TrustedRootSHA256,
		p.UpdatedAt.Format(time.RFC3339), age(now.Sub(p.UpdatedAt)))
	for _, e := range p.Expired(now) {
		a.note("warning: its %s expired at %s; run `avow trust update %s`", e.Role, e.At.Format(time.RFC3339), name)
	}
	return nil
}

// age is a duration in the largest whole unit.
func age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d minutes", int(d/time.Minute))
	}
	return fmt.Sprintf("%d seconds", max(0, int(d/time.Second)))
}

// entryLines describes the entries of a root, two lines each.
func entryLines(root *trustroot.Root, now time.Time) []string {
	var lines []string
	for _, e := range root.Entries() {
		lines = append(lines, fmt.Sprintf("  %-9s  %s, %s", e.State(now), e.Label(), e.Window()), "             "+e.Ref())
	}
	return lines
}
