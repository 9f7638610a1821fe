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

// Reindex drops what is derived and rebuilds it from the truth rows. First the
// facts of every statement, in one transaction: describe maps a stored record to
// them; Vendor in it is the recorded one, PredicateType, Subjects and Products
// are empty, because they are what is asked for. An error of describe, or facts
// that break a limit, end the reindexing with an error that names the statement,
// and nothing has changed. Then the index for lists, from the facts: until it is
// complete, lists are refused; a process that dies meanwhile completes it at its
// next start. progress, if not nil, is called from time to time. Writers wait.
func (s *Store) Reindex(ctx context.Context, describe func(Record) (Facts, error), progress func(done, total uint64)) error {
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	return s.submit(ctx, &operation{alone: func() error {
		var generation int64
		var rows, entries uint64
		err := s.w.transaction(func() (err error) {
			if generation, rows, entries, err = s.w.measure(); err != nil {
				return err
			}
			return s.w.describeAll(ctx, describe, func(done uint64) { progress(done, rows+entries) })
		})
		if err != nil {
			return err
		}
		return s.index.rebuild(ctx, s.w.conn, generation, func(done uint64) { progress(rows+done, rows+entries) })
	}})
}

// measure begins a new generation of what is derived, and counts the work.
func (w *writer) measure() (generation int64, rows, entries uint64, err error) {
	err = w.conn.QueryRowContext(w.ctx, `UPDATE store SET generation = generation + 1 RETURNING generation,
		(SELECT COALESCE(max(id), 0) FROM statements), (SELECT COALESCE(max(seq), 0) FROM entries)`).Scan(&generation, &rows, &entries)
	return generation, rows, entries, err
}

// describeAll replaces the derived rows beside the truth.
func (w *writer) describeAll(ctx context.Context, describe func(Record) (Facts, error), progress func(done uint64)) error {
	w.forget()
	// REINDEX rebuilds the unique keys of the truth rows.
	for _, q := range [...]string{"DELETE FROM facts", "DELETE FROM pending", "REINDEX"} {
		if _, err := w.conn.ExecContext(w.ctx, q); err != nil {
			return err
		}
	}
	page, err := w.conn.PrepareContext(w.ctx, selectRecord+" WHERE s.id > ? ORDER BY s.id LIMIT ?")
	if err != nil {
		return err
	}
	defer drop(page.Close)
	for last := uint64(0); ; {
		records, err := findRecords(w.ctx, page, last, maintainPage)
		if err != nil || len(records) == 0 {
			return err
		}
		for _, rec := range records {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := w.describe(rec, describe); err != nil {
				return err
			}
			last = rec.Sequence
		}
		progress(last)
	}
}

// describe writes the derived rows of one truth row.
func (w *writer) describe(rec Record, describe func(Record) (Facts, error)) error {
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
	if _, err := w.st.addFacts.ExecContext(w.ctx, rec.Sequence, facts.Vendor, facts.PredicateType,
		encodeFacts(subjects, products)); err != nil {
		return err
	}
	if facts.Leaf != ([32]byte{}) {
		if _, err := w.addLeaf(w.ctx, facts.Leaf, rec.LogSize, false); err != nil {
			return err
		}
	}
	if rec.State == StatePending {
		_, err = w.st.addPending.ExecContext(w.ctx, rec.Sequence)
	}
	return err
}

// Check reads everything: SQLite's integrity check of both files, foreign keys,
// the checksum of every truth row, and that what is derived has a row for each
// truth row and no others. The error is STORE_CORRUPT with the first finding. It
// sees one moment and may run beside writers; while it runs the WAL only grows.
func (s *Store) Check(ctx context.Context) error {
	if e := s.index.fault(); e != nil {
		return e
	}
	// The index is looked at first: it lags behind the truth and never leads.
	itx, err := s.index.readDB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.readFault(err)
	}
	defer drop(itx.Rollback)
	var seq int64
	if err := itx.QueryRowContext(ctx, "SELECT seq FROM progress").Scan(&seq); err != nil {
		return s.readFault(err)
	}
	tx, err := s.readDB.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.readFault(err)
	}
	defer drop(tx.Rollback)
	for _, step := range []func() error{
		func() error { return checkFile(ctx, tx) },
		func() error { return checkReferences(ctx, tx) },
		func() error { return checkRows(ctx, tx) },
		func() error { return checkFile(ctx, itx) },
		func() error { return checkIndex(ctx, tx, itx, seq) },
	} {
		if err := step(); err != nil {
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

// checkRows reads every record, which checks its sums, and counts what waits.
func checkRows(ctx context.Context, tx *sql.Tx) error {
	page, err := tx.PrepareContext(ctx, selectRecord+" WHERE s.id > ? ORDER BY s.id LIMIT ?")
	if err != nil {
		return err
	}
	defer drop(page.Close)
	pending := 0
	for last := uint64(0); ; {
		records, err := findRecords(ctx, page, last, maintainPage)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		for i := range records {
			if records[i].PredicateType == "" {
				return reindexable("statement %s has no facts", records[i].StatementID)
			}
			if records[i].State == StatePending {
				pending++
			}
			last = records[i].Sequence
		}
	}
	return checkCount(ctx, tx, "pending", pending)
}

// checkIndex counts what the first seq entries must have left in the index.
func checkIndex(ctx context.Context, tx, itx *sql.Tx, seq int64) error {
	rows, err := tx.QueryContext(ctx, "SELECT f.facts FROM entries e JOIN facts f ON f.id = e.id WHERE e.seq <= ?", seq)
	if err != nil {
		return err
	}
	defer rows.Close()
	entries, bySubject, byProduct := 0, 0, 0
	for rows.Next() {
		var facts []byte
		if err := rows.Scan(&facts); err != nil {
			return err
		}
		subjects, products, err := decodeFacts(facts)
		if err != nil {
			return reindexable("damaged facts: %v", err)
		}
		entries++
		bySubject += len(subjects)
		byProduct += len(products)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return errors.Join(
		checkCount(ctx, itx, "summaries", entries),
		checkCount(ctx, itx, "postings", 3*entries),
		checkCount(ctx, itx, "by_subject", bySubject),
		checkCount(ctx, itx, "by_product", byProduct))
}

func checkCount(ctx context.Context, tx *sql.Tx, table string, want int) error {
	var have int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&have); err != nil {
		return err
	}
	if have != want {
		return reindexable("table %s has %d rows, want %d", table, have, want)
	}
	return nil
}

// Backup writes a consistent copy of the store, as of one moment, to a new file
// while the store is in use, and syncs it. The index is not part of it: a store
// that is opened without one builds it. Errors: STORE_EXISTS if path is
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
	defer drop(db.Close)
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return s.readFault(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return classify(err)
	}
	return classify(errors.Join(f.Sync(), f.Close()))
}
