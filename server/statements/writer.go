package statements

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// operation is one call that waits for the writer. apply may run twice (see
// writer.group), so it overwrites its results and has no other effect.
type operation struct {
	state atomic.Int32 // opWaiting, then opTaken by the writer or opGone by the caller
	rows  int
	bytes int
	apply func(ctx context.Context, w *writer) error
	after func()       // after COMMIT, on the writer's goroutine; may be nil
	alone func() error // in place of apply: not inside a group
	done  chan error
}

const (
	opWaiting = iota
	opTaken
	opGone
)

// submit hands an operation to the writer and waits. A context that ends before
// the writer has begun takes the operation back: nothing was written. After
// that, submit waits for the outcome, so that it is always known.
func (s *Store) submit(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	op.done = make(chan error, 1)
	select {
	case <-s.closing:
		return closed()
	default:
	}
	select {
	case s.queue <- op:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closing:
		return closed()
	}
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		if op.state.CompareAndSwap(opWaiting, opGone) {
			return ctx.Err()
		}
	case <-s.finished:
		if op.state.CompareAndSwap(opWaiting, opGone) {
			return closed()
		}
	}
	return <-op.done
}

// writeLoop is the only goroutine that writes. While one group is being synced
// to the disk, the next one gathers in the queue: the slower the disk, the
// larger the groups.
func (s *Store) writeLoop() {
	defer close(s.finished)
	for {
		select {
		case op := <-s.queue:
			s.writeGroup(s.gather(op))
		case <-s.closing:
			for {
				select {
				case op := <-s.queue:
					s.writeGroup(s.gather(op))
				default:
					return
				}
			}
		}
	}
}

// gather takes what waits, up to the bounds of one transaction.
func (s *Store) gather(first *operation) []*operation {
	var group []*operation
	rows, bytes := 0, 0
	for op := first; ; {
		if op.state.CompareAndSwap(opWaiting, opTaken) {
			group = append(group, op)
			rows += op.rows
			bytes += op.bytes
		}
		if rows >= maxGroupRows || bytes >= maxGroupBytes {
			return group
		}
		select {
		case op = <-s.queue:
		default:
			return group
		}
	}
}

func (s *Store) writeGroup(all []*operation) {
	group := all[:0:0]
	for _, op := range all {
		if op.alone == nil {
			group = append(group, op)
		}
	}
	if len(group) > 0 {
		results, err := s.w.group(group)
		s.note(err)
		for i, op := range group {
			if err != nil {
				results[i] = err
			}
			if results[i] == nil && op.after != nil {
				op.after()
			}
			op.done <- results[i]
		}
	}
	for _, op := range all {
		if op.alone != nil {
			op.done <- classify(op.alone())
		}
	}
}

// note keeps the store's health after a group, and logs a change of it.
func (s *Store) note(err error) {
	var own *Error
	if !errors.As(err, &own) {
		if s.health.Swap(nil) != nil {
			s.log.Info("the statement store writes again")
		}
		return
	}
	if before := s.health.Swap(own); before == nil || before.Code != own.Code {
		s.log.Error("the statement store cannot write", slog.Any("error", own))
	}
}

// writer owns the one connection that writes. It is used by one goroutine.
type writer struct {
	ctx   context.Context
	clock func() time.Time
	conn  *sql.Conn
	st    writeStatements

	// Caches of what is in the tables. They may be emptied at any time, and are
	// whenever a transaction or a part of one is rolled back.
	signers map[digest]int64
	pending map[rowKey]pendingRow
}

// newWriter prepares the connection. The statements of a group run under a
// context without an end: a transaction that serves many callers must not be
// cut short by one of them.
func newWriter(ctx context.Context, db *sql.DB, clock func() time.Time) (*writer, error) {
	w := &writer{ctx: context.WithoutCancel(ctx), clock: clock}
	w.forget()
	var err error
	if w.conn, err = db.Conn(ctx); err != nil {
		return nil, err
	}
	if err := w.st.prepare(ctx, w.conn); err != nil {
		return nil, errors.Join(err, w.conn.Close())
	}
	return w, nil
}

func (w *writer) close() error { return errors.Join(w.st.all.close(), w.conn.Close()) }

func (w *writer) forget() {
	w.signers = map[digest]int64{}
	w.pending = map[rowKey]pendingRow{}
}

// group runs the operations in one transaction and syncs it. The error is that
// of the whole group; results holds the errors of single operations. Nearly
// always all succeed, so the first attempt goes without savepoints; if one
// operation fails by its own fault, the group is run again with each in its own.
func (w *writer) group(ops []*operation) (results []error, err error) {
	results = make([]error, len(ops))
	err = w.transaction(func() error { return w.together(ops) })
	if err == nil || !byCaller(err) {
		return results, err
	}
	if len(ops) == 1 {
		results[0] = err
		return results, nil
	}
	err = w.transaction(func() error { return w.apart(ops, results) })
	return results, err
}

