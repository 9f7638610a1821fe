package tlog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
)

// readTile returns the hashes of a tile as a tree of the given size has it.
//
// > "The tile is a sequence of 256 concatenated hashes", or of W for a partial tile (https://c2sp.org/tlog-tiles)
func readTile(ctx context.Context, r Reader, l, index, size uint64) ([]hash, error) {
	width := layout.PartialTileSize(l, index, size)
	data, err := r.ReadTile(ctx, l, index, width)
	if err != nil {
		return nil, absence(err, fmt.Sprintf("tile %d/%d of width %d", l, index, fullWidth(width)))
	}
	n, full := fullWidth(width)*sha256.Size, layout.TileWidth*sha256.Size
	if len(data) != n && len(data) != full {
		return nil, &Error{Code: CodeCorrupt, Hint: hintCorrupt,
			Message: fmt.Sprintf("tile %d/%d: got %d bytes, want %d", l, index, len(data), n)}
	}
	hashes := make([]hash, fullWidth(width))
	for i := range hashes {
		copy(hashes[i][:], data[i*sha256.Size:])
	}
	return hashes, nil
}

// readBundle returns the entries of a bundle as a tree of the given size has them.
func readBundle(ctx context.Context, r Reader, index, size uint64) ([][]byte, error) {
	width := layout.PartialTileSize(0, index, size)
	data, err := r.ReadEntryBundle(ctx, index, width)
	if err != nil {
		return nil, absence(err, fmt.Sprintf("entry bundle %d of width %d", index, fullWidth(width)))
	}
	entries, err := parseBundle(data)
	if err != nil {
		return nil, &Error{Code: CodeCorrupt, Message: fmt.Sprintf("entry bundle %d does not parse", index), Err: err}
	}
	if n := fullWidth(width); len(entries) != n && len(entries) != layout.EntryBundleWidth {
		return nil, &Error{Code: CodeCorrupt,
			Message: fmt.Sprintf("entry bundle %d: got %d entries, want %d", index, len(entries), n)}
	}
	return entries[:fullWidth(width)], nil
}

// parseBundle splits an entry bundle and refuses one with more entries than a bundle has.
func parseBundle(data []byte) ([][]byte, error) {
	var bundle api.EntryBundle
	if err := bundle.UnmarshalText(data); err != nil {
		return nil, err
	}
	if n := len(bundle.Entries); n > layout.EntryBundleWidth {
		return nil, fmt.Errorf("got %d entries, want at most %d", n, layout.EntryBundleWidth)
	}
	return bundle.Entries, nil
}

// fullWidth is the number of entries for a width of which 0 means full.
func fullWidth(width uint8) int {
	if width == 0 {
		return layout.TileWidth
	}
	return int(width)
}

// absence classifies a read error: a file that a tree needs and that is not there is damage, anything else may pass.
func absence(err error, what string) *Error {
	if errors.Is(err, fs.ErrNotExist) {
		return &Error{Code: CodeCorrupt, Message: what + " is missing", Err: err}
	}
	return Unavailable("reading "+what, err)
}

// tileProver builds proofs from tiles, for entries that are older than the nodes in memory. Tiles with their inner
// nodes are cached across checkpoints: a tile of a given width never changes.
type tileProver struct {
	reader Reader

	mu       sync.Mutex
	young    map[tileKey]*tileNodes
	old      map[tileKey]*tileNodes // dropped when young is full
	maxYoung int
}

type tileKey struct {
	level, index uint64
	width        int
}

// tileNodes are the nodes of a tile: rows[0] its hashes, rows[8] its root if it is full.
type tileNodes struct {
	rows [layout.TileHeight + 1][]hash
}

func newTileProver(r Reader) *tileProver {
	return &tileProver{reader: r, maxYoung: maxCachedTiles, young: map[tileKey]*tileNodes{}}
}

// forget empties the cache, after a proof from it did not verify.
func (p *tileProver) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.young, p.old = map[tileKey]*tileNodes{}, nil
}

