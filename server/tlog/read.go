package tlog

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/transparency-dev/tessera/api/layout"
)

// Find looks for a leaf among the entries from an index on, in everything that is integrated, published or not, and
// returns its first index. It reads the tiles of leaf hashes, 32 bytes per entry, and compares the bytes of what it
// finds.
//
// It answers what became of an Append whose answer was lost: the caller passes the [Log.Size] from before that Append.
// A leaf that is still in flight in this Log is not found.
func (l *Log) Find(ctx context.Context, leaf []byte, from uint64) (index uint64, found bool, err error) {
	size, err := l.onDisk(ctx)
	if err != nil {
		return 0, false, err
	}
	want := hashLeaf(leaf)
	for tile := from / layout.TileWidth; tile*layout.TileWidth < size; tile++ {
		if err := ctx.Err(); err != nil {
			return 0, false, Unavailable("looking for a leaf", err)
		}
		hashes, err := readTile(ctx, l.storage.Reader, 0, tile, size)
		if err != nil {
			return 0, false, err
		}
		for i, h := range hashes {
			index := tile*layout.TileWidth + uint64(i)
			if h != want || index < from {
				continue
			}
			entry, err := l.Entry(ctx, index)
			if err != nil {
				return 0, false, err
			}
			if !bytes.Equal(entry, leaf) {
				return 0, false, entryMismatch(index)
			}
			return index, true, nil
		}
	}
	return 0, false, nil
}

// onDisk returns the size of the integrated tree as the driver has it, which after a write error can be larger than
// what Tessera has reported.
func (l *Log) onDisk(ctx context.Context) (uint64, error) {
	size, _, err := l.storage.TreeState(ctx)
	if err != nil {
		return 0, Unavailable("reading the tree state", err)
	}
	return size, nil
}

// Entry returns the leaf at an index below the integrated size, after having compared it with its leaf hash.
func (l *Log) Entry(ctx context.Context, index uint64) ([]byte, error) {
	for leaf, err := range l.Leaves(ctx, index, index+1) {
		return leaf.Data, err
	}
	return nil, &Error{Code: CodeOutOfRange, Message: fmt.Sprintf("index %d has no entry", index)}
}

// Leaves iterates over the leaves [from, to), to at most the integrated size, each compared with its leaf hash. It ends
// with the first error. The data is shared with the other leaves of its bundle: read only.
func (l *Log) Leaves(ctx context.Context, from, to uint64) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		size, err := l.onDisk(ctx)
		if err == nil && (from > to || to > size) {
			err = &Error{Code: CodeOutOfRange, Message: fmt.Sprintf("entries %d to %d are not in a log of %d", from, to, size)}
		}
		if err != nil {
			yield(Leaf{}, err)
			return
		}
		for from < to {
			if err := ctx.Err(); err != nil {
				yield(Leaf{}, Unavailable("reading entries", err))
				return
			}
			bundle := from / layout.EntryBundleWidth
			end := min(to, (bundle+1)*layout.EntryBundleWidth)
			leaves, err := l.bundle(ctx, bundle, size)
			if err != nil {
				yield(Leaf{}, err)
				return
			}
			for ; from < end; from++ {
				if !yield(Leaf{Index: from, Data: leaves[from%layout.EntryBundleWidth]}, nil) {
					return
				}
			}
		}
	}
}

// bundle returns the entries of a bundle in a tree of the given size, each compared with its leaf hash.
func (l *Log) bundle(ctx context.Context, index, size uint64) ([][]byte, error) {
	entries, err := readBundle(ctx, l.storage.Reader, index, size)
	if err != nil {
		return nil, err
	}
	hashes, err := readTile(ctx, l.storage.Reader, 0, index, size)
	if err != nil {
		return nil, err
	}
	for i, entry := range entries {
		if hashLeaf(entry) != hashes[i] {
			return nil, entryMismatch(index*layout.EntryBundleWidth + uint64(i))
		}
	}
	return entries, nil
}
