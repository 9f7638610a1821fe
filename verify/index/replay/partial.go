package replay

import (
	"errors"
	"fmt"

	"github.com/avow-dev/avow/verify/index"
)

// Opened is what a version holds under one key, with what is needed to go on from there.
type Opened struct {
	// Key is what is opened.
	Key index.Key
	// Proof is that of the key's presence or absence.
	Proof *index.Proof
	// List are the hashes of the list's perfect subtrees ([index.List.Hashes]); none if the key is absent.
	List []index.Hash
}

// Open opens a key.
func (v *Version) Open(k index.Key) Opened {
	entries, p := v.Lookup(k)
	var l index.List
	for _, e := range entries {
		l.Append(e)
	}
	return Opened{Key: k, Proof: p, List: l.Hashes()}
}

// Partial is an index of which a root and some keys are known, and nothing else: enough to add entries under those keys and
// to know the root afterwards. So the step from one root to the next can be checked without the index. For one goroutine.
type Partial struct {
	root   *part // nil without keys
	opened map[index.Key]bool
	added  uint64
}

// part is a node. A closed one is known by its hash alone.
type part struct {
	kind partKind
	hash index.Hash // of a closed node
	// Of an inner node.
	bit         int
	prefix      index.Key
	left, right *part
	// Of a leaf; list is there if the leaf's own key was opened.
	key   index.Key
	value index.Value
	list  *index.List
}

type partKind int

const (
	closed partKind = iota
	inner
	leafNode
)

var errOpened = errors.New("index: the opened keys do not belong to one index")

// NewPartial verifies what was opened under a root. Whatever it is given, the result is part of the index with that root.
func NewPartial(root index.Hash, opened []Opened) (*Partial, error) {
	p := &Partial{opened: make(map[index.Key]bool, len(opened))}
	if root != index.EmptyRoot() {
		p.root = &part{hash: root}
	}
	for _, o := range opened {
		if err := p.open(root, o); err != nil {
			return nil, err
		}
		p.opened[o.Key] = true
	}
	if p.Root() != root {
		return nil, errOpened
	}
	return p, nil
}

func (p *Partial) open(root index.Hash, o Opened) error {
	end := &part{kind: leafNode, key: o.Key}
	var err error
	if o.Proof.Terminal == index.TerminalKey {
		if end.value, err = o.Proof.Presence(root, o.Key); err != nil {
			return err
		}
		l, ok := index.ResumeList(end.value.Count, o.List)
		if !ok || l.Value() != end.value {
			return fmt.Errorf("%w: %d hashes are not those of the list of %d under %s", errOpened, len(o.List), end.value.Count, o.Key)
		}
		end.list = &l
		return p.merge(o, end)
	}
	if err := o.Proof.Absence(root, o.Key); err != nil {
		return err
	}
	switch o.Proof.Terminal {
	case index.TerminalEmpty:
		return nil
	case index.TerminalLeaf:
		end = &part{kind: leafNode, key: o.Proof.Other, value: o.Proof.Value}
	default:
		end = &part{kind: inner, bit: int(o.Proof.Bit), prefix: o.Proof.Other, left: &part{hash: o.Proof.Left}, right: &part{hash: o.Proof.Right}}
	}
	return p.merge(o, end)
}

// merge opens the nodes on the path to a key, and the one in which it ends.
func (p *Partial) merge(o Opened, end *part) error {
	if p.root == nil {
		return errOpened
	}
	n := p.root
	for _, s := range o.Proof.Steps {
		bit := int(s.Bit)
		if n.kind == closed {
			*n = part{kind: inner, bit: bit, prefix: o.Key.Prefix(bit), left: &part{}, right: &part{}}
			n.child(o.Key, 1).hash = s.Sibling
		}
		if n.kind != inner || n.bit != bit {
			return errOpened
		}
		n = n.child(o.Key, 0)
	}
	switch {
	case n.kind == closed:
		*n = *end
	case n.kind != end.kind || n.kind == leafNode && n.key != end.key || n.kind == inner && n.bit != end.bit:
		return errOpened
	case end.list != nil:
		n.list = end.list
	}
	return nil
}

// child is the side of an inner node on which the key would be, or with 1 the other.
func (n *part) child(k index.Key, other int) *part {
	if k.Bit(n.bit)^other == 0 {
		return n.left
	}
	return n.right
}

// Index is [Tree.Index]. All keys of the entry must have been opened.
func (p *Partial) Index(e LogEntry) error {
	keys, entry := EntryKeys(e)
	for _, k := range keys {
		if !p.opened[k] {
			return fmt.Errorf("%w: the key %s of entry %d is not among them", errOpened, k, e.Index)
		}
		if err := p.add(k, entry); err != nil {
			return err
		}
	}
	return nil
}

func (p *Partial) add(k index.Key, e index.Entry) error {
	if p.root == nil {
		p.root = &part{}
		p.set(p.root, k, e)
		return nil
	}
	n := p.root
	for n.kind == inner && k.Diverges(n.prefix) >= n.bit {
		n = n.child(k, 0)
	}
	at := 0
	switch n.kind {
	case closed:
		return errOpened
	case inner:
		at = k.Diverges(n.prefix)
	case leafNode:
		if at = k.Diverges(n.key); at == index.KeyBits {
			if n.list == nil {
				return errOpened
			}
			n.list.Append(e)
			n.value = n.list.Value()
			return nil
		}
	}
	below := *n
	*n = part{kind: inner, bit: at, prefix: k.Prefix(at), left: &part{}, right: &part{}}
	*n.child(k, 1) = below
	p.set(n.child(k, 0), k, e)
	return nil
}

// set makes a node the leaf of a new key.
func (p *Partial) set(n *part, k index.Key, e index.Entry) {
	l := &index.List{}
	l.Append(e)
	*n = part{kind: leafNode, key: k, list: l, value: l.Value()}
	p.added++
}

// Added is the number of keys that are new.
func (p *Partial) Added() uint64 { return p.added }

// Root is the root of the whole index, with what was added.
func (p *Partial) Root() index.Hash {
	if p.root == nil {
		return index.EmptyRoot()
	}
	return p.root.sum()
}

func (n *part) sum() index.Hash {
	switch n.kind {
	case inner:
		return index.InnerHash(n.bit, n.prefix, n.left.sum(), n.right.sum())
	case leafNode:
		return index.LeafHash(n.key, n.value)
	default:
		return n.hash
	}
}