func (p *tileProver) tile(ctx context.Context, l, index, size uint64) (*tileNodes, error) {
	key := tileKey{level: l, index: index, width: fullWidth(layout.PartialTileSize(l, index, size))}
	p.mu.Lock()
	t, ok := p.young[key]
	if !ok {
		if t, ok = p.old[key]; ok {
			p.keep(key, t)
		}
	}
	p.mu.Unlock()
	if ok {
		return t, nil
	}
	hashes, err := readTile(ctx, p.reader, l, index, size)
	if err != nil {
		return nil, err
	}
	t = &tileNodes{}
	t.rows[0] = hashes
	for h := range layout.TileHeight {
		row := t.rows[h]
		up := make([]hash, len(row)/2)
		for i := range up {
			up[i] = hashChildren(row[2*i], row[2*i+1])
		}
		t.rows[h+1] = up
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(key, t)
	return t, nil
}

// keep is called with the lock held.
func (p *tileProver) keep(key tileKey, t *tileNodes) {
	if len(p.young) >= p.maxYoung {
		p.young, p.old = make(map[tileKey]*tileNodes, p.maxYoung), p.young
	}
	p.young[key] = t
}

// node returns the hash of a perfect subtree of the tree of the given size.
func (p *tileProver) node(ctx context.Context, id compact.NodeID, size uint64) (hash, error) {
	l, index, row, column := layout.NodeCoordsToTileAddress(uint64(id.Level), id.Index)
	t, err := p.tile(ctx, l, index, size)
	if err != nil {
		return hash{}, err
	}
	if column >= uint64(len(t.rows[row])) {
		return hash{}, &Error{Code: CodeOutOfRange,
			Message: fmt.Sprintf("node %d/%d is not in a tree of %d", id.Level, id.Index, size)}
	}
	return t.rows[row][column], nil
}

func (p *tileProver) nodes(ctx context.Context, nodes proof.Nodes, size uint64) ([][]byte, error) {
	hashes := make([][]byte, 0, len(nodes.IDs))
	for _, id := range nodes.IDs {
		h, err := p.node(ctx, id, size)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h[:])
	}
	return nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

// inclusion returns the inclusion proof of a leaf in the tree of the given size.
func (p *tileProver) inclusion(ctx context.Context, index, size uint64) ([][]byte, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, &Error{Code: CodeOutOfRange, Message: fmt.Sprintf("index %d is not in a tree of %d", index, size)}
	}
	return p.nodes(ctx, nodes, size)
}

// consistency returns the consistency proof between the trees of two sizes, from the tiles of a tree that covers both.
func (p *tileProver) consistency(ctx context.Context, from, to, size uint64) ([][]byte, error) {
	nodes, err := proof.Consistency(from, to)
	if err != nil {
		return nil, &Error{Code: CodeOutOfRange, Message: fmt.Sprintf("tree size %d is larger than %d", from, to)}
	}
	return p.nodes(ctx, nodes, size)
}

// compactRange returns the compact range of the first n leaves of the tree of the given size, from that tree's tiles.
func (p *tileProver) compactRange(ctx context.Context, n, size uint64) ([]hash, error) {
	ids := compact.RangeNodes(0, n, make([]compact.NodeID, 0, bits.OnesCount64(n)))
	hashes := make([]hash, 0, len(ids))
	for _, id := range ids {
		h, err := p.node(ctx, id, size)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, h)
	}
	return hashes, nil
}

// verifyInclusion checks a proof of ours before it is given away.
func verifyInclusion(index, size uint64, leaf hash, path [][]byte, root hash) error {
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], path, root[:]); err != nil {
		return &Error{Code: CodeCorrupt, Hint: hintCorrupt, Err: err,
			Message: fmt.Sprintf("the proof of entry %d does not lead to the root of the tree of %d", index, size)}
	}
	return nil
}
