package follow

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

// TreeReader reads tiles and entry bundles of the tree of one checkpoint, within one round. Not safe for concurrent use.
type TreeReader struct {
	client *Client
	head   *Head
	size   uint64
	// tiles are hash tiles by path; kept are entry bundles by index, as long as keep bytes are left.
	tiles map[string][][]byte
	kept  map[uint64][]byte
	keep  int
	// ahead is how many bundles are asked for at a time; asked are those whose answers were not read yet.
	ahead uint64
	asked map[uint64]chan bundleAnswer
}

type bundleAnswer struct {
	data []byte
	err  error
}

// NewTreeReader reads the tree of a checkpoint, and keeps so many bytes of entry bundles.
func NewTreeReader(c *Client, now *Head, keep int) *TreeReader {
	return &TreeReader{client: c, head: now, size: now.Size, keep: keep, tiles: map[string][][]byte{}, kept: map[uint64][]byte{}, asked: map[uint64]chan bundleAnswer{}}
}

// ReadAhead asks for n entry bundles at a time. What was asked for in vain ends with the context of the call that did.
func (t *TreeReader) ReadAhead(n int) { t.ahead = uint64(max(n, 0)) } // #nosec G115 -- not negative

// bundle is the bytes of an entry bundle, and asks for the next ones meanwhile.
func (t *TreeReader) bundle(ctx context.Context, index uint64) ([]byte, error) {
	for next := index; next <= index+t.ahead && next*TileWidth < t.size; next++ {
		if _, ok := t.kept[next]; ok || t.asked[next] != nil {
			continue
		}
		answer := make(chan bundleAnswer, 1)
		t.asked[next] = answer
		go func() {
			data, err := t.fetch(ctx, EntriesPath, next, TileWidthAt(0, next, t.size), maxBundleBytes)
			answer <- bundleAnswer{data, err}
		}()
	}
	a := <-t.asked[index]
	delete(t.asked, index)
	return a.data, a.err
}

// path is a path of the log's as the client asks for it.
func (t *TreeReader) path(path string) string { return t.client.Prefix + path }

// fetch asks for a tile or bundle of a width. Where the partial one is gone, the full one has it all.
func (t *TreeReader) fetch(ctx context.Context, path func(index, width uint64) string, index, width uint64, limit int) ([]byte, error) {
	a, err := t.client.get(ctx, t.path(path(index, width)), limit)
	if err == nil && a.Status == http.StatusNotFound && width < TileWidth {
		a, err = t.client.get(ctx, t.path(path(index, TileWidth)), limit)
	}
	if err == nil && a.Status != http.StatusOK {
		err = &Outage{Path: t.path(path(index, width)), Reason: "it is not there, although the checkpoint covers it"}
	}
	return a.Body, err
}

