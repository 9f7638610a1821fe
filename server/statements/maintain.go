package statements

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// maintainPage is how many truth rows Reindex and Check hold in memory at once.
const maintainPage = 64

// derived names the tables that Reindex empties, in the order of deletion.
var derived = [...]string{"by_product", "by_subject", "postings", "summaries", "pending", "facets"}

// Reindex drops the derived rows and rebuilds them from the truth rows in one
// transaction: either all is rebuilt or nothing has changed. describe maps a
// stored record to its facts; Vendor in it is the recorded one, PredicateType,
// Subjects and Products are empty, because they are what is asked for. An error
// of it, or facts that break a limit, end the reindexing with an error that
// names the statement. progress, if not nil, is called from time to time.
// Writers wait meanwhile, readers see the old index.
func (s *Store) Reindex(ctx context.Context, describe func(Record) (Facts, error), progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	return s.submit(ctx, &operation{
		rows:  maxGroupRows, // alone in its group
		apply: func(_ context.Context, w *writer) error { return w.reindex(ctx, describe, progress) },
	})
}

func (w *writer) reindex(ctx context.Context, describe func(Record) (Facts, error), progress func(done, total uint64)) error {
	w.forget()
	defer w.forget()
	for _, table := range derived {
		if _, err := w.conn.ExecContext(w.ctx, "DELETE FROM "+table); err != nil {
			return err
		}
	}
	if _, err := w.conn.ExecContext(w.ctx, "REINDEX"); err != nil { // the unique keys of the truth rows
		return err
	}
	page, err := w.conn.PrepareContext(w.ctx, selectRecord+" WHERE s.id > ? ORDER BY s.id LIMIT ?")
	if err != nil {
		return err
	}
	defer page.Close()
	var total uint64
	if err := w.conn.QueryRowContext(w.ctx, "SELECT COALESCE(max(id), 0) FROM statements").Scan(&total); err != nil {
		return err
	}
	var last uint64
	for {
		records, err := findRecords(w.ctx, page, last, maintainPage)
		if err != nil || len(records) == 0 {
			return err
		}
		for _, rec := range records {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.derive(rec, describe); err != nil {
				return err
			}
			last = rec.Sequence
		}
		progress(last, total)
	}
}

// derive writes the derived rows of one truth row.
func (w *writer) derive(rec Record, describe func(Record) (Facts, error)) error {
	facts, err := describe(rec)
	if err != nil {
		e := invalid("statement %s cannot be described", rec.StatementID)
		e.Err = err
		return e
	}
	if facts.Vendor == "" {
		facts.Vendor = rec.Vendor
	}
	subjects, products, err := checkFacts(facts.PredicateType, facts.Subjects, facts.Products)
	if err != nil {
		return fmt.Errorf("statement %s: %w", rec.StatementID, err)
	}
	typeFacet, err := w.facet(w.ctx, typeName(facts.PredicateType))
	if err != nil {
		return err
	}
	encoded := encodeFacts(subjects, products)
	if rec.State == StatePending {
		_, err := w.st.addPending.ExecContext(w.ctx, rec.Sequence, typeFacet, encoded)
		return err
	}
	key, err := parseID("key id", rec.KeyID)
	if err != nil {
		return err
	}
	signer, err := w.signer(w.ctx, key, rec.PublicKey)
	if err != nil {
		return err
	}
	statement, err := parseID("statement id", rec.StatementID)
	if err != nil {
		return err
	}
	return w.index(w.ctx, statement, int64(rec.LogIndex), rec.CommittedAt.UnixMicro(), &pendingRow{ //nolint:gosec // stored as int64
		id: int64(rec.Sequence), signer: signer, received: rec.ReceivedAt.UnixMicro(), vendor: facts.Vendor, //nolint:gosec // stored as int64
		typeFacet: typeFacet, subjects: subjects, products: products, facts: encoded,
	})
}

// Check reads everything: SQLite's integrity check, foreign keys, the checksum
// of every truth row, and that the derived tables have a row for each truth row
// and no others. The error is STORE_CORRUPT with the first finding. It sees one
// moment and may run beside writers, but while it runs the WAL is not reset.
func (s *Store) Check(ctx context.Context) error {
	tx, err := s.readDB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.readFault(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	for _, step := range []func(context.Context, *sql.Tx) error{checkFile, checkReferences, checkRows} {
		if err := step(ctx, tx); err != nil {
			return s.readFault(err)
		}
	}
	return nil
}

func checkFile(ctx context.Context, tx *sql.Tx) error {
	var finding string
	if err := tx.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&finding); err != nil {
		return err
	}
	if finding != "ok" {
		return corrupt(errors.New(finding), "the database file fails its integrity check")
	}
	return nil
}

func checkReferences(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT 1")
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		var table, parent string
		var id int64
		if err := rows.Scan(&table, &id, &parent); err != nil {
			return err
		}
		return corrupt(nil, "row %d of table %s has no row in table %s", id, table, parent)
	}
	return rows.Err()
}

// checkRows reads every record, which checks its sums, and compares numbers.
func checkRows(ctx context.Context, tx *sql.Tx) error {
	page, err := tx.PrepareContext(ctx, selectRecord+" WHERE s.id > ? ORDER BY s.id LIMIT ?")
	if err != nil {
		return err
	}
	defer page.Close()
	want := map[string]int{}
	for last := uint64(0); ; {
		records, err := findRecords(ctx, page, last, maintainPage)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		for i := range records {
			if err := countRecord(&records[i], want); err != nil {
				return err
			}
			last = records[i].Sequence
		}
	}
	for _, table := range []string{"entries", "pending", "summaries", "postings", "by_subject", "by_product"} {
		var have int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&have); err != nil {
			return err
		}
		if have != want[table] {
			return reindexable("table %s has %d rows, want %d", table, have, want[table])
		}
	}
	return nil
}

func countRecord(rec *Record, want map[string]int) error {
	if rec.PredicateType == "" {
		return reindexable("statement %s has no derived rows", rec.StatementID)
	}
	if rec.State == StatePending {
		want["pending"]++
		return nil
	}
	want["entries"]++
	want["summaries"]++
	want["postings"] += 3
	want["by_subject"] += len(rec.Subjects)
	want["by_product"] += len(rec.Products)
	return nil
}

func reindexable(format string, args ...any) *Error {
	e := corrupt(nil, format, args...)
	e.Hint = "stop the service and run avowd reindex"
	return e
}

// Backup writes a consistent copy of the store, as of one moment, to a new file
// while the store is in use, and syncs it. Errors: STORE_EXISTS if path is
// taken, STORE_FULL, STORE_UNAVAILABLE. A part of a file may remain after an error.
func (s *Store) Backup(ctx context.Context, path string) error {
	switch _, err := os.Stat(path); {
	case err == nil:
		return &Error{Code: Exists, Message: "there is a file already at the place of the backup"}
	case !errors.Is(err, fs.ErrNotExist):
		return classify(err)
	}
	// VACUUM INTO counts as writing, which the readers' connections refuse.
	db, err := sql.Open("sqlite", dsn(s.path, "rw", nil, map[string][]string{}))
	if err != nil {
		return s.readFault(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return s.readFault(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return classify(err)
	}
	return classify(errors.Join(f.Sync(), f.Close()))
}
