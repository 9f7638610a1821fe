package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/avow-dev/avow/server/statements"
)

// Reconcile completes every statement that was stored and not committed: after a crash, or because an authority or
// the log was not there. It finds a leaf that is in the log already and appends only those that are not; the members
// of a declaration are completed together. It is the code that serves requests, and may run beside them.
//
// Call it after New and before listening. The error joins those of all statements that could not be completed; they
// stay pending, and Run tries again.
func (s *Server) Reconcile(ctx context.Context) error {
	var errs []error
	var after uint64
	for {
		rows, err := s.cfg.Store.PendingRows(ctx, after, statements.MaxPage)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if len(rows) == 0 {
			return errors.Join(errs...)
		}
		errs = append(errs, s.issuer.resumeAll(ctx, byDeclaration(rows)))
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		after = rows[len(rows)-1].Sequence
	}
}

// resumeAtOnce is how many declarations are completed at the same time: they wait for checkpoints most of the time, and share
// them.
const resumeAtOnce = 64

// resumeAll completes groups of rows, each as a whole, and joins the errors of those that could not be.
func (i *issuer) resumeAll(ctx context.Context, groups [][]statements.Record) error {
	errs := make([]error, len(groups))
	var group errgroup.Group
	group.SetLimit(resumeAtOnce)
	for n, rows := range groups {
		group.Go(func() error {
			if ctx.Err() != nil {
				return nil // the caller reports it once
			}
			if err := i.resume(ctx, rows); err != nil {
				errs[n] = fmt.Errorf("pending statement %s: %w", rows[0].StatementID, err)
			}
			return nil
		})
	}
	_ = group.Wait() // each group has its own error
	return errors.Join(errs...)
}

// byDeclaration groups rows that were stored together. PutPending gives them adjacent sequence numbers, so a group is
// cut only by the end of a page; its halves are then completed one after the other.
func byDeclaration(rows []statements.Record) [][]statements.Record {
	var groups [][]statements.Record
	for n, rec := range rows {
		if n > 0 && rec.Declaration != "" && rec.Declaration == rows[n-1].Declaration {
			last := len(groups) - 1
			groups[last] = append(groups[last], rec)
			continue
		}
		groups = append(groups, []statements.Record{rec})
	}
	return groups
}

// resume completes rows that were found pending, unless a call has them in hand.
func (i *issuer) resume(ctx context.Context, rows []statements.Record) (err error) {
	keys := make([]rowKey, len(rows))
	for n, rec := range rows {
		keys[n] = rowKey{rec.StatementID, rec.KeyID}
	}
	mine, _ := i.flights.start(keys)
	if mine == nil {
		return nil // the call that has it in hand completes it
	}
	results := make(map[rowKey]*issued, len(rows))
	defer func() { i.flights.finish(mine, results, err) }()
	ctx, cancel := context.WithTimeout(ctx, i.cfg.Limits.MaxDeadline)
	defer cancel()
	var todo []*work
	for n := range rows {
		// Read again: it may have been committed between the listing and the claim.
		rec, err := i.cfg.Store.GetBy(ctx, keys[n].statementID, keys[n].keyID)
		if err != nil {
			return err
		}
		if rec.State == statements.StateCommitted {
			if results[keys[n]], err = committedBundle(&rec); err != nil {
				return err
			}
			continue
		}
		env, err := reopen(&rec)
		if err != nil {
			return err
		}
		todo = append(todo, &work{row: keys[n], record: &rec, envelope: env, stored: true})
	}
	if err := i.complete(ctx, todo); err != nil {
		return err
	}
	for _, w := range todo {
		results[w.row] = &issued{bundle: w.bundle, logIndex: w.entry.Index}
		i.metrics.reconciled.Inc()
		i.cfg.Logger.InfoContext(ctx, "a pending statement was completed",
			slog.String("statement", w.row.statementID), slog.Uint64("log_index", w.entry.Index))
	}
	return nil
}
