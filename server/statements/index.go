package statements

import (
	"context"
	"database/sql"
	_ "embed" // for the schema
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// index is the second database: what lists are answered from. It is derived,
// and so it may lag: rows go into it in large batches, sorted, without a sync
// for each, off the path of the callers. What is committed but not in the file
// yet is held in recent, where lists look as well; after a crash it is read
// again from the entries (progress.seq tells from where).
type index struct {
	log    *slog.Logger
	db     *sql.DB // writes
	readDB *sql.DB
	conn   *sql.Conn
	st     indexStatements
	lists  [shapes]listStatements
	facets map[string]int64

	writing sync.Mutex // held while the file is written

	mu     sync.RWMutex
	recent []*indexRow
	broken *Error // lists are refused; commits go on
	lag    *Error // the file cannot be written at the moment

	wake     chan struct{} // buffered: there is something in recent
	room     chan struct{} // buffered: recent has become shorter
	stopping chan struct{}
	stopped  chan struct{}
	once     sync.Once
}

// indexRow is one committed statement on its way into the index.
type indexRow struct {
	seq, logIndex, received, committed int64
	key                                rowKey
	vendor, typ                        string
	subjects                           []digest
	products                           []string
	facts                              []byte
}

//go:embed index.sql
var indexSchema string

// openIndex opens the index file, or makes it anew if it is missing, of another
// version or of another store, and brings it up to date with the entries that
// conn reads.
func openIndex(ctx context.Context, path string, readers int, conn *sql.Conn, log *slog.Logger) (*index, error) {
	x := &index{
		log: log, facets: map[string]int64{},
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1),
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	from, err := x.open(ctx, path, conn)
	var damage *Error
	if errors.As(classify(err), &damage) && damage.Code == Corrupt {
		log.WarnContext(ctx, "the statement index is not usable and is built anew", slog.Any("reason", damage))
		if err = errors.Join(x.close(), removeIndex(path)); err == nil {
			from, err = x.open(ctx, path, conn)
		}
	}
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	if x.readDB, err = openPool(readerDSN(path), readers); err == nil {
		err = x.prepareLists(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	switch err := x.follow(ctx, conn, from, nil); {
	case errors.As(err, &damage) && damage.Code == Corrupt:
		x.setBroken(damage)
	case err != nil:
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// open opens the file for writing and returns the last entry in it. A file that
// does not belong to the store that conn reads is reported as corrupt.
func (x *index) open(ctx context.Context, path string, conn *sql.Conn) (seq int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would make it readable for all
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	if x.db, err = openPool(writerDSN(path, indexPageSize, "NORMAL"), 1); err != nil {
		return 0, err
	}
	if x.conn, err = x.db.Conn(ctx); err != nil {
		return 0, err
	}
	var identity []byte
	var generation, version int64
	if err := conn.QueryRowContext(ctx, "SELECT identity, generation FROM store").Scan(&identity, &generation); err != nil {
		return 0, err
	}
	if err := x.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, err
	}
	switch version {
	case 0:
		if err := x.initialise(ctx, identity, generation); err != nil {
			return 0, err
		}
	case indexVersion:
	default:
		return 0, corrupt(nil, "index version %d, want %d", version, indexVersion)
	}
	if err := x.st.prepare(ctx, x.conn); err != nil {
		return 0, err
	}
	return x.belongs(ctx, conn, identity, generation)
}

func (x *index) initialise(ctx context.Context, identity []byte, generation int64) error {
	tx, err := x.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer drop(tx.Rollback)
	if _, err := tx.ExecContext(ctx, indexSchema); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO progress (id, identity, generation, seq, statement) VALUES (1, ?, ?, 0, x'')",
		identity, generation); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", indexVersion)); err != nil {
		return err
	}
	return tx.Commit()
}

// belongs compares the index's idea of the store with the store: a backup that
// was put back beside a newer index must not be listed by it.
func (x *index) belongs(ctx context.Context, conn *sql.Conn, identity []byte, generation int64) (seq int64, err error) {
	var gotIdentity, statement, stored []byte
	var gotGeneration int64
	err = x.conn.QueryRowContext(ctx, "SELECT identity, generation, seq, statement FROM progress").
		Scan(&gotIdentity, &gotGeneration, &seq, &statement)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, corrupt(nil, "the index says nothing about its progress")
	}
	if err != nil {
		return 0, err
	}
	if string(gotIdentity) != string(identity) || gotGeneration != generation {
		return 0, corrupt(nil, "the index is of another store or older than its last reindexing")
	}
	if seq == 0 {
		return 0, nil
	}
	err = conn.QueryRowContext(ctx, "SELECT s.statement FROM entries e JOIN statements s ON s.id = e.id WHERE e.seq = ?", seq).Scan(&stored)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	if string(stored) != string(statement) {
		return 0, corrupt(nil, "the index is ahead of the store or beside it: entry %d differs", seq)
	}
	return seq, nil
}

func removeIndex(path string) error {
	for _, p := range []string{path, path + "-wal", path + "-shm"} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// follow writes the entries after seq into the index, as conn reads them.
func (x *index) follow(ctx context.Context, conn *sql.Conn, seq int64, progress func(done uint64)) error {
	page, err := conn.PrepareContext(ctx, `SELECT e.seq, e.log_index, s.statement, g.key_id, s.received, e.committed, f.vendor, f.type, f.facts
		FROM entries e JOIN statements s ON s.id = e.id JOIN signers g ON g.id = s.signer LEFT JOIN facts f ON f.id = e.id
		WHERE e.seq > ? ORDER BY e.seq LIMIT ?`)
	if err != nil {
		return err
	}
	defer drop(page.Close)
	for {
		rows, err := readIndexRows(ctx, page, seq)
		if err != nil || len(rows) == 0 {
			return classify(err)
		}
		if err := x.write(ctx, rows); err != nil {
			return err
		}
		seq = rows[len(rows)-1].seq
		if progress != nil {
			progress(uint64(seq))
		}
	}
}

func readIndexRows(ctx context.Context, page *sql.Stmt, after int64) ([]*indexRow, error) {
	rows, err := page.QueryContext(ctx, after, indexBatch)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*indexRow
	for rows.Next() {
		var r indexRow
		var statement, key []byte
		var vendor, typ sql.NullString
		if err := rows.Scan(&r.seq, &r.logIndex, &statement, &key, &r.received, &r.committed, &vendor, &typ, &r.facts); err != nil {
			return nil, err
		}
		copy(r.key.statement[:], statement)
		copy(r.key.key[:], key)
		r.vendor, r.typ = vendor.String, typ.String
		if r.subjects, r.products, err = decodeFacts(r.facts); err != nil || !typ.Valid {
			return nil, reindexable("statement %s: missing or damaged facts", r.key.statement.id())
		}
		out = append(out, &r)
	}
	return out, rows.Err()
}

// add takes over committed rows, on the writer's goroutine. When the index
// cannot keep up, it makes the writer wait.
func (x *index) add(rows []*indexRow) {
	x.mu.Lock()
	for _, r := range rows {
		if r != nil && x.broken == nil {
			x.recent = append(x.recent, r)
		}
	}
	full := len(x.recent) >= maxRecent
	x.mu.Unlock()
	select {
	case x.wake <- struct{}{}:
	default:
	}
	for full {
		<-x.room
		x.mu.RLock()
		full = len(x.recent) >= maxRecent
		x.mu.RUnlock()
	}
}

// loop moves recent rows into the file, until stop; then it moves the rest.
func (x *index) loop(ctx context.Context) {
	defer close(x.stopped)
	for {
		select {
		case <-x.wake:
			x.wait()
		case <-x.stopping:
			for x.flush(ctx) {
			}
			return
		}
		for x.flush(ctx) {
		}
	}
}

// wait lets a batch fill.
func (x *index) wait() {
	t := time.NewTimer(indexDelay)
	defer t.Stop()
	for {
		x.mu.RLock()
		n := len(x.recent)
		x.mu.RUnlock()
		if n >= indexBatch {
			return
		}
		select {
		case <-x.wake:
		case <-t.C:
			return
		case <-x.stopping:
			return
		}
	}
}

// flush writes one batch and reports whether there is more to do at once.
func (x *index) flush(ctx context.Context) bool {
	x.writing.Lock()
	defer x.writing.Unlock()
	x.mu.RLock()
	batch := x.recent[:min(len(x.recent), indexBatch)]
	x.mu.RUnlock()
	if len(batch) == 0 {
		return false
	}
	err := x.write(ctx, batch)
	var e *Error
	switch errors.As(err, &e); {
	case err == nil:
		x.mu.Lock()
		x.recent, x.lag = x.recent[len(batch):], nil
		more := len(x.recent) >= indexBatch
		x.mu.Unlock()
		x.makeRoom()
		return more || x.isStopping()
	case e != nil && (e.Code == Corrupt || e.Code == Conflict):
		x.setBroken(corrupt(err, "the statement index is damaged"))
		return false
	default:
		x.setLag(err)
		x.pause()
		return !x.isStopping()
	}
}

func (x *index) makeRoom() {
	select {
	case x.room <- struct{}{}:
	default:
	}
}

func (x *index) isStopping() bool {
	select {
	case <-x.stopping:
		return true
	default:
		return false
	}
}

func (x *index) pause() {
	t := time.NewTimer(indexRetry)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.stopping:
	}
}

// setBroken gives the index up until the next start, which builds it anew.
func (x *index) setBroken(e *Error) {
	e.Hint = "restart the service: the index is built anew; if that does not help, run avowd reindex"
	x.log.Error("the statement index serves no lists", slog.Any("error", e))
	x.mu.Lock()
	x.broken, x.recent = e, nil
	x.mu.Unlock()
	x.makeRoom()
}

func (x *index) setLag(err error) {
	e := fault(Unavailable, err)
	errors.As(err, &e)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lag == nil {
		x.log.Error("the statement index cannot be written", slog.Any("error", e))
	}
	x.lag = e
}

// fault is what Health shows of the index.
func (x *index) fault() *Error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.broken != nil {
		return x.broken
	}
	return x.lag
}

// stop ends the loop after the rows that wait. The writer must have ended.
func (x *index) stop() {
	x.once.Do(func() { close(x.stopping) })
	<-x.stopped
}

func (x *index) close() error {
	errs := []error{x.st.all.close()}
	x.st = indexStatements{}
	if x.readDB != nil {
		errs = append(errs, x.readDB.Close())
	}
	if x.conn != nil {
		errs = append(errs, x.conn.Close())
	}
	if x.db != nil {
		errs = append(errs, x.db.Close())
	}
	x.readDB, x.conn, x.db = nil, nil, nil
	return errors.Join(errs...)
}
