package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/avow-dev/avow/server/authority"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

//go:embed avowd.yaml.tmpl
var configTemplate string

//go:embed vendors.yaml.tmpl
var registryTemplate string

const configName = "avowd.yaml"

// initialised is what init says when it is done: origin, directory, configuration.
const initialised = `initialised %s in %s
next:
  avowd vendor add --config %s --name NAME --declarant "LEGAL NAME" --country CC \
      --key VENDOR.pub --product pkg:generic/NAME
  avowd serve --config %[3]s
`

// initialisedCertificates is what it says besides about a certificate authority: root key, configuration.
const initialisedCertificates = `for certificates:
  take %s to a machine without a network; the service never needs it
  name the issuers of identity tokens in %s (certificates.issuers)
`

func newInitCommand() *cobra.Command {
	var dir string
	var certificates bool
	c := defaultConfig()
	cmd := &cobra.Command{
		Use:   "init --dir D --origin HOST",
		Short: "Make keys, log, store, registry and a commented configuration; overwrites nothing",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if certificates {
				c.Certificates.Embedded = embeddedCertificates(c.Origin)
			}
			c.Index.Anchor = filepath.Join(filepath.Dir(c.Log.Anchor), filepath.Base(c.Index.Anchor))
			if err := initialise(cmd.Context(), dir, c, time.Now); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), initialised, c.Origin, dir, filepath.Join(dir, configName))
			if certificates {
				fmt.Fprintf(cmd.OutOrStdout(), initialisedCertificates, filepath.Join(dir, rootKeyName), filepath.Join(dir, configName))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "directory of the service; made if it is not there")
	f.StringVar(&c.Origin, "origin", "", "host name of the log, for ever")
	f.StringVar(&c.GRPC.Listen, "grpc", c.GRPC.Listen, "gRPC listen address to configure")
	f.StringVar(&c.REST.Listen, "rest", c.REST.Listen, "REST listen address to configure")
	f.StringVar(&c.Admin.Listen, "admin", c.Admin.Listen, "metrics listen address to configure")
	f.StringVar(&c.Log.Anchor, "anchor", c.Log.Anchor, "file that remembers the last tree signed; best on another disk")
	f.BoolVar(&certificates, "certificates", false, "make a certificate authority and its log too")
	f.StringVar(&c.TLS.Certificate, "tls-certificate", "", "PEM certificate of the listeners")
	f.StringVar(&c.TLS.Key, "tls-key", "", "PEM key of the listeners")
	return cmd
}

