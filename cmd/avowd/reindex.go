package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/vendors"
	"github.com/spf13/cobra"
)

func newReindexCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "reindex --config F",
		Short: "Rebuild every index from the stored envelopes and the log",
		Long: `Rebuild every index from the stored envelopes: who signed what about which file and product. Each envelope is opened and its
signature checked on the way. The envelopes themselves and the log are not touched. The service must not be running.`,
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
	registry, err := vendors.Load(c.path(c.Vendors))
	if err != nil {
		return err
	}
	store, err := statements.Open(ctx, statements.Config{Path: c.path(c.Statements.Path), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	n := 0
	err = store.Reindex(ctx, func(r statements.Record) (statements.Facts, error) {
		n++
		return describe(r, registry)
	}, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "indexed %d statements\n", n)
	return nil
}

// describe derives from the envelope what the indexes hold. The vendor is the one that the registry has for the key today; a
// key that was taken out since keeps the vendor that was recorded.
func describe(r statements.Record, registry *vendors.Registry) (statements.Facts, error) {
	e, err := reopen(r)
	if err != nil {
		return statements.Facts{}, fmt.Errorf("statement %s by %s: %w", r.StatementID, r.KeyID, err)
	}
	f := statements.Facts{PredicateType: e.Statement().Type}
	if v, _, ok := registry.ByKey(r.KeyID); ok {
		f.Vendor = v.Name
	}
	for _, s := range e.Statement().Subjects {
		f.Subjects = append(f.Subjects, s.Digest["sha256"])
	}
	if common := e.Statement().Common(); common != nil {
		f.Products = productIdentifiers(common)
	}
	return f, nil
}

func productIdentifiers(c *predicate.Common) []string {
	var all []string
	for _, id := range c.Product.Identifiers {
		all = append(all, id.Value)
	}
	return all
}
