package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/avow-dev/avow/server/tufrepo"
)

// The names of the targets. Sigstore clients ask for the signing config under the second of its names.
const (
	targetTrustedRoot   = "trusted_root.json"
	targetSigningConfig = "signing_config.json"
	targetSigningV02    = "signing_config.v0.2.json"
	targetIndexKey      = "index_log.vkey"
)

// tufRenewEvery is how often a service looks whether its repository needs a new timestamp.
const tufRenewEvery = time.Hour

// TUFConfig places the repository that the service publishes; an empty Dir: none.
type TUFConfig struct {
	Dir string `yaml:"dir"`
	Key string `yaml:"key"`
}

func (c *Config) validateTUF() error {
	if c.TUF.Key != "" && c.TUF.Dir == "" {
		return errors.New("tuf.key has no effect without tuf.dir")
	}
	return nil
}

// tufHandler serves the configured repository; nil without one.
func (c *Config) tufHandler() http.Handler {
	if c.TUF.Dir == "" {
		return nil
	}
	return tufrepo.Open(c.path(c.TUF.Dir), time.Now).Handler()
}

// renewTUF keeps the published repository fresh while the service runs, if it has the online key. A failure is for the
// operator to see in time: what is published stays valid for half a period more.
func (c *Config) renewTUF(ctx context.Context, logger *slog.Logger) {
	if c.TUF.Key == "" {
		return
	}
	r := tufrepo.Open(c.path(c.TUF.Dir), time.Now)
	tick := time.NewTicker(tufRenewEvery)
	defer tick.Stop()
	for {
		key, err := openOnlineKey(c.path(c.TUF.Key))
		renewed := false
		if err == nil {
			renewed, err = r.Renew(ctx, false, key)
		}
		switch {
		case err != nil:
			logger.LogAttrs(ctx, slog.LevelError, "the TUF repository was not renewed", slog.Any("error", err))
		case renewed:
			logger.LogAttrs(ctx, slog.LevelInfo, "the TUF repository was renewed")
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func newTUFStageCommand() *cobra.Command {
	var dir, config, trustedRoot, signingConfig string
	var remove []string
	cmd := &cobra.Command{
		Use:   "stage (--config avowd.yaml | --trusted-root FILE [--signing-config FILE])",
		Short: "Stage what buyers get: trusted root and signing config",
		Long: `Stage the next list of targets, for its holders to sign. --config takes the trusted root of a service, the key of its index
log, and its signing config if it gives one. What is published and not named here stays.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			files := map[string][]byte{}
			var err error
			switch {
			case config != "" && trustedRoot == "" && signingConfig == "":
				err = stageConfig(config, files)
			case config == "":
				err = stageFiles(trustedRoot, signingConfig, files)
			default:
				err = usageError{errors.New("--config goes without --trusted-root and --signing-config"), ""}
			}
			if err != nil {
				return err
			}
			for _, name := range remove {
				files[name] = nil
			}
			if len(files) == 0 {
				return usageError{errors.New("nothing to stage was named"), cmd.CommandPath() + " --help"}
			}
			r := tufrepo.Open(dir, time.Now)
			if err := r.StageTargets(files); err != nil {
				return err
			}
			return tufStaged(cmd.OutOrStdout(), r)
		},
	}
	addTUFDirFlag(cmd, &dir)
	f := cmd.Flags()
	f.StringVarP(&config, "config", "c", "", "configuration of the service whose trusted root and signing config to stage")
	f.StringVar(&trustedRoot, "trusted-root", "", "trusted root to stage")
	f.StringVar(&signingConfig, "signing-config", "", "signing config to stage")
	f.StringArrayVar(&remove, "remove", nil, "name of a target to take out; may be repeated")
	return cmd
}

// stageConfig takes what a service hands out.
func stageConfig(path string, files map[string][]byte) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	if err := stageFiles(c.path(c.TrustedRoot), "", files); err != nil {
		return err
	}
	signing, err := c.signingConfig(files[targetTrustedRoot])
	if signing != nil {
		files[targetSigningConfig], files[targetSigningV02] = signing, signing
	}
	if err != nil || c.Index.Dir == "" {
		return err
	}
	key, err := c.indexVerifierKey()
	files[targetIndexKey] = []byte(key + "\n")
	return err
}

// stageFiles takes files; a trusted root that no client could use is refused here.
func stageFiles(trustedRoot, signingConfig string, files map[string][]byte) error {
	if trustedRoot != "" {
		if _, err := readRootFile(trustedRoot); err != nil {
			return err
		}
		data, err := readLimited(trustedRoot, maxTrustedRootBytes)
		if err != nil {
			return err
		}
		files[targetTrustedRoot] = data
	}
	if signingConfig != "" {
		data, err := readLimited(signingConfig, maxTrustedRootBytes)
		if err != nil {
			return err
		}
		files[targetSigningConfig], files[targetSigningV02] = data, data
	}
	return nil
}

func newTUFPublishCommand() *cobra.Command {
	var dir string
	var online []string
	cmd := &cobra.Command{
		Use:   "publish --online-key KEY",
		Short: "Publish what is staged and has enough signatures",
		Long: `Publish what is staged and has enough signatures, with a new snapshot and timestamp. Give the old and the new online key when the
root changes it. An interrupted call is repeated as it was.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := openOnlineKeys(online)
			if err != nil {
				return err
			}
			names, err := tufrepo.Open(dir, time.Now).Publish(cmd.Context(), keys...)
			if errors.Is(err, tufrepo.ErrThreshold) {
				return hintedError{err, "avowd tuf status says whose signatures are missing"}
			}
			for _, name := range names {
				fmt.Fprintf(cmd.OutOrStdout(), "published %s\n", name)
			}
			return err
		},
	}
	addTUFDirFlag(cmd, &dir)
	cmd.Flags().StringArrayVar(&online, "online-key", nil, "private key file of snapshot and timestamp; may be repeated")
	return cmd
}

func newTUFRenewCommand() *cobra.Command {
	var dir string
	var online []string
	var force bool
	cmd := &cobra.Command{
		Use:   "renew --online-key KEY",
		Short: "Sign the timestamp anew when half of its period is over; for cron",
		Long: `Sign the timestamp anew when half of its period is over, and the snapshot likewise. A service whose configuration has tuf.key does so
by itself.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := openOnlineKeys(online)
			if err != nil {
				return err
			}
			renewed, err := tufrepo.Open(dir, time.Now).Renew(cmd.Context(), force, keys...)
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), map[bool]string{true: "renewed", false: "not due"}[renewed])
			}
			return err
		},
	}
	addTUFDirFlag(cmd, &dir)
	cmd.Flags().StringArrayVar(&online, "online-key", nil, "private key file of snapshot and timestamp")
	cmd.Flags().BoolVar(&force, "force", false, "sign anew although it is not due")
	return cmd
}

func openOnlineKeys(files []string) ([]tufrepo.Key, error) {
	if len(files) == 0 {
		return nil, usageError{errors.New("--online-key is needed"), ""}
	}
	var keys []tufrepo.Key
	for _, path := range files {
		key, err := openOnlineKey(path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// promptPassword asks at the terminal.
func promptPassword(path string, errOut io.Writer) ([]byte, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return nil, hintedError{fmt.Errorf("%s needs a password, and there is no terminal to ask for it", path), "set AVOW_PASSWORD"}
	}
	fmt.Fprintf(errOut, "Password for %s: ", path)
	password, err := term.ReadPassword(fd)
	fmt.Fprintln(errOut)
	return password, err
}
