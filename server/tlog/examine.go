package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/transparency-dev/tessera/api/layout"
)

// state is what a log on disk is known to be after examination: three trees, each a prefix of the next.
type state struct {
	published     *published // what readers were told; nil if nothing was published yet
	signed        tree       // what the anchor remembers
	anchor        []byte     // the anchor's bytes
	integrated    head       // what the driver's tree state says, and the right edge and the entries confirm
	publishedHead head
}

// examine reads the log's heads and verifies that they belong together: published <= signed <= integrated, and that the
// right-edge tiles and the right-edge entry bundles give the roots of all three. Nothing is served, and nothing is
// handed to Tessera, before that: Tessera would build on whatever lies there.
func examine(ctx context.Context, cfg Config, id identity, storage Storage) (state, error) {
	var s state
	a, raw, err := s.readHeads(ctx, cfg, id, storage)
	if err != nil {
		return state{}, err
	}
	switch {
	case s.publishedHead.size > a.size:
		return state{}, &Error{Code: CodeRollback, Hint: hintAnchor,
			Message: fmt.Sprintf("a checkpoint of %d entries is published, but the anchor remembers only %d",
				s.publishedHead.size, a.size)}
	case s.integrated.size < a.size:
		return state{}, rollback(s.integrated.size, a.size)
	}
	if err := s.verifyEdge(ctx, storage.Reader, a, raw); err != nil {
		return state{}, err
	}
	return s, nil
}

// readHeads reads, in this order, checkpoint, anchor and tree state: each may only grow, so that the order of their
// sizes holds even while a log is being written. It returns the anchor and the published checkpoint's bytes, nil if
// there is none.
func (s *state) readHeads(ctx context.Context, cfg Config, id identity, storage Storage) (anchor, []byte, error) {
	raw, h, published, err := id.readCheckpoint(ctx, storage.Reader)
	if err != nil {
		return anchor{}, nil, err
	}
	if published {
		s.publishedHead = h
	} else {
		raw, s.publishedHead = nil, head{root: emptyRoot}
	}
	a, data, anchorErr := readAnchor(cfg.AnchorPath, id)
	size, root, err := storage.TreeState(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist) && errors.Is(anchorErr, fs.ErrNotExist) && !published:
		return anchor{}, nil, &Error{Code: CodeNotFound, Message: "there is no log here", Hint: "create one first", Err: err}
	case anchorErr != nil:
		return anchor{}, nil, anchorMissing(anchorErr).orOf(anchorErr)
	case errors.Is(err, fs.ErrNotExist) && a.size == 0 && !published:
		return anchor{}, nil, &Error{Code: CodeNotFound, Message: "the log was not created to its end",
			Hint: "create it again", Err: err}
	case errors.Is(err, fs.ErrNotExist):
		return anchor{}, nil, &Error{Code: CodeRollback, Hint: hintRollback, Err: err,
			Message: fmt.Sprintf("the log has no tree state, but a tree of %d was signed", a.size)}
	case err != nil:
		return anchor{}, nil, Unavailable("reading the tree state", err)
	case len(root) != len(hash{}):
		return anchor{}, nil, &Error{Code: CodeCorrupt, Hint: hintCorrupt,
			Message: fmt.Sprintf("the tree state's root has %d bytes, want %d", len(root), len(hash{}))}
	}
	s.anchor, s.integrated = data, head{size: size, root: hash(root)}
	return a, raw, nil
}

// orOf prefers an *Error in the chain of err, such as that of an anchor that does not parse.
func (e *Error) orOf(err error) *Error {
	var inner *Error
	if errors.As(err, &inner) {
		return inner
	}
	return e
}

// verifyEdge computes the trees of all three heads from tiles and entries, and compares.
func (s *state) verifyEdge(ctx context.Context, r Reader, a anchor, raw []byte) error {
	tiles := newTileProver(r)
	edge, err := tiles.compactRange(ctx, s.integrated.size, s.integrated.size)
	if err != nil {
		return err
	}
	whole, err := newTree(s.integrated.size, edge)
	if err != nil {
		return &Error{Code: CodeCorrupt, Message: "the right edge does not fit the tree", Err: err}
	}
	if whole.root() != s.integrated.root {
		return &Error{Code: CodeCorrupt, Hint: hintCorrupt,
			Message: fmt.Sprintf("the right-edge tiles do not give the root of the tree of %d", s.integrated.size)}
	}
	begin := s.publishedHead.size &^ (layout.EntryBundleWidth - 1)
	edge, err = tiles.compactRange(ctx, begin, s.integrated.size)
	if err != nil {
		return err
	}
	t, err := newTree(begin, edge)
	if err != nil {
		return &Error{Code: CodeCorrupt, Message: "the right edge does not fit the tree", Err: err}
	}
	if t, err = advance(ctx, r, t, s.publishedHead.size, s.integrated.size); err != nil {
		return err
	}
	if t.root() != s.publishedHead.root {
		return s.mismatch("the published checkpoint", s.publishedHead.size)
	}
	if raw != nil {
		s.published = newPublished(t, raw)
	}
	if t, err = advance(ctx, r, t, a.size, s.integrated.size); err != nil {
		return err
	}
	if !slices.Equal(t.compactRange(), a.nodes) {
		return s.mismatch("the anchor", a.size)
	}
	s.signed = t
	if t, err = advance(ctx, r, t, s.integrated.size, s.integrated.size); err != nil {
		return err
	}
	if t.root() != s.integrated.root {
		return s.mismatch("the tree state", s.integrated.size)
	}
	return nil
}

// mismatch says which head the entries do not lead to.
func (s *state) mismatch(what string, size uint64) *Error {
	return &Error{Code: CodeCorrupt, Hint: hintCorrupt,
		Message: fmt.Sprintf("the entries on disk do not give the root of %s, of %d entries", what, size)}
}

// advance extends t by the entries on disk up to the given size, in the layout of a tree of on entries.
func advance(ctx context.Context, r Reader, t tree, size, on uint64) (tree, error) {
	for t.size < size {
		index := t.size / layout.EntryBundleWidth
		entries, err := readBundle(ctx, r, index, on)
		if err != nil {
			return tree{}, err
		}
		first := t.size % layout.EntryBundleWidth
		last := min(uint64(len(entries)), size-index*layout.EntryBundleWidth)
		leaves := make([]hash, 0, last-first)
		for _, entry := range entries[first:last] {
			leaves = append(leaves, hashLeaf(entry))
		}
		t = t.extend(leaves)
	}
	return t, nil
}
