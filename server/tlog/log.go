package tlog

import (
	"context"
	"crypto/ed25519"
	"iter"
	"net/http"
)

// Log is an open log. It is safe for concurrent use.
type Log struct{ cfg Config }

var errSoon = &Error{Code: CodeUnavailable, Message: "under construction"}

// Open opens an existing log on storage.
func Open(ctx context.Context, cfg Config, storage Storage) (*Log, error) { return nil, errSoon }

// Create creates an empty log on storage.
func Create(ctx context.Context, cfg Config, storage Storage) error { return errSoon }

// Check examines a log that is not open.
func Check(ctx context.Context, cfg Config, storage Storage, progress func(done, total uint64)) error {
	return errSoon
}

// Append logs one leaf and returns its proof under a published checkpoint.
func (l *Log) Append(ctx context.Context, leaf []byte) (Entry, error) { return Entry{}, errSoon }

// AppendAll logs the leaves of one declaration and returns their proofs, all under one checkpoint.
func (l *Log) AppendAll(ctx context.Context, leaves [][]byte) ([]Entry, error) { return nil, errSoon }

// Find looks for a leaf from an index on, in everything that is integrated.
func (l *Log) Find(ctx context.Context, leaf []byte, from uint64) (index uint64, found bool, err error) {
	return 0, false, errSoon
}

// Entry returns the leaf at an index.
func (l *Log) Entry(ctx context.Context, index uint64) ([]byte, error) { return nil, errSoon }

// Leaves iterates over the leaves [from, to).
func (l *Log) Leaves(ctx context.Context, from, to uint64) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) { yield(Leaf{}, errSoon) }
}

// Prove returns the proof of the entry at an index against the latest checkpoint.
func (l *Log) Prove(ctx context.Context, index uint64) (Entry, error) { return Entry{}, errSoon }

// ProveConsistency returns the RFC 6962 consistency proof between two published tree sizes.
func (l *Log) ProveConsistency(ctx context.Context, from, to uint64) ([][]byte, error) {
	return nil, errSoon
}

// Checkpoint returns the latest published checkpoint, with its size and root.
func (l *Log) Checkpoint() (raw []byte, size uint64, root []byte) { return nil, 0, nil }

// Size returns the number of integrated entries, published or not.
func (l *Log) Size() uint64 { return 0 }

// LogID returns the 32 bytes that trusted_root.json calls logId.keyId.
func (l *Log) LogID() []byte { return nil }

// Origin returns the log's name.
func (l *Log) Origin() string { return l.cfg.Origin }

// PublicKey returns the log's public key.
func (l *Log) PublicKey() ed25519.PublicKey { return nil }

// Health returns nil if the log accepts and publishes.
func (l *Log) Health() error { return errSoon }

// Fsck checks every entry, tile and the anchor.
func (l *Log) Fsck(ctx context.Context, progress func(done, total uint64)) error { return errSoon }

// Handler serves the log's public files by C2SP tlog-tiles.
func (l *Log) Handler() http.Handler { return http.NotFoundHandler() }

// Close answers what is in flight and closes the log.
func (l *Log) Close(ctx context.Context) error { return errSoon }
