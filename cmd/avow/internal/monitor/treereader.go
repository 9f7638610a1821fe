package monitor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// treeReader reads tiles and entry bundles of a tree of one size, within one round.
type treeReader struct {
	client *Client
	size   uint64
	// tiles are hash tiles by path; kept are entry bundles by index, as long as keep bytes are left.
	tiles map[string][][]byte
	kept  map[uint64][]byte
	keep  int
}

func newTreeReader(c *Client, size uint64, keep int) *treeReader {
	return &treeReader{client: c, size: size, keep: keep, tiles: map[string][][]byte{}, kept: map[uint64][]byte{}}
}

// fetch asks for a tile or bundle of a width. Where the partial one is gone, the full one has it all.
func (t *treeReader) fetch(ctx context.Context, path func(index, width uint64) string, index, width uint64, limit int) ([]byte, error) {
	a, err := t.client.get(ctx, path(index, width), limit)
	if err == nil && a.status == http.StatusNotFound && width < tileWidth {
		a, err = t.client.get(ctx, path(index, tileWidth), limit)
	}
	if err == nil && a.status != http.StatusOK {
		err = &Outage{Path: path(index, width), Reason: "it is not there, although the checkpoint covers it"}
	}
	return a.body, err
}

// tile reads a hash tile.
func (t *treeReader) tile(ctx context.Context, level, index uint64) ([][]byte, error) {
	width := tileWidthAt(level, index, t.size)
	path := tilePath(level, index, width)
	if hashes, ok := t.tiles[path]; ok {
		return hashes, nil
	}
	data, err := t.fetch(ctx, func(index, width uint64) string { return tilePath(level, index, width) }, index, width, maxTileBytes)
	if err != nil {
		return nil, err
	}
	hashes, err := parseTile(data[:min(uint64(len(data)), width*hashSize)], width)
	if err != nil {
		return nil, &tileFault{path: path, index: index, got: data, want: fmt.Sprintf("%d hashes of %d bytes", width, hashSize), err: err}
	}
	if len(t.tiles) >= maxTilesKept {
		clear(t.tiles)
	}
	t.tiles[path] = hashes
	return hashes, nil
}

// tileFault is a tile or bundle that is not that of the tree.
type tileFault struct {
	path  string
	index uint64
	got   []byte
	want  string
	err   error
}

func (f *tileFault) Error() string { return f.path + ": " + f.err.Error() }
func (f *tileFault) Unwrap() error { return f.err }

// entries reads an entry bundle.
func (t *treeReader) entries(ctx context.Context, index uint64) (data []byte, entries [][]byte, err error) {
	width := tileWidthAt(0, index, t.size)
	data, ok := t.kept[index]
	if !ok {
		if data, err = t.fetch(ctx, entriesPath, index, width, maxBundleBytes); err != nil {
			return nil, nil, err
		}
		if len(data) <= t.keep {
			t.keep -= len(data)
			t.kept[index] = data
		}
	}
	if entries, err = parseBundle(data, width); err != nil {
		return nil, nil, &tileFault{path: entriesPath(index, width), index: index, got: data, want: fmt.Sprintf("%d entries", width), err: err}
	}
	return data, entries, nil
}

// node reads the hash of a perfect subtree.
func (t *treeReader) node(ctx context.Context, id compact.NodeID) ([]byte, error) {
	level, height := uint64(id.Level)/tileHeight, id.Level%tileHeight
	first := id.Index << height
	hashes, err := t.tile(ctx, level, first/tileWidth)
	if err != nil {
		return nil, err
	}
	at, n := first%tileWidth, uint64(1)<<height
	if at+n > uint64(len(hashes)) {
		return nil, fmt.Errorf("node %d of level %d is not in a tree of %d", id.Index, id.Level, t.size)
	}
	layer := append([][]byte(nil), hashes[at:at+n]...)
	for len(layer) > 1 {
		for i := range len(layer) / 2 {
			layer[i] = rfc6962.DefaultHasher.HashChildren(layer[2*i], layer[2*i+1])
		}
		layer = layer[:len(layer)/2]
	}
	return layer[0], nil
}

// nodes reads the compact range from begin to end from the hash tiles.
func (t *treeReader) nodes(ctx context.Context, begin, end uint64) (*compact.Range, error) {
	ids := compact.RangeNodes(begin, end, nil)
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		var err error
		if hashes[i], err = t.node(ctx, id); err != nil {
			return nil, err
		}
	}
	return tree.NewRange(begin, end, hashes)
}

// walk is what the first pass over the new entries found.
type walk struct {
	tree *compact.Range // from 0 to the new size
	// new are the entries that were not in the old tree.
	new *compact.Range
	// bundles are the SHA-256 of the entry bundles, from that of the first new entry on.
	bundles [][sha256.Size]byte
	// upper are the nodes that hash tiles above the lowest level hold.
	upper []upperNode
	// fault is the first hash tile of the lowest level that contradicts the new entries. old is a hash tile or an entry
	// bundle that contradicts what was remembered of its first entries.
	fault, old *tileFault
}

