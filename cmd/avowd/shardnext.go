package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/avow-dev/avow/internal/trustroot"
	"github.com/avow-dev/avow/server"
)

func newShardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shard",
		Short: "Prepare the log that follows this one",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("which command?"), "avowd shard --help lists the commands"}
		},
	}
	cmd.AddCommand(newShardNextCommand())
	return cmd
}

// nextShard is what `avowd shard next` is asked for.
type nextShard struct {
	dir, origin, start, end, publicURL string
	grpc, rest, admin, anchor          string
	newTimestamps                      bool
}

func newShardNextCommand() *cobra.Command {
	var config string
	n := &nextShard{}
	cmd := &cobra.Command{
		Use:   "next --config OLD/avowd.yaml --dir NEW --origin HOST --start TIME [--end TIME]",
		Short: "Make the successor of a service, and announce its log in both trusted roots",
		Long: `Make a second instance with a log, a log key and an anchor of its own, and announce the log in the trusted root of both
instances: valid from --start on. Until then the new instance takes no entry. With --end the old log's window is closed: from
then on the old instance serves reads alone.

The new instance shares the registry of vendors, certificates, external authorities and the key of verdicts with the old one, by
path. It has the old one's embedded timestamp authority, or with --new-timestamps one of its own. Restart the old instance, so that it
hands out the new trusted root; then give the buyers time to fetch it. What is there is never overwritten but the old instance's trusted
root and list of shards.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			return n.run(cmd.Context(), c, time.Now().UTC(), cmd.OutOrStdout())
		},
	}
	addConfigFlag(cmd, &config)
	f := cmd.Flags()
	f.StringVar(&n.dir, "dir", "", "directory of the new instance; made if it is not there")
	f.StringVar(&n.origin, "origin", "", "host name of the new log, for ever")
	f.StringVar(&n.start, "start", "", "when the new log begins, as 2027-01-01T00:00:00Z")
	f.StringVar(&n.end, "end", "", "when the old log ends; not before the start of the new one")
	f.StringVar(&n.publicURL, "public-url", "", "address of the new instance for Sigstore clients; needed where the old one has one")
	f.StringVar(&n.grpc, "grpc", "", "gRPC listen address; that of the old instance by default")
	f.StringVar(&n.rest, "rest", "", "REST listen address; that of the old instance by default")
	f.StringVar(&n.admin, "admin", "", "metrics listen address; that of the old instance by default")
	f.StringVar(&n.anchor, "anchor", defaultConfig().Log.Anchor, "file that remembers the last tree signed; best on another disk")
	f.BoolVar(&n.newTimestamps, "new-timestamps", false, "make a timestamp authority of its own")
	return cmd
}

func (n *nextShard) run(ctx context.Context, old *Config, now time.Time, out io.Writer) error {
	start, end, err := n.window(now)
	if err != nil {
		return err
	}
	before, err := old.readRoot()
	if err != nil {
		return err
	}
	c, err := n.config(old)
	if err != nil {
		return err
	}
	if _, err := before.Find("log:" + c.Origin); err == nil {
		return usageError{fmt.Errorf("the trusted root names a log %s already", c.Origin), "every log needs a name of its own"}
	}
	if err := n.refuseExisting(c); err != nil {
		return err
	}
	after := before.Clone()
	if !end.IsZero() {
		_, id, err := old.logKey()
		if err != nil {
			return err
		}
		if err := after.Retire(fmt.Sprintf("log:%x", id), end); err != nil {
			return usageError{err, "choose --end within the old log's window"}
		}
	}
	if err := n.create(ctx, c, after, start); err != nil {
		return err
	}
	if err := n.link(old, c, after); err != nil {
		return err
	}
	for _, change := range trustroot.Diff(before, after) {
		fmt.Fprintln(out, change)
	}
	fmt.Fprintf(out, "made %s in %s\nnext: restart the service of %s, so that it hands out the new trusted root\n", c.Origin, c.dir, old.Origin)
	return nil
}

// window reads and checks the times.
func (n *nextShard) window(now time.Time) (start, end time.Time, err error) {
	if n.dir == "" || n.origin == "" || n.start == "" {
		return start, end, usageError{errors.New("--dir, --origin and --start are needed"),
			"avowd shard next --config OLD/avowd.yaml --dir NEW --origin 2027-1.log.example.com --start 2027-01-01T00:00:00Z"}
	}
	if start, err = parseTime("--start", n.start, now); err != nil {
		return start, end, err
	}
	if !start.After(now) {
		return start, end, usageError{fmt.Errorf("--start %s has passed", n.start),
			"a log is announced before it is used, so that buyers know it when the first bundle comes"}
	}
	if n.end == "" {
		return start, end, nil
	}
	if end, err = parseTime("--end", n.end, now); err == nil && end.Before(start) {
		err = usageError{fmt.Errorf("--end %s is before --start %s", n.end, n.start), "between the two nothing could be issued"}
	}
	return start, end, err
}

// parseTime reads a time of the command line, to the second: windows are compared with timestamps, which have whole seconds.
func parseTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now.UTC().Truncate(time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usageError{fmt.Errorf("%s: got %q, want a time", flag, text), "write it as 2027-01-01T00:00:00Z, or now"}
	}
	return t.UTC().Truncate(time.Second), nil
}

// config derives the configuration of the new instance. Paths that stay with the old one become absolute.
func (n *nextShard) config(old *Config) (*Config, error) {
	fresh := defaultConfig()
	c := *old
	var err error
	if c.dir, err = filepath.Abs(n.dir); err != nil {
		return nil, err
	}
	c.Origin, c.Operator, c.Shards = n.origin, old.operator(), fresh.Shards
	c.Log.Dir, c.Log.Key, c.Log.Anchor = fresh.Log.Dir, fresh.Log.Key, n.anchor
	c.Statements, c.TrustedRoot, c.Index = fresh.Statements, fresh.TrustedRoot, fresh.Index
	c.Index.Anchor = filepath.Join(filepath.Dir(c.Log.Anchor), filepath.Base(c.Index.Anchor))
	if old.Index.Dir == "" {
		c.Index = IndexConfig{}
	}
	for _, p := range []*string{&c.Vendors, &c.Log.Witnesses.Policy, &c.Verdicts.Key, &c.TLS.Certificate, &c.TLS.Key,
		&c.Timestamps.Embedded.Chain, &c.Timestamps.Embedded.Key, &c.TUF.Dir, &c.TUF.Key} {
		*p = old.path(*p)
	}
	c.Timestamps.External = append([]ExternalTimestamps(nil), old.Timestamps.External...)
	for i := range c.Timestamps.External {
		c.Timestamps.External[i].Chain = old.path(c.Timestamps.External[i].Chain)
	}
	if n.newTimestamps {
		c.Timestamps.Embedded = fresh.Timestamps.Embedded
	}
	// Two instances cannot write one log of certificates, so that the new one has its own, and an authority with it.
	if c.Certificates.enabled() {
		c.Certificates.Embedded = embeddedCertificates(n.origin)
	}
	c.Certificates.External = append([]ExternalCertificates(nil), old.Certificates.External...)
	for i := range c.Certificates.External {
		c.Certificates.External[i].TrustedRoot = old.path(c.Certificates.External[i].TrustedRoot)
	}
	for _, l := range []struct {
		to    *string
		value string
	}{{&c.GRPC.Listen, n.grpc}, {&c.REST.Listen, n.rest}, {&c.Admin.Listen, n.admin}} {
		if l.value != "" {
			*l.to = l.value
		}
	}
	if (n.publicURL == "") != (old.PublicURL == "") {
		return nil, usageError{errors.New("--public-url is given exactly where the old instance has a publicUrl"),
			"it is the address of the new instance for Sigstore clients"}
	}
	c.PublicURL = n.publicURL
	if err := c.Validate(); err != nil {
		return nil, usageError{err, "--origin is the host name of the log, for example 2027-1.log.example.com"}
	}
	return &c, nil
}

func (n *nextShard) refuseExisting(c *Config) error {
	paths := []string{configName, c.Log.Key, publicName(c.Log.Key), c.Log.Anchor, c.Log.Dir, c.Statements.Path, c.TrustedRoot, c.Shards}
	if n.newTimestamps {
		paths = append(paths, c.Timestamps.Embedded.Chain, c.Timestamps.Embedded.Key)
	}
	return refuseAny(c, slices.Concat(paths, c.certificateFiles(), c.indexFiles()), "the new instance needs a directory of its own")
}

// create makes keys and data of the new instance, and adds what it signs with to the root.
func (n *nextShard) create(ctx context.Context, c *Config, root *trustroot.Root, start time.Time) error {
	if err := c.createDirectories(); err != nil {
		return err
	}
	if err := n.createKeys(c, start); err != nil {
		return err
	}
	logConfig, err := c.tlogConfig(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	// The empty log is published without witnesses: they may not know it yet, and serve publishes it anew with them.
	logConfig.WitnessPolicy = nil
	if err := c.createStores(ctx, logConfig); err != nil {
		return err
	}
	return n.announce(c, root, start)
}

func (n *nextShard) createKeys(c *Config, start time.Time) error {
	if err := errors.Join(createLogKey(c.path(c.Log.Key)), c.createCertificates(start)); err != nil || !n.newTimestamps {
		return err
	}
	return c.createTimestamps(start)
}

// announce adds the new log, and authorities that the root does not know, valid from the start on.
func (n *nextShard) announce(c *Config, root *trustroot.Root, start time.Time) error {
	public, id, err := c.logKey()
	if err != nil {
		return err
	}
	authorities, err := c.trustedAuthorities()
	if err != nil {
		return err
	}
	for i := range authorities {
		authorities[i].Start = start
	}
	rc := server.TrustedRootConfig{Origin: c.Origin, LogKey: public, LogID: id, LogStart: start, Authorities: authorities}
	if err := c.trustCertificates(&rc); err != nil {
		return err
	}
	data, err := server.TrustedRoot(rc)
	if err != nil {
		return err
	}
	added, err := trustroot.Parse(data)
	if err != nil {
		return err
	}
	return root.Merge(added)
}

// link writes what makes the two instances know each other. The new configuration comes before the old instance is touched:
// an interrupted call leaves the old one as it was, or both complete but for the old root, which avowd trusted-root --add completes.
func (n *nextShard) link(old, c *Config, root *trustroot.Root) error {
	trusted, err := root.JSON()
	if err != nil {
		return err
	}
	list, err := old.shardList()
	if err != nil {
		return err
	}
	others := &ShardList{Shards: append([]Shard(nil), list.Shards...)}
	others.addShard(old.shard())
	list.addShard(c.shard())
	forNew, err := others.marshal()
	if err != nil {
		return err
	}
	forOld, err := list.marshal()
	if err != nil {
		return err
	}
	text, err := renderConfig(c)
	if err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error { return writeNew(c.path(c.TrustedRoot), trusted, 0o644) },
		func() error { return writeNew(c.path(c.Shards), forNew, 0o644) },
		func() error { return writeNew(c.path(configName), text, 0o644) },
		func() error { return replaceOrCreate(old.path(old.Shards), forOld) },
		func() error { return replaceFile(old.path(old.TrustedRoot), trusted) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}
