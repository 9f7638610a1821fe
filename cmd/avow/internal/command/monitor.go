package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/cmd/avow/internal/monitor"
)

// exitMisbehaviour is the exit code of monitor for a log that broke its promises.
const exitMisbehaviour = 3

// maxExpectBytes is the size of the largest file that monitor reads, keys aside.
const maxExpectBytes = 16 << 20

// monitorFlags are the flags of monitor.
type monitorFlags struct {
	serverURL   string
	ca          string
	trustedRoot string
	state       string
	keys        []string
	identities  []string
	issuer      string
	products    []string
	expect      string
	allowBare   bool
	once        bool
	interval    time.Duration
	maxQuiet    time.Duration
	webhook     string
	format      format
}

func (a *app) monitor() *cobra.Command {
	f := &monitorFlags{}
	c := &cobra.Command{
		Use:   "monitor --server-url URL --trusted-root ROOT --state DIR",
		Short: "Follow a service's log, check that it keeps its promises, and report watched entries",
		Long: `Follow the log from where the last run ended: verify its checkpoint and that its tree contains
the one of last time, hash every new entry, compare the tiles with them, check every entry's
signature, and fetch and compare every entry's statement. The first run reads the whole log.

Entries of --vendor-key, --identity with --issuer, and --product are reported. With --expect FILE,
statement ids one a line, those in the file are as expected and all others are alarms: somebody
else may be signing with your key. An identity is what a certificate in the log says, whoever
issued the certificate.

A service that takes entries by Rekor's API (rekor.enabled) has entries without a statement, and
each is an alarm unless --allow-bare is given. A watched signer's needs its statement all the same.

A log that is caught leaves an evidence file in the state's directory, which
` + "`avow prove-misbehaviour`" + ` checks anywhere. A log that cannot be reached is an outage and accuses
nobody. No redirect is followed; only this address, and that of --webhook, are spoken to.

Exit codes with --once: 0 nothing to say; 1 watched entries that are new or not expected; 2 it
could not be checked; 3 the log misbehaved. Without --once the log is looked at every --interval
until the program is stopped, and each finding is told once.`,
		Example: `  avow monitor --server-url https://avow.example --trusted-root trusted_root.json --state monitor/ \
      --vendor-key vendor.pub --expect issued.txt --once
  avow monitor --server-url https://avow.example --trusted-root trusted_root.json --state monitor/ \
      --product pkg:generic/example-gateway --interval 5m --format json`,
		Args: arguments(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error { return a.runMonitor(c, f) },
	}
	o := c.Flags()
	o.StringVar(&f.serverURL, "server-url", "", "`URL` of the service's HTTP port; http:// for this machine only")
	o.StringVar(&f.ca, "ca", "", "`FILE` with the PEM certificates of the service's authority")
	o.StringVar(&f.trustedRoot, "trusted-root", "", "`FILE` with the trusted root (trusted_root.json)")
	o.StringVar(&f.state, "state", "", "`DIR` for what is remembered and for evidence; made if it is not there")
	o.StringArrayVar(&f.keys, "vendor-key", nil, "`FILE` with a public key to watch; may be repeated")
	o.StringArrayVar(&f.identities, "identity", nil, "`URI` or e-mail address in certificates to watch, exactly; may be repeated")
	o.StringVar(&f.issuer, "issuer", "", "`URI` of the issuer of the identities, exactly")
	o.StringArrayVar(&f.products, "product", nil, "`PREFIX` of product identifiers to watch; may be repeated")
	o.StringVar(&f.expect, "expect", "", "`FILE` with the statement ids that may appear, one a line; # begins a comment")
	o.BoolVar(&f.allowBare, "allow-bare", false, "take entries without a statement for granted, if their signer is not watched")
	o.BoolVar(&f.once, "once", false, "look once and exit with what was found")
	o.DurationVar(&f.interval, "interval", time.Minute, "`DURATION` between two looks")
	o.DurationVar(&f.maxQuiet, "max-quiet", 0, "`DURATION` after which a log that does not grow counts as an outage (default never)")
	o.StringVar(&f.webhook, "webhook", "", "`URL` that every finding is posted to as JSON; http:// for this machine only")
	f.format.registerAs(c, "`FORMAT` of the findings: text, or json for one object a line", "text", "json")
	return c
}

func (a *app) runMonitor(c *cobra.Command, f *monitorFlags) error {
	if f.serverURL == "" || f.trustedRoot == "" || f.state == "" {
		return usageFailure(c.CommandPath(), errors.New("--server-url, --trusted-root and --state are needed"))
	}
	if f.allowBare && len(f.products) > 0 {
		return usageFailure(c.CommandPath(), errors.New("--allow-bare and --product exclude each other: "+
			"a product is known from its statement, and nobody would see one that is withheld"))
	}
	if f.interval < time.Second {
		return usageFailure(c.CommandPath(), errors.New("--interval is less than a second"))
	}
	m, out, err := a.newMonitor(c.Context(), f)
	if err != nil {
		return err
	}
	for {
		worst, err := a.round(c.Context(), m, out)
		switch {
		case f.once && worst == exitMisbehaviour:
			return &failure{code: exitMisbehaviour}
		case f.once && err != nil:
			return monitorFailure(err)
		case f.once && worst != exitYes:
			return &failure{code: worst}
		case f.once:
			return nil
		}
		if a.env.Sleep(c.Context(), f.interval) != nil {
			return nil // stopped, as it is meant to be
		}
	}
}

// round looks once. It returns the exit code for what was found, and why something could not be checked or told.
func (a *app) round(ctx context.Context, m *monitor.Monitor, out *findings) (int, error) {
	out.worst = exitYes
	sum, err := m.Round(ctx)
	switch {
	case err != nil:
		err = errors.Join(err, out.tell(follow.Finding{Code: follow.CodeUnavailable, Class: follow.Unchecked, Detail: err.Error()}))
	case out.worst != exitMisbehaviour:
		err = out.checked(sum)
	}
	return out.worst, err
}

// monitorFailure gives an error of a round its hint.
func monitorFailure(err error) error {
	hint := "the service may be down: try again, and ask its operator if it lasts"
	switch {
	case errors.Is(err, monitor.ErrState):
		hint = "restore the directory from a backup, or give an empty one to check the whole log again"
	case errors.Is(err, errors.ErrUnsupported):
		hint = "the service is older than this command"
	}
	return &failure{code: exitError, err: err, hint: hint}
}

// newMonitor reads everything that the flags name, before anything is asked.
func (a *app) newMonitor(ctx context.Context, f *monitorFlags) (*monitor.Monitor, *findings, error) {
	base, err := follow.ParseServerURL(f.serverURL)
	if err != nil {
		return nil, nil, failed("give --server-url as in https://avow.example", "--server-url: %w", err)
	}
	root, err := a.readLimited(f.trustedRoot, maxExpectBytes)
	if err != nil {
		return nil, nil, err
	}
	logs, err := follow.ParseLogs(root)
	if err != nil {
		return nil, nil, about(f.trustedRoot, err)
	}
	watch, err := a.watch(f)
	if err != nil {
		return nil, nil, err
	}
	transport, err := a.transport(f.ca)
	if err != nil {
		return nil, nil, err
	}
	out := &findings{app: a, ctx: ctx, format: f.format, told: map[string]bool{}, once: f.once, dir: f.state}
	if f.webhook != "" {
		u, err := follow.ParseWebhookURL(f.webhook)
		if err != nil {
			return nil, nil, failed("give --webhook as in https://HOST/PATH", "--webhook: %w", err)
		}
		out.webhook = &follow.Webhook{URL: u, Transport: http.DefaultTransport, Sleep: a.env.Sleep}
	}
	if err := os.MkdirAll(f.state, 0o700); err != nil {
		return nil, nil, err
	}
	client := &follow.Client{Base: base, Transport: transport, Sleep: a.env.Sleep, Notify: out.waiting}
	return &monitor.Monitor{Client: client, Logs: logs, Watch: watch, Dir: f.state, Report: out.tell, Sleep: a.env.Sleep,
		Now: a.env.Now, MaxQuiet: f.maxQuiet, AllowBare: f.allowBare}, out, nil
}

// transport speaks TLS to servers with certificates of the authority in the file, or of the system's.
func (a *app) transport(ca string) (http.RoundTripper, error) {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true}
	if ca == "" {
		return t, nil
	}
	data, err := a.readLimited(ca, maxExpectBytes)
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(data) {
		return nil, failed("give a file with PEM certificates", "%s holds no certificate", ca)
	}
	return t, nil
}

