package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

// IndexConfig places the log of the complete index's roots; an empty Dir: the service has no index.
type IndexConfig struct {
	Dir      string `yaml:"dir"`
	Key      string `yaml:"key"`
	Anchor   string `yaml:"anchor"`
	Snapshot string `yaml:"snapshot"`
}

// indexOriginPrefix and the log's origin are the name of the index log.
const indexOriginPrefix = "index."

// hintNoIndex says how a service from before there was an index gets one.
const hintNoIndex = "avowd index init makes it from the log as it is"

func (c *Config) indexOrigin() string { return indexOriginPrefix + c.Origin }

// indexFiles are the paths of what createIndexKey and createIndexLog make.
func (c *Config) indexFiles() []string {
	if c.Index.Dir == "" {
		return nil
	}
	return []string{c.Index.Dir, c.Index.Key, publicName(c.Index.Key), c.Index.Anchor, c.Index.Snapshot}
}

func (c *Config) validateIndex() error {
	x := &c.Index
	if x.Dir == "" {
		return nil
	}
	var errs []error
	if err := tlog.ValidateOrigin(c.indexOrigin()); err != nil {
		errs = append(errs, fmt.Errorf("origin: the index log would be %q: %w", c.indexOrigin(), err))
	}
	for _, p := range []struct{ name, value, of string }{
		{"dir", x.Dir, c.Log.Dir}, {"key", x.Key, c.Log.Key}, {"anchor", x.Anchor, c.Log.Anchor},
	} {
		switch p.value {
		case "":
			errs = append(errs, fmt.Errorf("index.%s is empty", p.name))
		case p.of:
			errs = append(errs, fmt.Errorf("index.%s: the index log is another log than that of statements", p.name))
		}
	}
	return errors.Join(errs...)
}

