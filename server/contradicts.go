package server

import (
	"context"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/server/statements"
)

// contradicted names the statements in force that a committed one contradicts, for who watches: ids, in the order of the log, at
// most [maxRivals]. It is what [lifecycle.equivocations] says when a statement is issued, as things are now: one that was withdrawn
// or superseded since contradicts nothing, nor does what was withdrawn of either.
//
// An event must come whatever its vendor has logged, so this has the bounds of issuance: at most [maxRivalSubjects] lists of one page,
// twice [maxRivals] statements, and [maxRivalPages] pages of withdrawals for the statement and each rival that differs.
func (l *lifecycle) contradicted(ctx context.Context, st *predicate.Statement, rec *statements.Record) ([]string, error) {
	rivals, err := l.rivals(ctx, st, rec.KeyID)
	if err != nil || len(rivals) == 0 || supersededBy(rivals, st) {
		return nil, err
	}
	whole, items, err := l.withdrawnSoFar(ctx, st, rec)
	if err != nil || whole {
		return nil, err
	}
	found, err := l.contradictions(ctx, st, items, rivals)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, e := range found {
		ids = append(ids, e.StatementID)
	}
	return ids, nil
}