// tile reads a hash tile.
func (t *TreeReader) tile(ctx context.Context, level, index uint64) ([][]byte, error) {
	width := TileWidthAt(level, index, t.size)
	path := t.path(TilePath(level, index, width))
	if hashes, ok := t.tiles[path]; ok {
		return hashes, nil
	}
	data, err := t.fetch(ctx, func(index, width uint64) string { return TilePath(level, index, width) }, index, width, maxTileBytes)
	if err != nil {
		return nil, err
	}
	hashes, err := parseTile(data[:min(uint64(len(data)), width*HashSize)], width)
	if err != nil {
		return nil, &tileFault{path: path, index: index, got: data, want: fmt.Sprintf("%d hashes of %d bytes", width, HashSize), err: err}
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
func (t *TreeReader) entries(ctx context.Context, index uint64) (data []byte, entries [][]byte, err error) {
	width := TileWidthAt(0, index, t.size)
	data, ok := t.kept[index]
	if !ok {
		if data, err = t.bundle(ctx, index); err != nil {
			return nil, nil, err
		}
		if len(data) <= t.keep {
			t.keep -= len(data)
			t.kept[index] = data
		}
	}
	if entries, err = parseBundle(data, width); err != nil {
		return nil, nil, &tileFault{path: t.path(EntriesPath(index, width)), index: index, got: data, want: fmt.Sprintf("%d entries", width), err: err}
	}
	return data, entries, nil
}

// Entries reads the entries of a range with the ranges around it, which are known to be the tree of the checkpoint when it
// returns. The error is as that of Advance.
func (t *TreeReader) Entries(ctx context.Context, begin, end uint64) (before *compact.Range, entries [][]byte, after *compact.Range, err error) {
	own := tree.NewEmptyRange(begin)
	for at := begin; at < end; at = (at/TileWidth + 1) * TileWidth {
		_, bundle, err := t.entries(ctx, at/TileWidth)
		if err != nil {
			return nil, nil, nil, t.fault(err)
		}
		for _, entry := range bundle[at%TileWidth : min(uint64(len(bundle)), end-at/TileWidth*TileWidth)] {
			entries = append(entries, entry)
			if err := own.Append(rfc6962.DefaultHasher.HashLeaf(entry), nil); err != nil {
				return nil, nil, nil, err
			}
		}
	}
	if before, err = t.Nodes(ctx, 0, begin); err != nil {
		return nil, nil, nil, err
	}
	if after, err = t.Nodes(ctx, end, t.size); err != nil {
		return nil, nil, nil, err
	}
	root, err := Joined(before, own, after)
	if err == nil && !bytes.Equal(root, t.head.Root) {
		err = t.caught(CodeTile, fmt.Sprintf("the entries %d to %d are not those of the tree", begin, end), &Evidence{Kind: KindNotProvable,
			Asked:  t.path(EntriesPath(begin/TileWidth, TileWidthAt(0, begin/TileWidth, t.size))),
			Wanted: fmt.Sprintf("entries that hash to the root %x of the checkpoint", t.head.Root)})
	}
	return before, entries, after, err
}

// node reads the hash of a perfect subtree.
func (t *TreeReader) node(ctx context.Context, id compact.NodeID) ([]byte, error) {
	level, height := uint64(id.Level)/TileHeight, id.Level%TileHeight
	first := id.Index << height
	hashes, err := t.tile(ctx, level, first/TileWidth)
	if err != nil {
		return nil, err
	}
	at, n := first%TileWidth, uint64(1)<<height
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
func (t *TreeReader) nodes(ctx context.Context, begin, end uint64) (*compact.Range, error) {
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

// Walk is what Advance read.
type Walk struct {
	// Tree is the range from 0 to the new size.
	Tree *compact.Range
	// begin is the first entry that was read; before ends where the tree that was seen ended, after begins there.
	begin         uint64
	before, after *compact.Range
	// bundles are the SHA-256 of the entry bundles, from that of the first entry on.
	bundles [][sha256.Size]byte
	// upper are the nodes that hash tiles above the lowest level hold.
	upper []upperNode
	// fault is the first hash tile of the lowest level that contradicts the new entries. old is a hash tile or an entry
	// bundle that contradicts what was remembered of its first entries.
	fault, old *tileFault
}

// Bundles is the number of bundles that were read.
func (w *Walk) Bundles() int { return len(w.bundles) }

type upperNode struct {
	level, index uint64
	hash         []byte
}

// grow reads all entries from the end of what was looked at on and hashes them, and remembers the first hash tile that says
// otherwise. Which of the two is right shows when the root is compared with the one that was signed.
func (t *TreeReader) grow(ctx context.Context, seen Seen) (*Walk, error) {
	old, split := seen.Tree, seen.Tree.End()
	if seen.Head != nil {
		split = max(split, seen.Head.Size)
	}
	whole, err := copyRange(old)
	if err != nil {
		return nil, err
	}
	w := &Walk{Tree: whole, begin: old.End(), after: tree.NewEmptyRange(split)}
	if w.before, err = copyRange(old); err != nil {
		return nil, err
	}
	for index := old.End() / TileWidth; old.End() < t.size && index*TileWidth < t.size; index++ {
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

// copyRange is a range that grows by itself.
func copyRange(r *compact.Range) (*compact.Range, error) {
	return tree.NewRange(r.Begin(), r.End(), append([][]byte(nil), r.Hashes()...))
}

// take adds the hashes of the new entries of a bundle.
func (t *TreeReader) take(ctx context.Context, w *Walk, old *compact.Range, index uint64, bundle []byte, hashes [][]byte) error {
	known := uint64(0)
	if begin := index * TileWidth; begin < old.End() {
		known = old.End() - begin
		if err := t.checkOld(ctx, w, old, index, bundle, hashes[:known]); err != nil {
			return err
		}
	}
	for i, hash := range hashes[known:] {
		if err := w.remember(t.checkHash(ctx, 0, index*TileWidth+known+uint64(i), hash)); err != nil {
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
func (t *TreeReader) checkOld(ctx context.Context, w *Walk, old *compact.Range, index uint64, bundle []byte, hashes [][]byte) error {
	begin := index * TileWidth
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
	if width := TileWidthAt(0, index, t.size); !same(hashes) {
		w.old = &tileFault{path: t.path(EntriesPath(index, width)), index: index, got: bundle, want: wanted, err: errors.New("old entries changed")}
	}
	tile, err := t.tile(ctx, 0, index)
	if err != nil {
		return w.remember(err)
	}
	if w.old == nil && !same(tile[:len(hashes)]) {
		w.old = &tileFault{path: t.path(TilePath(0, index, uint64(len(tile)))), index: index, got: bytes.Join(tile, nil), want: wanted,
			err: errors.New("hashes of old entries changed")}
	}
	return nil
}

// append adds the hash of an entry.
func (w *Walk) append(hash []byte) error {
	err := w.Tree.Append(hash, func(id compact.NodeID, hash []byte) {
		if id.Level > 0 && id.Level%TileHeight == 0 {
			w.upper = append(w.upper, upperNode{uint64(id.Level) / TileHeight, id.Index, hash})
		}
	})
	part := w.after
	if w.before.End() < part.Begin() {
		part = w.before
	}
	return errors.Join(err, part.Append(hash, nil))
}

// remember keeps the first fault of a tile, and returns other errors.
func (w *Walk) remember(err error) error {
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
func (t *TreeReader) checkTiles(ctx context.Context, w *Walk) error {
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
func (t *TreeReader) checkHash(ctx context.Context, level, node uint64, want []byte) error {
	hashes, err := t.tile(ctx, level, node/TileWidth)
	if err != nil {
		return err
	}
	if got := hashes[node%TileWidth]; !bytes.Equal(got, want) {
		index := node / TileWidth
		return &tileFault{path: t.path(TilePath(level, index, uint64(len(hashes)))), index: index, got: bytes.Join(hashes, nil),
			want: fmt.Sprintf("%x as hash %d", want, node%TileWidth),
			err:  fmt.Errorf("hash %d is %x, want %x", node%TileWidth, got, want)}
	}
	return nil
}
