package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/avow-dev/avow/attest"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/server/tlog/posix"
	"github.com/spf13/cobra"
)

func newFsckCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "fsck --config F",
		Short: "Read every entry, tile and statement and recompute the log's root",
		Long: `Read every entry, tile and statement, recompute the log's root, compare it with the checkpoint and the anchor, and compare
the store with the log both ways. Changes nothing. The service must not be running: the check would race with its writes.`,
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

// fsck checks the log alone, then the store alone, then both against each other.
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
	store, err := statements.Open(ctx, statements.Config{Path: c.path(c.Statements.Path), Logger: logger})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Check(ctx); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	n, err := compareStoreWithLog(ctx, store, log)
	if err != nil {
		return err
	}
	pending, err := countPending(ctx, store)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "store: %d statements, each is the entry of the log that it says; %d pending\n", n, pending)
	if size := log.Size(); n < size {
		fmt.Fprintf(out, "note: %d entries of the log have no committed statement: %d are pending, the others were lost with a store\n", size-n, pending)
		if n+pending < size {
			return hintedError{fmt.Errorf("store: %d entries of the log have no statement", size-n-pending),
				"restore a newer copy of the store, then avowd reindex; vendors hold the bundles"}
		}
	}
	return nil
}

// compareStoreWithLog rebuilds the leaf of every committed statement and compares it with the entry at its index.
func compareStoreWithLog(ctx context.Context, store *statements.Store, log *tlog.Log) (n uint64, err error) {
	for q := (statements.Query{Limit: statements.MaxPage}); ; {
		page, next, err := store.List(ctx, q)
		if err != nil {
			return n, fmt.Errorf("store: %w", err)
		}
		for _, s := range page {
			if err := compareStatement(ctx, store, log, s); err != nil {
				return n, fmt.Errorf("statement %s by %s at index %d: %w", s.StatementID, s.KeyID, s.LogIndex, err)
			}
			n++
		}
		if next == 0 {
			return n, nil
		}
		q.From = next
	}
}

func compareStatement(ctx context.Context, store *statements.Store, log *tlog.Log, s statements.Summary) error {
	r, err := store.GetBy(ctx, s.StatementID, s.KeyID)
	if err != nil {
		return err
	}
	e, err := reopen(r)
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

// reopen checks a stored envelope again: its signature, and that it is the statement that the row names.
func reopen(r statements.Record) (*attest.Envelope, error) {
	key, err := parseSPKI(r.PublicKey)
	if err != nil {
		return nil, err
	}
	e, err := attest.Reopen(r.Envelope, key)
	if err != nil {
		return nil, err
	}
	if e.StatementID() != r.StatementID || e.KeyID() != r.KeyID {
		return nil, fmt.Errorf("the envelope holds statement %s by %s", e.StatementID(), e.KeyID())
	}
	return e, nil
}