// transaction runs fn between BEGIN and COMMIT. Once COMMIT has returned
// without an error, the rows are on stable storage (synchronous=FULL).
func (w *writer) transaction(fn func() error) error {
	if _, err := w.st.begin.ExecContext(w.ctx); err != nil {
		return classify(err)
	}
	err := fn()
	if err == nil {
		_, err = w.st.commit.ExecContext(w.ctx)
	}
	if err == nil {
		return nil
	}
	w.forget()
	// SQLite may have rolled back by itself; then there is nothing to do.
	if _, rerr := w.st.rollback.ExecContext(w.ctx); rerr != nil {
		err = fmt.Errorf("%w (rollback: %w)", err, rerr)
	}
	return classify(err)
}

func (w *writer) together(ops []*operation) error {
	for _, op := range ops {
		if err := op.apply(w.ctx, w); err != nil {
			return classify(err)
		}
	}
	return nil
}

func (w *writer) apart(ops []*operation, results []error) error {
	for i, op := range ops {
		if _, err := w.st.savepoint.ExecContext(w.ctx); err != nil {
			return err
		}
		results[i] = classify(op.apply(w.ctx, w))
		if results[i] != nil {
			if !byCaller(results[i]) {
				return results[i]
			}
			w.forget()
			if _, err := w.st.undo.ExecContext(w.ctx); err != nil {
				return err
			}
		}
		if _, err := w.st.release.ExecContext(w.ctx); err != nil {
			return err
		}
	}
	return nil
}

// writeStatements are the prepared statements of the writer.
type writeStatements struct {
	begin, commit, rollback, savepoint, undo, release  *sql.Stmt
	addSigner, findSigner, addStatement, findStatement *sql.Stmt
	addFacts, addPending, findPending, dropPending     *sql.Stmt
	addEntry, findEntry, addLeaf, findLeaf, addReceipt *sql.Stmt
	all                                                prepared
}

func (s *writeStatements) prepare(ctx context.Context, conn *sql.Conn) error {
	return s.all.add(ctx, conn, []preparation{
		{&s.begin, "BEGIN IMMEDIATE"},
		{&s.commit, "COMMIT"},
		{&s.rollback, "ROLLBACK"},
		{&s.savepoint, "SAVEPOINT op"},
		{&s.undo, "ROLLBACK TO op"},
		{&s.release, "RELEASE op"},
		{&s.addSigner, "INSERT INTO signers (key_id, public_key) VALUES (?, ?)"},
		{&s.findSigner, "SELECT id FROM signers WHERE key_id = ?"},
		{&s.addStatement, `INSERT INTO statements (statement, signer, received, log_size, crc, vendor, declaration, envelope)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (statement, signer) DO NOTHING`},
		{&s.findStatement, selectRecord + " WHERE s.statement = ? AND g.key_id = ?"},
		{&s.addFacts, "INSERT INTO facts (id, vendor, type, facts) VALUES (?, ?, ?, ?)"},
		{&s.addPending, "INSERT INTO pending (id) VALUES (?)"},
		{&s.findPending, `SELECT s.id, s.received, f.vendor, f.type, f.facts, p.id IS NOT NULL FROM statements s
			JOIN signers g ON g.id = s.signer LEFT JOIN facts f ON f.id = s.id LEFT JOIN pending p ON p.id = s.id
			WHERE s.statement = ? AND g.key_id = ?`},
		{&s.dropPending, "DELETE FROM pending WHERE id = ?"},
		{&s.addEntry, "INSERT INTO entries (id, log_index, committed, crc, tokens, entry) VALUES (?, ?, ?, ?, ?, ?)"},
		{&s.findEntry, "SELECT log_index FROM entries WHERE id = ?"},
		{&s.addLeaf, "INSERT INTO leaves (leaf, log_size, bare) VALUES (?, ?, ?) ON CONFLICT (leaf) DO NOTHING"},
		{&s.findLeaf, selectLeaf},
		{&s.addReceipt, "INSERT INTO receipts (id, certificate, tokens) VALUES (?, ?, ?)"},
	})
}

// prepared are statements that are closed together.
type prepared []*sql.Stmt

type preparation struct {
	to  **sql.Stmt
	sql string
}

func (p *prepared) add(ctx context.Context, conn interface {
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}, list []preparation) error {
	for _, l := range list {
		st, err := conn.PrepareContext(ctx, l.sql)
		if err != nil {
			return errors.Join(fmt.Errorf("preparing %q: %w", l.sql, err), p.close())
		}
		*l.to = st
		*p = append(*p, st)
	}
	return nil
}

func (p prepared) close() error {
	var errs []error
	for _, st := range p {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}
