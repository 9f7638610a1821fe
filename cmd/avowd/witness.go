package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/witness"
	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

func newWitnessCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "witness init|enrol|serve|log-key",
		Short: "Be a witness of other logs (https://c2sp.org/tlog-witness)",
		Long: `Be a witness: cosign the checkpoints of other logs, each only if it grew from the last one that was cosigned. A witness
is worth what its independence from the logs is worth: run it on another machine, by other people.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{errors.New("which command?"), "avowd witness --help lists them"}
		},
	}
	cmd.AddCommand(newWitnessInitCommand(), newWitnessEnrolCommand(), newWitnessServeCommand(), newLogKeyCommand())
	return cmd
}

func newWitnessInitCommand() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:   "init --dir D --name N",
		Short: "Make a key, an empty state and a commented configuration; overwrites nothing",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{errors.New("--dir is missing"), "avowd witness init --dir /var/lib/witness --name witness.example.com/w1"}
			}
			abs, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			w, err := createWitness(abs, name)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), w.VerifierKey())
			return w.Close()
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the witness; made if it is not there")
	cmd.Flags().StringVar(&name, "name", "", "name of the witness, for ever, such as witness.example.com/w1")
	return cmd
}

func addWitnessConfigFlag(cmd *cobra.Command, config *string) {
	cmd.Flags().StringVarP(config, "config", "c", witnessConfigName, "configuration file")
}

func newWitnessEnrolCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "enrol --config W",
		Short: "Begin to witness the logs of the configuration that this witness has never seen",
		Long: `Begin to witness the logs of the configuration that this witness has never seen: from their empty tree on. A log whose
state was lost must not be enrolled again; the witness would sign a second history of it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadWitnessConfig(config)
			if err != nil {
				return err
			}
			var origins []string
			for _, l := range c.Logs {
				origins = append(origins, l.Origin)
			}
			enrolled, err := witness.Enrol(c.path(c.State), origins)
			for _, origin := range enrolled {
				fmt.Fprintf(cmd.OutOrStdout(), "enrolled %q\n", origin)
			}
			return err
		},
	}
	addWitnessConfigFlag(cmd, &config)
	return cmd
}

func newWitnessServeCommand() *cobra.Command {
	var config, readyFile string
	cmd := &cobra.Command{
		Use:   "serve --config W",
		Short: "Serve POST /add-checkpoint until SIGTERM",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadWitnessConfig(config)
			if err != nil {
				return err
			}
			logger, err := newLogger(c.Logging, cmd.ErrOrStderr())
			if err != nil {
				return usageError{err, ""}
			}
			return serveWitness(cmd.Context(), c, logger, cmd.OutOrStdout(), readyFile)
		},
	}
	addWitnessConfigFlag(cmd, &config)
	cmd.Flags().StringVar(&readyFile, "ready-file", "", "write the address to this file, as JSON, once the listener accepts")
	return cmd
}

func serveWitness(ctx context.Context, c *WitnessConfig, logger *slog.Logger, out io.Writer, readyFile string) (err error) {
	w, err := c.open(logger, time.Now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	cert, err := c.certificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return hintedError{fmt.Errorf("listen: %w", err), "is another service on that port? port 0 takes any free one"}
	}
	s := server.HTTPServer(w.Handler())
	done := make(chan error, 1)
	go func() { done <- ignoreClosed(s.Serve(cert.wrap(listener))) }()
	scheme := map[bool]string{true: "http", false: "https"}[cert == nil]
	address := addresses{REST: scheme + "://" + listener.Addr().String(), PID: os.Getpid()}
	fmt.Fprintf(out, "witness %s of %d logs\n  %s/add-checkpoint\n", w.VerifierKey(), len(c.Logs), address.REST)
	if err := address.writeReadyFile(readyFile); err != nil {
		_ = s.Close() // the file is the news
		return errors.Join(err, <-done)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(s.Shutdown(draining), <-done)
}

func newLogKeyCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "log-key --config F",
		Short: "Print the verifier key of an avow log, for the configuration of its witnesses",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			vkey, err := c.logVerifierKey()
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), vkey)
			return nil
		},
	}
	addConfigFlag(cmd, &config)
	return cmd
}

// logVerifierKey is the log's key as a signed-note verifier key (https://c2sp.org/signed-note).
func (c *Config) logVerifierKey() (string, error) {
	key, err := loadLogKey(c.path(c.Log.Key))
	if err != nil {
		return "", err
	}
	public, _ := key.Public().(ed25519.PublicKey) // loadLogKey returns no other
	return note.NewEd25519VerifierKey(c.Origin, public)
}