// initialise makes everything that a configuration names. It refuses when any of it is there already, before anything is made.
func initialise(ctx context.Context, dir string, c Config, clock func() time.Time) error {
	if dir == "" {
		return usageError{errors.New("--dir is missing"), "avowd init --dir /var/lib/avow --origin log.example.com"}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	c.dir = abs
	if c.Verdicts.Key == "" {
		c.Verdicts.Key = "keys/verdict.key"
	}
	if err := c.Validate(); err != nil {
		return usageError{err, "--origin is the host name of the log, for example 2026-1.log.example.com"}
	}
	if err := refuseExisting(&c); err != nil {
		return err
	}
	return createParts(ctx, &c, clock)
}

// refuseExisting looks for anything that initialise would make.
func refuseExisting(c *Config) error {
	paths := []string{configName, c.Log.Key, publicName(c.Log.Key), c.Log.Anchor, c.Log.Dir, c.Statements.Path,
		c.Timestamps.Embedded.Chain, c.Timestamps.Embedded.Key, c.Verdicts.Key, c.Vendors, c.TrustedRoot}
	return refuseAny(c, slices.Concat(paths, c.certificateFiles(), c.indexFiles()), "init overwrites nothing; choose an empty directory")
}

// refuseAny refuses if any of the paths is there.
func refuseAny(c *Config, paths []string, hint string) error {
	for _, p := range paths {
		if p == "" {
			continue
		}
		_, err := os.Lstat(c.path(p))
		if err == nil {
			return usageError{fmt.Errorf("%s exists", c.path(p)), hint}
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func createParts(ctx context.Context, c *Config, clock func() time.Time) error {
	if err := c.createDirectories(); err != nil {
		return err
	}
	if err := createKeys(c, clock()); err != nil {
		return err
	}
	if err := createData(ctx, c, clock); err != nil {
		return err
	}
	// The configuration comes last: without it there is nothing to serve, so a crash before this line leaves no half service.
	text, err := renderConfig(c)
	if err != nil {
		return err
	}
	if err := writeNew(c.path(c.Vendors), []byte(registryTemplate), 0o644); err != nil {
		return err
	}
	return writeNew(c.path(configName), text, 0o644)
}

// createDirectories makes those of the configuration, of the keys and of the anchor.
func (c *Config) createDirectories() error {
	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{c.dir, 0o755}, {filepath.Dir(c.path(c.Log.Key)), 0o700}, {filepath.Dir(c.path(c.Log.Anchor)), 0o700}} {
		if err := os.MkdirAll(d.path, d.mode); err != nil {
			return err
		}
	}
	return nil
}

// createTimestamps makes the embedded timestamp authority, valid from a time on.
func (c *Config) createTimestamps(from time.Time) error {
	tsa, err := authority.Generate(c.Origin, from)
	if err != nil {
		return err
	}
	return errors.Join(writeNew(c.path(c.Timestamps.Embedded.Key), tsa.KeyPEM, 0o600),
		writeNew(c.path(c.Timestamps.Embedded.Chain), tsa.ChainPEM, 0o644))
}

func createKeys(c *Config, now time.Time) error {
	verdicts, err := newVerdictKey()
	if err != nil {
		return err
	}
	return errors.Join(
		createLogKey(c.path(c.Log.Key)),
		c.createTimestamps(now),
		writeNew(c.path(c.Verdicts.Key), verdicts, 0o600),
		c.createCertificates(now),
	)
}

func createData(ctx context.Context, c *Config, clock func() time.Time) error {
	logConfig, err := c.tlogConfig(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := c.createStores(ctx, logConfig); err != nil {
		return err
	}
	root, err := trustedRoot(c, clock().UTC().Truncate(time.Second))
	if err != nil {
		return err
	}
	return writeNew(c.path(c.TrustedRoot), root, 0o644)
}

// createStores makes the empty log, the empty logs of certificates and of the index where there are ones, and the empty store.
func (c *Config) createStores(ctx context.Context, log tlog.Config) error {
	if err := posix.Create(ctx, log); err != nil {
		return err
	}
	if err := errors.Join(c.createCertificateLog(ctx, log.Logger), c.createIndex(ctx, log.Logger)); err != nil {
		return err
	}
	store, err := statements.Create(ctx, statements.Config{Path: c.path(c.Statements.Path), Logger: log.Logger})
	if err != nil {
		return err
	}
	return store.Close()
}

// publicName is where the public half of a key file goes: log.key and log.pub.
func publicName(key string) string {
	return key[:len(key)-len(filepath.Ext(key))] + ".pub"
}

// renderConfig writes a configuration with the comments that teach it. What it writes reads back as the same configuration.
func renderConfig(c *Config) ([]byte, error) {
	t, err := template.New(configName).Funcs(template.FuncMap{
		"quote":  func(s string) string { return fmt.Sprintf("%q", s) },
		"limits": renderLimits,
		"list":   renderList,
	}).Parse(configTemplate)
	if err != nil {
		return nil, err
	}
	return execute(t, c)
}

// renderList writes a list of the configuration behind its name, one member below the top.
func renderList(items any) (string, error) {
	if reflect.ValueOf(items).Len() == 0 {
		return " []", nil
	}
	text, err := yaml.Marshal(items)
	if err != nil {
		return "", err
	}
	return "\n    " + strings.ReplaceAll(strings.TrimSuffix(string(text), "\n"), "\n", "\n    "), nil
}
