package statements

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	// The driver registers itself as "sqlite".
	_ "modernc.org/sqlite"

	"github.com/avow-dev/avow/internal/filelock"
)

// Config says where the store is and what it is given.
type Config struct {
	// Path is the database file. Its directory must exist. Path.index, Path.lock
	// and SQLite's own files (-wal, -shm) appear beside it.
	Path string
	// Logger receives what an operator should know; required.
	Logger *slog.Logger
	// Clock gives CommittedAt; time.Now if nil.
	Clock func() time.Time
	// Readers is the number of connections for reading; 8 if 0.
	Readers int
}

// Store is an open store. It is safe for concurrent use.
type Store struct {
	log     *slog.Logger
	clock   func() time.Time
	path    string
	lock    *os.File
	writeDB *sql.DB
	readDB  *sql.DB
	read    readStatements
	w       *writer
	index   *index
	held    held

	queue    chan *operation
	closing  chan struct{} // closed: no new operation is accepted
	finished chan struct{} // closed: the writer has ended
	once     sync.Once
	health   atomic.Pointer[Error]
}

// Create makes an empty store at c.Path and opens it: the explicit act of
// setting up a service. Errors: STORE_EXISTS if there is a file already, and
// those of [Open] except STORE_MISSING.
func Create(ctx context.Context, c Config) (*Store, error) { return open(ctx, c, true) }

// Open opens the store at c.Path, and brings its schema up to date. It never
// creates one: a store that has vanished beside a log that has entries is a
// fault to be seen, not an empty start. Errors: STORE_MISSING, STORE_LOCKED,
// STORE_NEWER, STORE_CORRUPT, STORE_READ_ONLY, STORE_UNAVAILABLE.
func Open(ctx context.Context, c Config) (*Store, error) { return open(ctx, c, false) }

func open(ctx context.Context, c Config, create bool) (*Store, error) {
	if c.Path == "" || c.Logger == nil {
		return nil, invalid("config: path and logger are required")
	}
	s := &Store{
		log: c.Logger, clock: c.Clock,
		queue:   make(chan *operation, queueDepth),
		closing: make(chan struct{}), finished: make(chan struct{}),
	}
	if s.clock == nil {
		s.clock = time.Now
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, classify(err)
	}
	s.path = path
	if err := s.start(ctx, create, c.Readers); err != nil {
		drop(s.release)
		return nil, classify(err)
	}
	return s, nil
}

// start takes ownership, opens both pools and begins to write. Whatever it has
// opened when it fails is closed by release.
func (s *Store) start(ctx context.Context, create bool, readers int) error {
	var err error
	if s.lock, err = filelock.Lock(s.path + lockSuffix); err != nil {
		return lockFault(err)
	}
	if err = place(s.path, create); err != nil {
		return err
	}
	if s.writeDB, err = openPool(writerDSN(s.path, storePageSize, "FULL"), 1); err != nil {
		return err
	}
	if err = migrate(ctx, s.writeDB, create); err != nil {
		return err
	}
	if readers <= 0 {
		readers = defaultReaders
	}
	if s.readDB, err = openPool(readerDSN(s.path), readers); err != nil {
		return err
	}
	if s.read, err = prepareReads(ctx, s.readDB); err != nil {
		return err
	}
	if s.w, err = newWriter(ctx, s.writeDB, s.clock); err != nil {
		return err
	}
	if s.index, err = openIndex(ctx, s.path+indexSuffix, readers, s.w.conn, s.log); err != nil {
		return err
	}
	go s.index.loop(s.w.ctx)
	go s.writeLoop()
	return nil
}

func openPool(dsn string, size int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

func lockFault(err error) error {
	switch {
	case errors.Is(err, filelock.ErrHeld):
		return &Error{
			Code: Locked, Message: "another process owns the statement store", Err: err,
			Hint: "only one avowd may run on one data directory; stop the other one",
		}
	case errors.Is(err, fs.ErrNotExist):
		return missing(err)
	}
	return err
}

func missing(err error) *Error {
	return &Error{
		Code: Missing, Message: "there is no statement store at the configured place", Err: err,
		Hint: "run avowd init for a new service; for an existing one restore the store from a backup",
	}
}

// place checks that the file is there, or makes it. The mode is inherited by
// the files that SQLite puts beside it.
func place(path string, create bool) error {
	if !create {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return missing(err)
		}
		if err == nil && !info.Mode().IsRegular() {
			return corrupt(nil, "the statement store is not a regular file")
		}
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &Error{
			Code: Exists, Message: "there is a statement store already", Err: err,
			Hint: "choose another directory; an existing store is never replaced",
		}
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// writerDSN: page_size has to come before journal_mode, which writes the file.
func writerDSN(path string, pageSize int, synchronous string) string {
	return dsn(path, "rwc", []string{
		"page_size(" + strconv.Itoa(pageSize) + ")",
		"wal_autocheckpoint(" + strconv.Itoa(walPages) + ")",
		"journal_size_limit(" + strconv.Itoa(walKeepBytes) + ")",
		"cache_size(-" + strconv.Itoa(writerCacheKiB) + ")",
		"trusted_schema(0)",
	}, url.Values{"_journal_mode": {"WAL"}, "_synchronous": {synchronous}, "_foreign_keys": {"on"}})
}

func readerDSN(path string) string {
	return dsn(path, "ro", []string{
		"cache_size(-" + strconv.Itoa(readerCacheKiB) + ")",
		"trusted_schema(0)",
	}, url.Values{"_query_only": {"on"}})
}

func dsn(path, mode string, pragmas []string, more url.Values) string {
	more.Set("mode", mode)
	more.Set("_busy_timeout", strconv.FormatInt(busyTimeout.Milliseconds(), 10))
	more.Set("_defensive", "1")
	more.Set("_dqs", "0")
	more.Set("_error_rc", "1")
	for _, p := range pragmas {
		more.Add("_pragma", p)
	}
	name := filepath.ToSlash(path)
	if !strings.HasPrefix(name, "/") { // a Windows drive
		name = "/" + name
	}
	return "file://" + (&url.URL{Path: name}).EscapedPath() + "?" + more.Encode()
}

// Health returns the error of the last write if it failed for a reason of the
// store (disk full, read-only, damaged), or what keeps the index from serving
// lists; nil after a write that succeeded and with a sound index.
func (s *Store) Health() error {
	if e := s.health.Load(); e != nil {
		return e
	}
	if e := s.index.fault(); e != nil {
		return e
	}
	return nil
}

// Close stops accepting work, finishes the operations that wait, and releases
// the store. Calling it again does nothing.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closing)
		<-s.finished
		s.index.stop()
		err = classify(s.release())
	})
	return err
}

func (s *Store) release() error {
	var errs []error
	if s.index != nil {
		errs = append(errs, s.index.close())
	}
	if s.readDB != nil {
		errs = append(errs, s.readDB.Close())
	}
	if s.w != nil {
		errs = append(errs, s.w.close())
	}
	if s.writeDB != nil {
		errs = append(errs, s.writeDB.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
