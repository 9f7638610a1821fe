package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/avow-dev/avow/server"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/spf13/cobra"
	"github.com/transparency-dev/merkle/rfc6962"
)

func newFsckCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "fsck --config F",
		Short: "Read every entry, tile and statement and recompute the log's root",
		Long: `Read every entry, tile and statement, recompute the log's root, compare it with the checkpoint and the anchor, and compare
the store with the log both ways; then build the complete index again and compare every root that was logged of it. Changes nothing. The service must not be running: the check would race with its writes.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(config)
			if err != nil {
				return err
			}
			return fsck(cmd.Context(), c, cmd.OutOrStdout())
		},
	}
	addConfigFlag(cmd, &config)
	return cmd
}

// fsck checks the log alone, then the store alone, then both against each other, and then the index against both.
func fsck(ctx context.Context, c *Config, out io.Writer) error {
	logger := slog.New(slog.DiscardHandler)
	tc, err := c.tlogConfig(logger)
	if err != nil {
		return err
	}
	if err := posix.Fsck(ctx, tc, nil); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	log, err := posix.Open(ctx, tc)
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer func() { _ = log.Close(context.WithoutCancel(ctx)) }()
	fmt.Fprintf(out, "log: %d entries, every tile and the root agree with the checkpoint and the anchor\n", log.Size())
	if err := fsckCertificates(ctx, c, logger, out); err != nil {
		return err
	}
	store, err := statements.Open(ctx, statements.Config{Path: c.path(c.Statements.Path), Logger: logger})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Check(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	stated, err := compareStoreWithLog(ctx, store, log)
	if err != nil {
		return err
	}
	pending, err := countPending(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "store: %d statements, each is the entry of the log that it says; %d pending\n", len(stated), pending)
	if err := explainRest(ctx, out, store, log, stated, pending); err != nil {
		return err
	}
	return c.checkIndex(ctx, log, store, out)
}

// fsckCertificates checks the log of certificates, which nothing else is derived from.
func fsckCertificates(ctx context.Context, c *Config, logger *slog.Logger, out io.Writer) error {
	if !c.Certificates.enabled() {
		return nil
	}
	tc, err := c.certificateLogConfig(logger)
	if err != nil {
		return err
	}
	if err := posix.Fsck(ctx, tc, nil); err != nil {
		return fmt.Errorf("certificate log: %w", err)
	}
	log, err := posix.Open(ctx, tc)
	if err != nil {
		return fmt.Errorf("certificate log: %w", err)
	}
	fmt.Fprintf(out, "certificate log: %d certificates, every tile and the root agree with the checkpoint and the anchor\n", log.Size())
	return log.Close(context.WithoutCancel(ctx))
}

// explainRest accounts for the entries of the log that have no committed statement.
func explainRest(
	ctx context.Context, out io.Writer, store *statements.Store, log *tlog.Log, stated indexSet, pending uint64,
) error {
	size, n := log.Size(), uint64(len(stated))
	if n >= size {
		return nil
	}
	bare, err := countBare(ctx, store, log, stated)
	if err != nil {
		return err
	}
	if bare > 0 {
		fmt.Fprintf(out, "note: %d entries without a statement: they came by the Rekor API, and the log cannot show what they are of\n", bare)
	}
	rest := size - n - bare
	if rest == 0 {
		return nil
	}
	fmt.Fprintf(out, "note: %d entries of the log have no committed statement: %d are pending, the others were lost with a store\n", rest, pending)
	if pending < rest {
		return hintedError{fmt.Errorf("store: %d entries of the log have no statement", rest-pending),
			"restore a newer copy of the store, then avowd reindex; vendors hold the bundles"}
	}
	return nil
}

// indexSet are log indexes.
type indexSet map[uint64]struct{}

// countBare counts the entries that came by the Rekor API and have no committed statement.
func countBare(ctx context.Context, store *statements.Store, log *tlog.Log, stated indexSet) (n uint64, err error) {
	for leaf, err := range log.Leaves(ctx, 0, log.Size()) {
		if err != nil {
			return n, fmt.Errorf("log: %w", err)
		}
		if _, ok := stated[leaf.Index]; ok {
			continue
		}
		known, found, err := store.Leaf(ctx, [32]byte(rfc6962.DefaultHasher.HashLeaf(leaf.Data)))
		if err != nil {
			return n, fmt.Errorf("store: %w", err)
		}
		if found && known.Bare {
			n++
		}
	}
	return n, nil
}

// compareStoreWithLog rebuilds the leaf of every committed statement and compares it with the entry at its index. It
// returns the indexes.
func compareStoreWithLog(ctx context.Context, store *statements.Store, log *tlog.Log) (indexSet, error) {
	stated := make(indexSet)
	for q := (statements.Query{Limit: statements.MaxPage}); ; {
		page, next, err := store.List(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		for _, s := range page {
			if err := compareStatement(ctx, store, log, s); err != nil {
				return nil, fmt.Errorf("statement %s by %s at index %d: %w", s.StatementID, s.KeyID, s.LogIndex, err)
			}
			stated[s.LogIndex] = struct{}{}
		}
		if next == 0 {
			return stated, nil
		}
		q.From = next
	}
}

func compareStatement(ctx context.Context, store *statements.Store, log *tlog.Log, s statements.Summary) error {
	r, err := store.GetBy(ctx, s.StatementID, s.KeyID)
	if err != nil {
		return err
	}
	e, err := server.Reopen(r)
	if err != nil {
		return err
	}
	want, err := e.Leaf()
	if err != nil {
		return err
	}
	got, err := log.Entry(ctx, s.LogIndex)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return errors.New("the log holds another leaf")
	}
	return nil
}

func countPending(ctx context.Context, store *statements.Store) (n uint64, err error) {
	for after := uint64(0); ; {
		rows, err := store.PendingRows(ctx, after, statements.MaxPage)
		if err != nil || len(rows) == 0 {
			return n, err
		}
		n += uint64(len(rows))
		after = rows[len(rows)-1].Sequence
	}
}
