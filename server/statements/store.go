package statements

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Config says where the store is and what it is given.
type Config struct {
	// Path is the database file. Its directory must exist. Files named Path-wal,
	// Path-shm and Path.lock appear beside it.
	Path string
	// Logger receives what an operator should know; required.
	Logger *slog.Logger
	// Clock gives CommittedAt; time.Now if nil.
	Clock func() time.Time
	// Readers is the number of connections for reading; 8 if 0.
	Readers int
}

// Store is an open store. It is safe for concurrent use.
type Store struct{}

var errUnfinished = errors.New("statements: not finished")

// Create makes an empty store at c.Path and opens it: the explicit act of
// setting up a service. Errors: EXISTS if there is a file already, and those of
// [Open].
func Create(ctx context.Context, c Config) (*Store, error) { return nil, errUnfinished }

// Open opens the store at c.Path, and brings its schema up to date. It never
// creates one: a store that has vanished beside a log that has entries is a
// fault to be seen, not an empty start. Errors: STORE_MISSING, STORE_LOCKED,
// STORE_NEWER, STORE_CORRUPT, STORE_READ_ONLY, STORE_UNAVAILABLE.
func Open(ctx context.Context, c Config) (*Store, error) { return nil, errUnfinished }

// PutPending stores the statements durably in one transaction, all or none, and
// returns a record and a flag for each, in the order given. Where (StatementID,
// KeyID) is stored already, the flag is true and the record is the stored one,
// whatever else the argument says; it may be pending (another call is at work on
// it) or committed. The outcome of a call whose context ended is not known;
// calling again is safe. At most MaxBatch statements.
func (s *Store) PutPending(ctx context.Context, ps []Pending) ([]Record, []bool, error) {
	return nil, nil, errUnfinished
}

// Commit stores log entry and timestamps of pending statements durably in one
// transaction, all or none, and makes them appear in lists. Committing again
// with the same log index does nothing and is no error. Errors: NOT_FOUND,
// STORE_CONFLICT and those of PutPending.
func (s *Store) Commit(ctx context.Context, cs []Committed) error { return errUnfinished }

// Get returns the records of a statement, one for each key that signed it, the
// oldest first, or ErrNotFound.
func (s *Store) Get(ctx context.Context, statementID string) ([]Record, error) {
	return nil, errUnfinished
}

// GetBy returns the record of a statement signed by one key, or ErrNotFound.
func (s *Store) GetBy(ctx context.Context, statementID, keyID string) (Record, error) {
	return Record{}, errUnfinished
}

// List returns a page of committed statements in the order of their log indexes,
// and the From of the next page, 0 if there is none. The work for one page is
// bounded: a query that combines a subject or a product with other fields may
// return a page that is short or empty while next is not 0.
func (s *Store) List(ctx context.Context, q Query) (page []Summary, next uint64, err error) {
	return nil, 0, errUnfinished
}

// PendingRows returns pending records with a Sequence above after, the oldest
// first, at most limit (DefaultPage if 0, at most MaxPage).
func (s *Store) PendingRows(ctx context.Context, after uint64, limit int) ([]Record, error) {
	return nil, errUnfinished
}

// Reindex drops the derived tables and rebuilds them from the truth rows in one
// transaction: either all is rebuilt or nothing has changed. describe maps a
// stored record (Vendor is the recorded one; PredicateType, Subjects and
// Products are empty) to its facts; an error of it ends the reindexing.
// progress, if not nil, is called now and then. Writers wait meanwhile.
func (s *Store) Reindex(ctx context.Context, describe func(Record) (Facts, error), progress func(done, total uint64)) error {
	return errUnfinished
}

// Check reads everything: SQLite's integrity check, foreign keys, the checksum
// of every truth row, and that truth and derived tables agree in number. The
// error is STORE_CORRUPT with the first finding.
func (s *Store) Check(ctx context.Context) error { return errUnfinished }

// Backup writes a consistent copy of the store to a new file while the store is in use.
func (s *Store) Backup(ctx context.Context, path string) error { return errUnfinished }

// Health returns the error of the last write if it failed for a reason of the
// store (disk full, read-only, corrupt), nil after a write that succeeded.
func (s *Store) Health() error { return nil }

// Close ends the writer after the operations that wait, and releases the store.
func (s *Store) Close() error { return nil }
