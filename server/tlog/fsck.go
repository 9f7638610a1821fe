package tlog

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/transparency-dev/tessera/api/layout"
)

// Fsck checks the whole log while it serves: every entry against its leaf hash, every tile against the hashes below it,
// the roots of the published checkpoint, of the anchor and of the tree state against the entries, and the partial files
// at the right edge. It finds what the guard cannot see: a flipped bit in an entry or tile that was signed long ago. It
// stops at the first damage with [CodeCorrupt]. The progress function, if any, is called with entries done and in
// total.
//
// Partial tiles of earlier sizes, which the driver deletes in time, are not checked; [Log.Handler] does not need them.
func (l *Log) Fsck(ctx context.Context, progress func(done, total uint64)) error {
	err := check(ctx, l.cfg, l.id, l.storage, progress)
	l.metrics.fail(err)
	return err
}

// Check is [Log.Fsck] for a log that is not open, such as one that cannot be opened because it is damaged. It writes
// nothing.
func Check(ctx context.Context, cfg Config, storage Storage, progress func(done, total uint64)) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	id, err := newIdentity(ctx, cfg.Origin, cfg.Signer)
	if err != nil {
		return err
	}
	return check(ctx, cfg, id, storage, progress)
}

func check(ctx context.Context, cfg Config, id identity, storage Storage, progress func(done, total uint64)) error {
	var s state
	a, _, err := s.readHeads(ctx, cfg, id, storage)
	if err != nil {
		return err
	}
	switch {
	case s.publishedHead.size > a.size:
		return rollback(a.size, s.publishedHead.size)
	case s.integrated.size < a.size:
		return rollback(s.integrated.size, a.size)
	}
	c := checker{reader: storage.Reader, size: s.integrated.size}
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	if err := c.run(ctx, s.publishedHead.size, progress); err != nil {
		return err
	}
	if c.tree.root() != s.publishedHead.root {
		return s.mismatch("the published checkpoint", s.publishedHead.size)
	}
	if err := c.partials(ctx); err != nil {
		return err
	}
	if err := c.run(ctx, a.size, progress); err != nil {
		return err
	}
	if !slices.Equal(c.tree.compactRange(), a.nodes) {
		return s.mismatch("the anchor", a.size)
	}
	if err := c.run(ctx, s.integrated.size, progress); err != nil {
		return err
	}
	if c.tree.root() != s.integrated.root {
		return s.mismatch("the tree state", s.integrated.size)
	}
	return c.partials(ctx)
}

// checker walks a log from its first entry and compares every file with what the entries before it give.
type checker struct {
	reader Reader
	size   uint64 // of the integrated tree, in whose layout full files are read
	tree   tree
	rows   [][]hash // per tile level, the hashes of the tile that is being filled
	bundle [][]byte // the entries of the bundle that is being filled
}

// run goes on up to the entry before end.
func (c *checker) run(ctx context.Context, end uint64, progress func(done, total uint64)) error {
	for c.tree.size < end {
		if err := ctx.Err(); err != nil {
			return Unavailable("checking the log", err)
		}
		index, first := c.tree.size/layout.EntryBundleWidth, c.tree.size%layout.EntryBundleWidth
		entries, err := readBundle(ctx, c.reader, index, c.size)
		if err != nil {
			return err
		}
		entries = entries[first:min(uint64(len(entries)), end-index*layout.EntryBundleWidth)]
		if first == 0 {
			c.bundle = nil
		}
		c.bundle = append(c.bundle, entries...)
		leaves := make([]hash, 0, len(entries))
		for _, entry := range entries {
			leaves = append(leaves, hashLeaf(entry))
		}
		c.tree = c.tree.extend(leaves)
		c.tree = c.tree.trim(c.tree.size)
		for _, leaf := range leaves {
			if err := c.push(ctx, 0, leaf); err != nil {
				return err
			}
		}
		progress(c.tree.size, c.size)
	}
	return nil
}

// push adds a hash to the tile of a level. A tile that is full is compared with its file, and its root goes up.
func (c *checker) push(ctx context.Context, level int, h hash) error {
	if level == len(c.rows) {
		c.rows = append(c.rows, make([]hash, 0, layout.TileWidth))
	}
	c.rows[level] = append(c.rows[level], h)
	row := c.rows[level]
	if len(row) < layout.TileWidth {
		return nil
	}
	index := c.tileIndex(level)
	if err := c.compare(ctx, level, index, c.size); err != nil {
		return err
	}
	up := slices.Clone(row)
	for len(up) > 1 {
		for i := range len(up) / 2 {
			up[i] = hashChildren(up[2*i], up[2*i+1])
		}
		up = up[:len(up)/2]
	}
	c.rows[level] = row[:0]
	return c.push(ctx, level+1, up[0])
}

// tileIndex is the index of the tile of a level that is being filled: the number of those filled before it.
func (c *checker) tileIndex(level int) uint64 {
	if level+1 == len(c.rows) {
		return 0
	}
	return c.tileIndex(level+1)*layout.TileWidth + uint64(len(c.rows[level+1]))
}

// compare compares a tile with the file that the log has for it in a tree of the given size.
func (c *checker) compare(ctx context.Context, level int, index, size uint64) error {
	hashes, err := readTile(ctx, c.reader, uint64(level), index, size)
	if err != nil {
		return err
	}
	for i, h := range c.rows[level] {
		if hashes[i] != h {
			return &Error{Code: CodeCorrupt, Hint: hintCorrupt,
				Message: fmt.Sprintf("tile %d/%d: hash %d is not that of what lies below it", level, index, i)}
		}
	}
	return nil
}

// partials compares the partial tiles and the partial bundle at the right edge of the tree that was walked so far.
func (c *checker) partials(ctx context.Context) error {
	for level, row := range c.rows {
		if len(row) == 0 {
			continue
		}
		if err := c.compare(ctx, level, c.tileIndex(level), c.tree.size); err != nil {
			return err
		}
	}
	n := c.tree.size % layout.EntryBundleWidth
	if n == 0 {
		return nil
	}
	entries, err := readBundle(ctx, c.reader, c.tree.size/layout.EntryBundleWidth, c.tree.size)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		if !bytes.Equal(entry, c.bundle[i]) {
			return entryMismatch(c.tree.size - n + uint64(i))
		}
	}
	return nil
}
