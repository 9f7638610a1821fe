package statements

import (
	"context"
	"database/sql"
	"errors"
	"math"
)

// Leaf is a leaf that was given to the log, or is about to be.
type Leaf struct {
	// Hash is the RFC 6962 leaf hash.
	Hash [32]byte
	// LogSize is the size of the log before: the leaf is not below it.
	LogSize uint64
	// Bare tells that the leaf came without a statement. It stays when a statement follows.
	Bare bool
}

// PutLeaf stores a leaf that has no statement durably, before it is given to the
// log. Where the leaf is stored already, by PutLeaf or with its statement by
// PutPending, the flag is true and the stored one is returned. Contexts are
// treated as by PutPending. Errors: those of PutPending.
func (s *Store) PutLeaf(ctx context.Context, hash [32]byte, logSize uint64) (leaf Leaf, existed bool, err error) {
	if logSize > math.MaxInt64 {
		return leaf, false, invalid("log size %d is above %d", logSize, int64(math.MaxInt64))
	}
	op := &operation{rows: 1, bytes: len(hash)}
	op.apply = func(ctx context.Context, w *writer) error {
		added, err := w.addLeaf(ctx, hash, logSize, true)
		if err != nil || added {
			leaf, existed = Leaf{Hash: hash, LogSize: logSize, Bare: true}, false
			return err
		}
		leaf, existed, err = findLeaf(ctx, w.st.findLeaf, hash)
		return err
	}
	err = s.submit(ctx, op)
	return leaf, existed, err
}

// Leaf returns what is known of a leaf, and whether anything is.
func (s *Store) Leaf(ctx context.Context, hash [32]byte) (Leaf, bool, error) {
	leaf, found, err := findLeaf(ctx, s.read.leaf, hash)
	if err != nil {
		return leaf, false, s.readFault(err)
	}
	return leaf, found, nil
}

func findLeaf(ctx context.Context, find *sql.Stmt, hash [32]byte) (Leaf, bool, error) {
	leaf := Leaf{Hash: hash}
	err := find.QueryRowContext(ctx, hash[:]).Scan(&leaf.LogSize, &leaf.Bare)
	if errors.Is(err, sql.ErrNoRows) {
		return leaf, false, nil
	}
	return leaf, err == nil, err
}

// addLeaf reports whether the leaf is new.
func (w *writer) addLeaf(ctx context.Context, hash [32]byte, logSize uint64, bare bool) (bool, error) {
	res, err := w.st.addLeaf.ExecContext(ctx, hash[:], int64(logSize), bare)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}
