package replay

import (
	"slices"

	"github.com/avow-dev/avow/verify/index"
)

// Version is the index at one moment. It never changes and may be used by many goroutines.
type Version struct {
	root *node // nil without keys
	keys int
	hash index.Hash
}

// Root is what commits to the whole version.
func (v *Version) Root() index.Hash { return v.hash }

// Keys is the number of keys.
func (v *Version) Keys() int { return v.keys }

// Lookup answers the list of a key with the proof that it is all of it; without entries, the proof is that the key is
// absent.
func (v *Version) Lookup(k index.Key) ([]index.Entry, *index.Proof) {
	p := &index.Proof{Terminal: index.TerminalEmpty}
	if v.root == nil {
		return nil, p
	}
	at := k.Diverges(nearest(v.root, k).key)
	n := v.root
	p.Steps = make([]index.Step, 0, 32)
	for n.list == nil {
		if int(n.bit) > at { // the keys below share bits that this key has not
			p.Terminal = index.TerminalInner
			p.Bit, p.Other = n.bit, n.someKey().Prefix(int(n.bit))
			p.Left, p.Right = n.left.hash, n.right.hash
			return nil, p
		}
		near, far := n.left, n.right
		if k.Bit(int(n.bit)) == 1 {
			near, far = far, near
		}
		p.Steps = append(p.Steps, index.Step{Bit: n.bit, Sibling: far.hash})
		n = near
	}
	p.Value = n.list.value
	if at == index.KeyBits {
		p.Terminal = index.TerminalKey
		return slices.Clone(n.list.entries), p
	}
	p.Terminal, p.Other = index.TerminalLeaf, n.list.key
	return nil, p
}