type upperNode struct {
	level, index uint64
	hash         []byte
}

// grow reads all entries from the end of the old tree on and hashes them, and remembers the first hash tile that says
// otherwise. Which of the two is right shows when the root is compared with the one that was signed.
func (t *treeReader) grow(ctx context.Context, old *compact.Range) (*walk, error) {
	whole, err := tree.NewRange(0, old.End(), append([][]byte(nil), old.Hashes()...))
	if err != nil {
		return nil, err
	}
	w := &walk{tree: whole, new: tree.NewEmptyRange(old.End())}
	for index := old.End() / tileWidth; old.End() < t.size && index*tileWidth < t.size; index++ {
		data, entries, err := t.entries(ctx, index)
		if err != nil {
			return nil, err
		}
		w.bundles = append(w.bundles, sha256.Sum256(data))
		hashes := make([][]byte, len(entries))
		for i, entry := range entries {
			hashes[i] = rfc6962.DefaultHasher.HashLeaf(entry)
		}
		if err := t.take(ctx, w, old, index, data, hashes); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// take adds the hashes of the new entries of a bundle.
func (t *treeReader) take(ctx context.Context, w *walk, old *compact.Range, index uint64, bundle []byte, hashes [][]byte) error {
	known := uint64(0)
	if begin := index * tileWidth; begin < old.End() {
		known = old.End() - begin
		if err := t.checkOld(ctx, w, old, index, bundle, hashes[:known]); err != nil {
			return err
		}
	}
	for i, hash := range hashes[known:] {
		if err := w.remember(t.checkHash(ctx, 0, index*tileWidth+known+uint64(i), hash)); err != nil {
			return err
		}
		if err := w.append(hash); err != nil {
			return err
		}
	}
	return nil
}

// checkOld compares the first entries of a bundle, and of its hash tile, with what was remembered of them: the end of
// the old tree that is too short for a full tile.
func (t *treeReader) checkOld(ctx context.Context, w *walk, old *compact.Range, index uint64, bundle []byte, hashes [][]byte) error {
	begin := index * tileWidth
	want := old.Hashes()[len(old.Hashes())-compact.RangeSize(begin, old.End()):]
	same := func(hashes [][]byte) bool {
		r := tree.NewEmptyRange(begin)
		for _, h := range hashes {
			if r.Append(h, nil) != nil {
				return false
			}
		}
		return slices.EqualFunc(r.Hashes(), want, bytes.Equal)
	}
	wanted := fmt.Sprintf("%d first entries whose subtrees have the hashes %x", len(hashes), want)
	if width := tileWidthAt(0, index, t.size); !same(hashes) {
		w.old = &tileFault{path: entriesPath(index, width), index: index, got: bundle, want: wanted, err: errors.New("old entries changed")}
	}
	tile, err := t.tile(ctx, 0, index)
	if err != nil {
		return w.remember(err)
	}
	if w.old == nil && !same(tile[:len(hashes)]) {
		w.old = &tileFault{path: tilePath(0, index, uint64(len(tile))), index: index, got: bytes.Join(tile, nil), want: wanted,
			err: errors.New("hashes of old entries changed")}
	}
	return nil
}

// append adds the hash of an entry.
func (w *walk) append(hash []byte) error {
	err := w.tree.Append(hash, func(id compact.NodeID, hash []byte) {
		if id.Level > 0 && id.Level%tileHeight == 0 {
			w.upper = append(w.upper, upperNode{uint64(id.Level) / tileHeight, id.Index, hash})
		}
	})
	return errors.Join(err, w.new.Append(hash, nil))
}

// remember keeps the first fault of a tile, and returns other errors.
func (w *walk) remember(err error) error {
	var fault *tileFault
	if !errors.As(err, &fault) {
		return err
	}
	if w.fault == nil {
		w.fault = fault
	}
	return nil
}

// checkTiles compares the hash tiles with the entries, which are known to be those of the tree: every hash that the new
// entries added.
func (t *treeReader) checkTiles(ctx context.Context, w *walk) error {
	if w.old != nil {
		return w.old
	}
	if w.fault != nil {
		return w.fault
	}
	for _, n := range w.upper {
		if err := t.checkHash(ctx, n.level, n.index, n.hash); err != nil {
			return err
		}
	}
	return nil
}

// checkHash compares a hash of a tile with the one that it should be.
func (t *treeReader) checkHash(ctx context.Context, level, node uint64, want []byte) error {
	hashes, err := t.tile(ctx, level, node/tileWidth)
	if err != nil {
		return err
	}
	if got := hashes[node%tileWidth]; !bytes.Equal(got, want) {
		index := node / tileWidth
		return &tileFault{path: tilePath(level, index, uint64(len(hashes))), index: index, got: bytes.Join(hashes, nil),
			want: fmt.Sprintf("%x as hash %d", want, node%tileWidth),
			err:  fmt.Errorf("hash %d is %x, want %x", node%tileWidth, got, want)}
	}
	return nil
}
