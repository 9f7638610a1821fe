package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"github.com/avow-dev/avow/server/index"
	"github.com/avow-dev/avow/server/statements"
	"github.com/avow-dev/avow/server/tlog"
	"github.com/avow-dev/avow/verify"
)

// IndexConfig says what the complete index is over. The caller opens and closes both logs and the store.
type IndexConfig struct {
	// Log is the statement log; Roots is the index log, which nobody else may write to. Required.
	Log, Roots *tlog.Log
	// Store has the statements. Required.
	Store *statements.Store
	// SnapshotPath is the file that the index is kept in between two starts; empty means none: each start replays everything.
	SnapshotPath string
	// Logger receives the few lines of the index. Required.
	Logger *slog.Logger
	// Registerer receives the metrics; nil means that there are none.
	Registerer prometheus.Registerer
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
}

// OpenIndex opens the complete index over the statement log, with the store as its source of statements. Errors are those of
// [index.OpenHalting]: where the index differs from what was logged of it, as after the store was restored from a backup, it is open
// and answers nothing, and statements are issued as before. Close it before the logs and the store.
func OpenIndex(ctx context.Context, c IndexConfig) (*index.Index, error) {
	cfg, err := c.index()
	if err != nil {
		return nil, err
	}
	return index.OpenHalting(ctx, cfg)
}

// CheckIndex builds the index from nothing and compares every root that was logged of it. It writes nothing, and nothing else
// may have the logs open. Errors are those of [index.Check].
func CheckIndex(ctx context.Context, c IndexConfig) (*index.Report, error) {
	cfg, err := c.index()
	if err != nil {
		return nil, err
	}
	return index.Check(ctx, cfg)
}

func (c IndexConfig) index() (index.Config, error) {
	if c.Store == nil {
		return index.Config{}, &index.Error{Code: index.CodeConfig, Message: "the statement store is not set"}
	}
	return index.Config{
		Statements: c.Log, Roots: c.Roots, Statement: statementSource{c.Store}.statement,
		SnapshotPath: c.SnapshotPath, Logger: c.Logger, Registerer: c.Registerer, Clock: c.Clock,
	}, nil
}

// statementSource finds the statements of log entries in the store.
//
// A statement is stored before its leaf is given to the log, so an entry's statement is there when the entry is: pending, or
// committed. What is found under a leaf is that leaf's: the index compares the statement with the digest in the entry.
type statementSource struct{ store *statements.Store }

// statement returns the payload that a log entry is about, nil if there is none: the entry came without a statement, or the
// store does not know it, because it was restored from a backup that is older than the log. An error means that the store
// does not say.
func (s statementSource) statement(ctx context.Context, at uint64, entry []byte) ([]byte, error) {
	hash := leafHash(entry)
	if payload := s.store.Held(hash); payload != nil {
		return payload, nil
	}
	payload, err := s.committed(ctx, at)
	if payload != nil || err != nil {
		return payload, err
	}
	leaf, known, err := s.store.Leaf(ctx, hash)
	if err != nil || !known {
		return nil, err
	}
	if payload, err = s.pending(ctx, leaf, entry); payload != nil || err != nil {
		return payload, err
	}
	// It may have been committed between the first look and the second.
	return s.committed(ctx, at)
}

// committed returns the payload of the committed statement at a log index, nil if there is none.
func (s statementSource) committed(ctx context.Context, at uint64) ([]byte, error) {
	rec, err := s.store.At(ctx, at)
	if errors.Is(err, statements.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	env, err := reopen(&rec)
	if err != nil {
		return nil, err
	}
	return env.Statement().Payload(), nil
}

// pending returns the payload of the pending statement whose leaf it is, nil if there is none.
func (s statementSource) pending(ctx context.Context, leaf statements.Leaf, entry []byte) ([]byte, error) {
	for after := uint64(0); ; {
		records, err := s.store.PendingOf(ctx, leaf, after)
		if err != nil || len(records) == 0 {
			return nil, err
		}
		for n := range records {
			env, err := reopen(&records[n])
			if err != nil {
				return nil, err
			}
			made, err := env.Leaf()
			if err != nil {
				return nil, err
			}
			if bytes.Equal(made, entry) {
				return env.Statement().Payload(), nil
			}
		}
		after = records[len(records)-1].Sequence
	}
}

// StandingConfig is the complete index of the service. All members are required.
type StandingConfig struct {
	// Index is open; see [OpenIndex]. The caller closes it.
	Index *index.Index
	// Roots is the index log, for its health and its static files.
	Roots *tlog.Log
	// Key is the index log's verifier key, "NAME+HASH+KEY" (C2SP signed-note): what TrustService answers.
	Key string
}

func (c *StandingConfig) validate() error {
	if c == nil {
		return nil
	}
	if c.Index == nil || c.Roots == nil {
		return errors.New("server config: standing: the index and its log are needed")
	}
	want, err := LogVerifierKey(c.Roots.Origin(), c.Roots.PublicKey())
	if err != nil {
		return fmt.Errorf("server config: standing: %w", err)
	}
	if c.Key != want {
		return fmt.Errorf("server config: standing: got the key %q, want %q, that of the index log", clip(c.Key, 200), want)
	}
	return nil
}

// LogVerifierKey writes the key of a log as a verifier key, "NAME+HASH+KEY" (C2SP signed-note).
func LogVerifierKey(origin string, key ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(origin, key)
}

// logKey is the key of an own log as verifiers take it.
func logKey(l *tlog.Log) (*verify.LogKey, error) {
	text, err := LogVerifierKey(l.Origin(), l.PublicKey())
	if err != nil {
		return nil, err
	}
	return verify.ParseLogKey(text)
}

// health reports why the index cannot be answered from; nil if it can.
func (c *StandingConfig) health() error {
	if c == nil {
		return refuse(reasonIndexNotConfigured, "the operator has not set up a complete index")
	}
	return errors.Join(c.Index.Health(), c.Roots.Health())
}