// watch reads whom to watch.
func (a *app) watch(f *monitorFlags) (monitor.Watch, error) {
	w := monitor.Watch{Products: f.products}
	for _, path := range f.keys {
		key, err := a.readPublicKey(path)
		if err != nil {
			return w, err
		}
		id, err := attest.KeyID(key)
		if err != nil {
			return w, about(path, err)
		}
		w.KeyIDs = append(w.KeyIDs, id)
	}
	if (len(f.identities) > 0) != (f.issuer != "") {
		return w, failed("an identity is what its issuer says", "--identity and --issuer are given together or not at all")
	}
	for _, san := range f.identities {
		w.Identities = append(w.Identities, follow.Identity{SAN: san, Issuer: f.issuer})
	}
	for _, prefix := range f.products {
		if prefix == "" {
			return w, failed("leave --product out to watch no product", "--product is empty, which is a prefix of everything")
		}
	}
	if f.expect == "" {
		return w, nil
	}
	if len(w.KeyIDs)+len(w.Identities)+len(w.Products) == 0 {
		return w, failed("add --vendor-key, --identity or --product", "--expect says what is expected, and nobody is watched")
	}
	var err error
	w.Expected, err = a.expected(f.expect)
	return w, err
}

// expected reads a file of statement ids.
func (a *app) expected(path string) (map[string]bool, error) {
	data, err := a.readLimited(path, maxExpectBytes)
	if err != nil {
		return nil, err
	}
	ids, n := map[string]bool{}, 0
	for line := range strings.Lines(string(data)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		id := strings.TrimSpace(line)
		if id == "" {
			continue
		}
		if !digestArgument.MatchString(id) {
			return nil, failed("write one statement id a line, as sha256:HEX", "%s:%d: %.80q is no statement id", path, n, id)
		}
		ids[id] = true
	}
	return ids, nil
}
