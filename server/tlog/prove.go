package tlog

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
)

// Prove returns the proof of the entry at an index against the latest published checkpoint, checked. Proofs of the
// newest leaves come from memory, those of older ones from tiles. An entry that is integrated but not yet published is
// waited for. Errors: [CodeOutOfRange] for an index that is not in the log; [CodeCorrupt] if the tiles on disk do not
// lead to the root that was signed.
func (l *Log) Prove(ctx context.Context, index uint64) (Entry, error) {
	p, err := l.covering(ctx, index)
	if err != nil {
		return Entry{}, err
	}
	leaf, ok := p.tree.node(0, index)
	if !ok {
		t, err := l.tiles.tile(ctx, 0, index/layout.TileWidth, p.tree.size)
		if err != nil {
			return Entry{}, err
		}
		leaf = t.rows[0][index%layout.TileWidth]
	}
	return l.proveLeaf(ctx, p, index, leaf)
}

// covering returns a published tree that holds the entry at an index, and waits for one if the entry is integrated.
func (l *Log) covering(ctx context.Context, index uint64) (*published, error) {
	p := l.current.Load()
	if index < p.tree.size {
		return p, nil
	}
	l.mu.Lock()
	size := l.integrated.Load()
	p = l.current.Load()
	if index < p.tree.size || index >= size || l.failed != nil || l.closing {
		defer l.mu.Unlock()
		switch {
		case index < p.tree.size:
			return p, nil
		case index >= size:
			return nil, &Error{Code: CodeOutOfRange, Message: fmt.Sprintf("index %d is not in a log of %d entries", index, size)}
		case l.failed != nil:
			return nil, l.failed
		}
		return nil, &Error{Code: CodeClosed, Message: "the log is closed"}
	}
	w := &waiter{index: index, done: make(chan struct{})}
	l.open++
	l.waiting = append(l.waiting, w)
	l.mu.Unlock()
	select {
	case <-w.done:
		if w.err != nil {
			return nil, w.err
		}
		return l.current.Load(), nil
	case <-ctx.Done():
		return nil, l.waitError(ctx)
	}
}

// proveLeaf builds the proof of a leaf in a published tree and verifies it as a client would. What does not verify is
// not returned: rather no answer than a wrong one.
func (l *Log) proveLeaf(ctx context.Context, p *published, index uint64, leaf hash) (Entry, error) {
	var path [][]byte
	var err error
	if index >= p.tree.start {
		path = p.tree.inclusion(index, p.edges)
	} else if path, err = l.tiles.inclusion(ctx, index, p.tree.size); err != nil {
		return Entry{}, err
	}
	if err := verifyInclusion(index, p.tree.size, leaf, path, p.root); err != nil {
		l.tiles.forget() // so that a repaired file is seen
		l.metrics.fail(err)
		return Entry{}, err
	}
	return Entry{Index: index, TreeSize: p.tree.size, RootHash: p.root[:], Proof: path, Checkpoint: p.raw}, nil
}

// ProveConsistency returns the RFC 6962 consistency proof between the trees of two sizes, 0 <= from <= to <= the
// published size, verified against the roots that the tiles give, and against the signed root if to is the published
// size. It is empty where there is nothing to prove: from is 0 or equal to to.
func (l *Log) ProveConsistency(ctx context.Context, from, to uint64) ([][]byte, error) {
	p := l.current.Load()
	if from > to || to > p.tree.size {
		return nil, &Error{Code: CodeOutOfRange,
			Message: fmt.Sprintf("no consistency proof from %d to %d in a published log of %d entries", from, to, p.tree.size)}
	}
	if from == 0 || from == to {
		return nil, nil
	}
	path, err := l.tiles.consistency(ctx, from, to, p.tree.size)
	if err != nil {
		return nil, err
	}
	small, err := l.rootAt(ctx, p, from)
	if err != nil {
		return nil, err
	}
	large, err := l.rootAt(ctx, p, to)
	if err != nil {
		return nil, err
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, from, to, path, small[:], large[:]); err != nil {
		l.tiles.forget()
		e := &Error{Code: CodeCorrupt, Hint: hintCorrupt, Err: err,
			Message: fmt.Sprintf("the consistency proof from %d to %d does not verify", from, to)}
		l.metrics.fail(e)
		return nil, e
	}
	return path, nil
}

// rootAt returns the root of an earlier tree, from the tiles of a published one.
func (l *Log) rootAt(ctx context.Context, p *published, size uint64) (hash, error) {
	if size == p.tree.size {
		return p.root, nil
	}
	nodes, err := l.tiles.compactRange(ctx, size, p.tree.size)
	if err != nil {
		return hash{}, err
	}
	t, err := newTree(size, nodes)
	if err != nil {
		return hash{}, &Error{Code: CodeCorrupt, Message: "the compact range does not fit the tree", Err: err}
	}
	return t.root(), nil
}