// hasIndex tells whether there is an index to open. A service from before there was one has none of its files; one that has
// some of them has lost the others, which the opening of the log says.
func (c *Config) hasIndex() (bool, error) {
	if c.Index.Dir == "" {
		return false, nil
	}
	for _, p := range []string{c.Index.Key, c.Index.Dir, c.Index.Anchor} {
		_, err := os.Lstat(c.path(p))
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

// indexLogConfig describes the index log. It batches, and is witnessed, as the log of statements is.
func (c *Config) indexLogConfig(logger *slog.Logger) (tlog.Config, error) {
	tc, err := c.tlogConfig(logger)
	if err != nil {
		return tlog.Config{}, err
	}
	tc.Dir, tc.AnchorPath, tc.Origin = c.path(c.Index.Dir), c.path(c.Index.Anchor), c.indexOrigin()
	tc.Signer, err = loadLogKey(c.path(c.Index.Key))
	return tc, err
}

// indexVerifierKey is the index log's key as a signed-note verifier key (https://c2sp.org/signed-note).
func (c *Config) indexVerifierKey() (string, error) {
	key, err := loadLogKey(c.path(c.Index.Key))
	if err != nil {
		return "", err
	}
	public, _ := key.Public().(ed25519.PublicKey) // loadLogKey returns no other
	return note.NewEd25519VerifierKey(c.indexOrigin(), public)
}

// createIndex makes the key and the empty log. It is published without witnesses: they may not know it yet, and serve
// publishes it anew with them.
func (c *Config) createIndex(ctx context.Context, logger *slog.Logger) error {
	if c.Index.Dir == "" {
		return nil
	}
	for _, p := range []string{c.Index.Key, c.Index.Anchor} {
		if err := os.MkdirAll(filepath.Dir(c.path(p)), 0o700); err != nil {
			return err
		}
	}
	if err := createLogKey(c.path(c.Index.Key)); err != nil {
		return err
	}
	tc, err := c.indexLogConfig(logger)
	if err != nil {
		return err
	}
	tc.WitnessPolicy = nil
	return posix.Create(ctx, tc)
}

// openIndex opens the index log and the index over the open log and store; nil where there is none.
func (c *Config) openIndex(ctx context.Context, p *parts, logger *slog.Logger) (*server.StandingConfig, error) {
	has, err := c.hasIndex()
	if err != nil {
		return nil, err
	}
	if !has {
		if c.Index.Dir != "" {
			logger.LogAttrs(ctx, slog.LevelWarn, "there is no complete index, so nobody is shown how statements stand", slog.String("hint", hintNoIndex))
		}
		return nil, nil
	}
	tc, err := c.indexLogConfig(logger)
	if err != nil {
		return nil, err
	}
	tc.Registerer = p.metrics
	if p.roots, err = posix.Open(ctx, tc); err != nil {
		return nil, fmt.Errorf("index log: %w", err)
	}
	if p.index, err = server.OpenIndex(ctx, c.serverIndex(p.log, p.roots, p.store, logger, p.metrics)); err != nil {
		return nil, err
	}
	key, err := c.indexVerifierKey()
	if err != nil {
		return nil, err
	}
	return &server.StandingConfig{Index: p.index, Roots: p.roots, Key: key}, nil
}

func (c *Config) serverIndex(
	log, roots *tlog.Log, store *statements.Store, logger *slog.Logger, metrics prometheus.Registerer,
) server.IndexConfig {
	return server.IndexConfig{Log: log, Roots: roots, Store: store, SnapshotPath: c.path(c.Index.Snapshot), Logger: logger, Registerer: metrics}
}

// checkIndex replays every root of the index log from the log and the store, and says what it found.
func (c *Config) checkIndex(ctx context.Context, log *tlog.Log, store *statements.Store, out io.Writer) error {
	has, err := c.hasIndex()
	if err != nil {
		return err
	}
	if !has {
		if c.Index.Dir != "" {
			fmt.Fprintf(out, "index: there is none; %s\n", hintNoIndex)
		}
		return nil
	}
	logger := slog.New(slog.DiscardHandler)
	tc, err := c.indexLogConfig(logger)
	if err != nil {
		return err
	}
	if err := posix.Fsck(ctx, tc, nil); err != nil {
		return fmt.Errorf("index log: %w", err)
	}
	roots, err := posix.Open(ctx, tc)
	if err != nil {
		return fmt.Errorf("index log: %w", err)
	}
	defer func() { _ = roots.Close(context.WithoutCancel(ctx)) }()
	r, err := server.CheckIndex(ctx, c.serverIndex(log, roots, store, logger, nil))
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	fmt.Fprintf(out, "index: %d roots came out as they were logged; %d entries, %d keys, %d unresolved\n", r.Roots, r.Size, r.Keys, r.Unresolved)
	return nil
}

// describeIndex is what init and index init say about the index log's key, which the trusted root does not have.
func (c *Config) describeIndex(out io.Writer) error {
	if c.Index.Dir == "" {
		return nil
	}
	key, err := c.indexVerifierKey()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "index log %s\n  verifier key, for buyers and witnesses: %s\n", c.indexOrigin(), key)
	return nil
}

func newIndexCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index",
		Short: "The complete index, which shows how statements stand",
		Long: `The complete index answers what was said about a statement, an artifact, a signer or a product, with the proof that it is
everything (docs/index.md). Its roots are the entries of a log of their own.`,
	}
	cmd.AddCommand(newIndexInitCommand(), newIndexKeyCommand())
	return cmd
}

func newIndexInitCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "init --config F",
		Short: "Make the index log of a service that has none",
		Long: `Make the key and the empty log of the complete index where the configuration's index says. A service from before there was an
index needs it once; the next start indexes the log as it is. Give the key that is printed to buyers and witnesses.`,
		Example: `  avowd index init --config /var/lib/avow/avowd.yaml`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			if c.Index.Dir == "" {
				return usageError{errors.New("index.dir is empty: the service is to have no index"), "leave the member index out for its defaults"}
			}
			if err := refuseAny(c, c.indexFiles(), "there is an index already, or part of one; index init overwrites nothing"); err != nil {
				return err
			}
			if err := c.createIndex(cmd.Context(), slog.New(slog.DiscardHandler)); err != nil {
				return err
			}
			return c.describeIndex(cmd.OutOrStdout())
		},
	}
	addConfigFlag(cmd, &config)
	return cmd
}

func newIndexKeyCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "key --config F",
		Short: "Print the verifier key of the index log, for buyers and for the configuration of its witnesses",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			key, err := c.indexVerifierKey()
			if err != nil {
				return hintedError{err, hintNoIndex}
			}
			fmt.Fprintln(cmd.OutOrStdout(), key)
			return nil
		},
	}
	addConfigFlag(cmd, &config)
	return cmd
}
