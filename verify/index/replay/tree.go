package replay

import "github.com/avow-dev/avow/verify/index"

// node is an inner node of the tree, or a leaf if list is set. Nodes of a published version are shared by later
// versions and never changed.
type node struct {
	left, right *node // of an inner node
	list        *list // of a leaf
	hash        index.Hash
	epoch       uint64 // of the tree when the node was made: only nodes of the present epoch may be changed
	bit         uint8  // of an inner node: where the keys below it first differ
	clean       bool   // hash is that of the node
}

// list is a leaf's key with its entries. Entries are only added at the end, so that the lists of several versions lie in one
// array: each has its own length, and only the newest is added to.
type list struct {
	key     index.Key
	entries []index.Entry
	value   index.Value // of the entries, once the leaf's hash is calculated
	long    *index.List // hashes all entries so far, of a long list; moves on to the newest version
}

// longList is the length from which on a list is hashed entry by entry as it grows, instead of as a whole for each version.
const longList = 16

// Tree is the index while it grows. The zero value is an empty tree. It is for one goroutine; versions are for all.
type Tree struct {
	root  *node
	keys  int
	epoch uint64
}

// Keys is the number of keys.
func (t *Tree) Keys() int { return t.keys }

// Add appends an entry to the list of a key.
func (t *Tree) Add(k index.Key, e index.Entry) {
	if t.root == nil {
		t.root = t.newLeaf(k, e)
		return
	}
	near := nearest(t.root, k)
	at := k.Diverges(near.key)
	if at < index.KeyBits {
		t.insert(k, e, at)
		return
	}
	n := &t.root
	for (*n).list == nil {
		own := t.own(n)
		n = own.child(k)
	}
	t.own(n).list.append(e)
}

func (l *list) append(e index.Entry) {
	l.entries = append(l.entries, e)
	switch {
	case l.long != nil:
		l.long.Append(e)
	case len(l.entries) >= longList:
		l.long = &index.List{}
		for _, e := range l.entries {
			l.long.Append(e)
		}
	}
}

// seal calculates the value of the entries.
func (l *list) seal() index.Value {
	if l.long != nil {
		l.value = l.long.Value()
	} else {
		l.value = index.ListValue(l.entries)
	}
	return l.value
}

// insert puts a new leaf where its key leaves those that are there, at a bit.
func (t *Tree) insert(k index.Key, e index.Entry, at int) {
	n := &t.root
	for (*n).list == nil && int((*n).bit) < at {
		own := t.own(n)
		n = own.child(k)
	}
	inner := &node{epoch: t.epoch, bit: uint8(at)} // #nosec G115 -- below KeyBits
	leaf := t.newLeaf(k, e)
	if k.Bit(at) == 0 {
		inner.left, inner.right = leaf, *n
	} else {
		inner.left, inner.right = *n, leaf
	}
	*n = inner
}

func (t *Tree) newLeaf(k index.Key, e index.Entry) *node {
	t.keys++
	return &node{epoch: t.epoch, list: &list{key: k, entries: []index.Entry{e}}}
}

// own makes the node that n points to one of this epoch, whose hash is not known any more.
func (t *Tree) own(n **node) *node {
	if (*n).epoch != t.epoch {
		c := **n
		c.epoch = t.epoch
		if c.list != nil {
			l := *c.list
			c.list = &l
		}
		*n = &c
	}
	(*n).clean = false
	return *n
}

// child is the side of an inner node on which the key would be.
func (n *node) child(k index.Key) **node {
	if k.Bit(int(n.bit)) == 0 {
		return &n.left
	}
	return &n.right
}

// nearest is the leaf at which the key's own bits lead out of the tree: no other key shares more bits with it.
func nearest(n *node, k index.Key) *list {
	for n.list == nil {
		n = *n.child(k)
	}
	return n.list
}

// Publish makes what was added so far a version. The tree goes on with the next epoch: no node of the version is changed
// any more.
func (t *Tree) Publish() *Version {
	v := &Version{root: t.root, keys: t.keys, hash: index.EmptyRoot()}
	if t.root != nil {
		t.root.rehash()
		v.hash = t.root.hash
	}
	t.epoch++
	return v
}

// rehash calculates the hashes that are not known, and returns a key below the node.
func (n *node) rehash() index.Key {
	if n.list != nil {
		if !n.clean {
			n.hash, n.clean = index.LeafHash(n.list.key, n.list.seal()), true
		}
		return n.list.key
	}
	if n.clean {
		return n.someKey()
	}
	k := n.left.rehash()
	n.right.rehash()
	n.hash, n.clean = index.InnerHash(int(n.bit), k.Prefix(int(n.bit)), n.left.hash, n.right.hash), true
	return k
}

// someKey is a key below the node. It shares the node's bits with all others.
func (n *node) someKey() index.Key {
	for n.list == nil {
		n = n.left
	}
	return n.list.key
}
