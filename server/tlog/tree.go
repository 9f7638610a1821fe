package tlog

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
)

// hash is a node of the Merkle tree.
type hash = [sha256.Size]byte

// Domain separation of RFC 6962, section 2.1.
const (
	leafPrefix = 0x00
	nodePrefix = 0x01
)

// hashLeaf is the RFC 6962 leaf hash.
func hashLeaf(leaf []byte) hash {
	h := sha256.New()
	h.Write([]byte{leafPrefix})
	h.Write(leaf)
	var out hash
	h.Sum(out[:0])
	return out
}

// hashChildren is the RFC 6962 node hash. The input is on the stack: this is the hot path of proofs.
func hashChildren(left, right hash) hash {
	var b [1 + 2*sha256.Size]byte
	b[0] = nodePrefix
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// emptyRoot is the root of the empty tree.
//
// > "The hash of an empty list is the hash of an empty string" (RFC 6962, section 2.1)
var emptyRoot = sha256.Sum256(nil)

// tree holds the nodes over the newest leaves of a Merkle tree: for the leaves from start on, every node that their
// inclusion proofs need, and so the right edge too. Levels count from the leaves, indexes from the left of the tree.
//
// A tree is a value. extend returns a longer one that shares memory with the receiver, and only one chain of extensions
// may be continued at a time: nodes past the end of a tree are overwritten by the next extension of it. Readers of a
// published tree never look past its end, so they need no lock.
type tree struct {
	start  uint64
	size   uint64
	levels []level
}

// level holds the nodes first, first+1, ... of one level.
type level struct {
	first uint64
	nodes []hash
}

// newTree returns the tree of the given size whose proofs begin at its end. The range is the compact range of the tree:
// the roots of its perfect subtrees from left to right.
func newTree(size uint64, compactRange []hash) (tree, error) {
	if got, want := len(compactRange), bits.OnesCount64(size); got != want {
		return tree{}, fmt.Errorf("compact range of %d leaves: got %d hashes, want %d", size, got, want)
	}
	t := tree{start: size, size: size, levels: make([]level, bits.Len64(size))}
	next := 0
	for l := len(t.levels) - 1; l >= 0; l-- {
		t.levels[l].first = size >> l
		if size>>l&1 == 1 {
			t.levels[l] = level{first: size>>l - 1, nodes: []hash{compactRange[next]}}
			next++
		}
	}
	return t, nil
}

// node returns the hash of a perfect subtree, if the tree holds it.
func (t *tree) node(l int, index uint64) (hash, bool) {
	if l >= len(t.levels) || index < t.levels[l].first || index-t.levels[l].first >= uint64(len(t.levels[l].nodes)) {
		return hash{}, false
	}
	return t.levels[l].nodes[index-t.levels[l].first], true
}

// extend returns the tree with more leaves.
func (t *tree) extend(leaves []hash) tree {
	e := tree{start: t.start, size: t.size, levels: slices.Clone(t.levels)}
	for _, leaf := range leaves {
		e.push(0, leaf)
		node, index := leaf, e.size
		for l := 0; index&1 == 1; l++ {
			left, _ := e.node(l, index-1) // held: a left sibling belongs to the right edge
			node = hashChildren(left, node)
			index >>= 1
			e.push(l+1, node)
		}
		e.size++
	}
	return e
}

func (t *tree) push(l int, node hash) {
	if l == len(t.levels) {
		t.levels = append(t.levels, level{})
	}
	t.levels[l].nodes = append(t.levels[l].nodes, node)
}

// trim returns the tree without the nodes that only leaves before start need, in memory of its own.
func (t *tree) trim(start uint64) tree {
	if start <= t.start || start > t.size {
		return *t
	}
	e := tree{start: start, size: t.size, levels: make([]level, len(t.levels))}
	for l := range t.levels {
		old := &t.levels[l]
		first := max(start>>l-start>>l&1, old.first) // with its left sibling, which the proofs of start need
		end := old.first + uint64(len(old.nodes))
		first = min(first, end)
		// Room to grow by as much as is kept, so that appending does not copy at once.
		nodes := make([]hash, 0, 2*(end-first)+1)
		e.levels[l] = level{first: first, nodes: append(nodes, old.nodes[first-old.first:]...)}
	}
	return e
}

// edges returns, for each level l up to the root's, the root of the leaves from (size>>l)<<l on: the incomplete subtree
// at the right edge of the level. Where there is no such leaf, the entry is not used. The last one is the root of the
// tree.
func (t *tree) edges() []hash {
	edges := make([]hash, bits.Len64(t.size)+1)
	for l := range len(edges) - 1 {
		edges[l+1] = edges[l]
		if t.size>>l&1 == 1 {
			left, _ := t.node(l, t.size>>l-1) // held: a root of the compact range
			edges[l+1] = left
			if t.size&(1<<l-1) != 0 {
				edges[l+1] = hashChildren(left, edges[l])
			}
		}
	}
	return edges
}

// root returns the root hash.
func (t *tree) root() hash {
	if t.size == 0 {
		return emptyRoot
	}
	edges := t.edges()
	return edges[len(edges)-1]
}

// compactRange returns the roots of the perfect subtrees from left to right.
func (t *tree) compactRange() []hash {
	var r []hash
	for l := bits.Len64(t.size) - 1; l >= 0; l-- {
		if t.size>>l&1 == 1 {
			node, _ := t.node(l, t.size>>l-1)
			r = append(r, node)
		}
	}
	return r
}

// inclusion returns the inclusion proof of the leaf at index, which must be at least start and less than size. The
// edges are those of the tree. No hash is computed: every sibling is a stored node or an edge.
func (t *tree) inclusion(index uint64, edges []hash) [][]byte {
	height := bits.Len64(t.size - 1)
	backing := make([]byte, 0, height*sha256.Size)
	proof := make([][]byte, 0, height)
	for l := range height {
		sibling := index>>l ^ 1
		var node hash
		switch complete := t.size >> l; {
		case sibling < complete:
			node, _ = t.node(l, sibling) // held, by the choice of start
		case sibling == complete && t.size&(1<<l-1) != 0:
			node = edges[l]
		default:
			continue // nothing to the right: the node moves up as it is
		}
		backing = append(backing, node[:]...)
		proof = append(proof, backing[len(backing)-sha256.Size:len(backing):len(backing)])
	}
	return proof
}
