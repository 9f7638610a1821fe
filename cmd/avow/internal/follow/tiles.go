package follow

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

const (
	HashSize   = sha256.Size
	TileHeight = 8
	TileWidth  = 1 << TileHeight
)

// tree builds compact ranges with the hash of RFC 6962.
var tree = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// TileWidthAt is the number of hashes of a tile in a tree of the given size; 0 if the tree does not reach it.
func TileWidthAt(level, index, size uint64) uint64 {
	nodes := size >> (TileHeight * level)
	if nodes <= index*TileWidth {
		return 0
	}
	return min(nodes-index*TileWidth, TileWidth)
}

// TilePath is the path of a hash tile of width hashes.
//
// > "<N> is the index ... encoded into 3-digit path elements. All but the last path element MUST begin with an x."
// (https://c2sp.org/tlog-tiles)
func TilePath(level, index, width uint64) string {
	return "/tile/" + strconv.FormatUint(level, 10) + "/" + indexPath(index, width)
}

// EntriesPath is the path of an entry bundle of width entries.
func EntriesPath(index, width uint64) string { return "/tile/entries/" + indexPath(index, width) }

func indexPath(index, width uint64) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/", index%1000) + path
	}
	if width < TileWidth {
		path += ".p/" + strconv.FormatUint(width, 10)
	}
	return path
}

// parseTile splits a tile into its hashes, exactly width of them.
func parseTile(data []byte, width uint64) ([][]byte, error) {
	if uint64(len(data)) != width*HashSize {
		return nil, fmt.Errorf("tile of %d bytes, want %d", len(data), width*HashSize)
	}
	hashes := make([][]byte, width)
	for i := range hashes {
		hashes[i] = data[i*HashSize : (i+1)*HashSize]
	}
	return hashes, nil
}

// parseBundle splits an entry bundle into its entries, exactly width of them, each with its length in two bytes before
// it. No byte may be left over.
func parseBundle(data []byte, width uint64) ([][]byte, error) {
	entries := make([][]byte, 0, width)
	for len(data) > 0 {
		if uint64(len(entries)) == width {
			return nil, fmt.Errorf("%d bytes after entry %d, the last", len(data), width)
		}
		if len(data) < 2 {
			return nil, fmt.Errorf("entry %d: 1 byte of a length of 2", len(entries))
		}
		n := int(binary.BigEndian.Uint16(data))
		if len(data)-2 < n {
			return nil, fmt.Errorf("entry %d: %d bytes, want %d", len(entries), len(data)-2, n)
		}
		entries = append(entries, data[2:2+n])
		data = data[2+n:]
	}
	if uint64(len(entries)) != width {
		return nil, fmt.Errorf("%d entries, want %d", len(entries), width)
	}
	return entries, nil
}

// NewRange is the empty range that begins at 0.
func NewRange() *compact.Range { return tree.NewEmptyRange(0) }

// RootOf is the root of a range that begins at 0; that of the empty tree is the hash of nothing.
func RootOf(r *compact.Range) ([]byte, error) {
	if r.End() == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	return r.GetRootHash(nil)
}

// MakeRange is the range of the hashes, which may be foreign.
func MakeRange(begin, end uint64, hashes [][]byte) (*compact.Range, error) {
	for i, h := range hashes {
		if len(h) != HashSize {
			return nil, fmt.Errorf("hash %d of %d bytes, want %d", i, len(h), HashSize)
		}
	}
	if begin > end || end > maxTree {
		return nil, fmt.Errorf("range from %d to %d, want at most %d entries in order", begin, end, uint64(maxTree))
	}
	return tree.NewRange(begin, end, hashes)
}

// Joined is the root of adjacent ranges that begin at 0. The ranges stay as they are.
func Joined(ranges ...*compact.Range) ([]byte, error) {
	whole := tree.NewEmptyRange(0)
	for _, r := range ranges {
		if err := whole.AppendRange(r, nil); err != nil {
			return nil, err
		}
	}
	return RootOf(whole)
}
