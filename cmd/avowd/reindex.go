package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/spf13/cobra"
)

func newReindexCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "reindex --config F",
		Short: "Rebuild every index from the stored envelopes and the log",
		Long: `Rebuild every index from the stored envelopes: who signed what about which file and product. Each envelope is opened and its
signature checked on the way. Then the complete index is built again from the log and the envelopes, and every root that was logged of
it has to come out once more. The envelopes themselves and the logs are not touched. The service must not be running.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			return reindex(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
	addConfigFlag(cmd, &config)
	return cmd
}

func reindex(ctx context.Context, c *Config, out io.Writer) error {
	logger := slog.New(slog.DiscardHandler)
	store, err := statements.Open(ctx, statements.Config{Path: c.path(c.Statements.Path), Logger: logger})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	n := 0
	err = store.Reindex(ctx, func(r statements.Record) (statements.Facts, error) {
		n++
		if _, err := server.Reopen(r); err != nil {
			return statements.Facts{}, fmt.Errorf("statement %s by %s: %w", r.StatementID, r.KeyID, err)
		}
		return server.Facts(r)
	}, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "indexed %d statements\n", n)
	tc, err := c.tlogConfig(logger)
	if err != nil {
		return err
	}
	log, err := posix.Open(ctx, tc)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer func() { _ = log.Close(context.WithoutCancel(ctx)) }()
	return c.checkIndex(ctx, log, store, out)
}
