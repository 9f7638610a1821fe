package index

import (
	"crypto/sha256"
	"encoding/binary"
)

// Prefixes of what is hashed, so that no node can pass for one of another kind.
const (
	prefixLeaf  = 0x00
	prefixInner = 0x01
	prefixEmpty = 0x02
)

// EmptyRoot is the root of a tree without keys.
func EmptyRoot() Hash { return sha256.Sum256([]byte{prefixEmpty}) }

// LeafHash is the hash of a leaf: of 0x00, the key, the list's length in 8 bytes and the list's root.
func LeafHash(k Key, v Value) Hash {
	var b [1 + len(k) + 8 + len(v.Root)]byte
	b[0] = prefixLeaf
	copy(b[1:], k[:])
	binary.BigEndian.PutUint64(b[1+len(k):], v.Count)
	copy(b[1+len(k)+8:], v.Root[:])
	return sha256.Sum256(b[:])
}

// InnerHash is the hash of an inner node, which is where the keys below it first differ: of 0x01, that bit's position in
// 2 bytes, the bits before it that all of those keys share (the rest is zero), and the hashes of both sides.
func InnerHash(bit int, prefix Key, left, right Hash) Hash {
	var b [1 + 2 + len(prefix) + len(left) + len(right)]byte
	b[0] = prefixInner
	binary.BigEndian.PutUint16(b[1:], uint16(bit)) // #nosec G115 -- below KeyBits
	copy(b[3:], prefix[:])
	copy(b[3+len(prefix):], left[:])
	copy(b[3+len(prefix)+len(left):], right[:])
	return sha256.Sum256(b[:])
}

// Step is an inner node on the path to a key.
type Step struct {
	// Bit is the position at which the keys below the node first differ, 0 to 255.
	Bit uint8
	// Sibling is the hash of the side that the path does not take.
	Sibling Hash
}

// Terminal is what a path ends in.
type Terminal uint8

const (
	// TerminalEmpty: there is no path, for the tree has no keys.
	TerminalEmpty Terminal = 0
	// TerminalKey: the leaf of the key itself.
	TerminalKey Terminal = 1
	// TerminalLeaf: the leaf of another key, which is alone on the path.
	TerminalLeaf Terminal = 2
	// TerminalInner: an inner node whose keys share bits in which the key differs from them.
	TerminalInner Terminal = 3
)

// Proof shows what a tree holds under one key. It does not name the key or the root: both come from whoever checks it.
type Proof struct {
	// Steps are the inner nodes from the root on.
	Steps []Step
	// Terminal says which of the members below are set.
	Terminal Terminal
	// Value is that of TerminalKey and TerminalLeaf.
	Value Value
	// Other is the key of TerminalLeaf, and the shared bits of TerminalInner.
	Other Key
	// Bit, Left and Right complete TerminalInner.
	Bit         uint8
	Left, Right Hash
}

// Presence checks that the tree with this root holds a list under the key, and returns what it commits to. The list
// itself is checked by comparing its [ListValue].
func (p *Proof) Presence(root Hash, k Key) (Value, error) {
	if err := p.check(root, k); err != nil {
		return Value{}, err
	}
	if p.Terminal != TerminalKey {
		return Value{}, notShown("the proof shows that the key %s is absent", k)
	}
	return p.Value, nil
}

// Absence checks that the tree with this root holds nothing under the key.
func (p *Proof) Absence(root Hash, k Key) error {
	if err := p.check(root, k); err != nil {
		return err
	}
	if p.Terminal == TerminalKey {
		return notShown("the proof shows that the key %s is present", k)
	}
	return nil
}

// check follows the path from its end to the root.
func (p *Proof) check(root Hash, k Key) error {
	if err := p.checkForm(); err != nil {
		return err
	}
	if err := p.checkEnd(k); err != nil {
		return err
	}
	h := p.end(k)
	for i := len(p.Steps) - 1; i >= 0; i-- {
		s := p.Steps[i]
		left, right := h, s.Sibling
		if k.Bit(int(s.Bit)) == 1 {
			left, right = right, left
		}
		h = InnerHash(int(s.Bit), k.Prefix(int(s.Bit)), left, right)
	}
	if h != root {
		return &Error{Code: CodeRootMismatch, Detail: "the proof leads to another root than that of the index"}
	}
	return nil
}

// checkForm checks what does not depend on the key.
func (p *Proof) checkForm() error {
	if p.Terminal > TerminalInner {
		return malformed("terminal %d, want 0 to %d", p.Terminal, TerminalInner)
	}
	if len(p.Steps) > KeyBits {
		return malformed("%d steps, want at most %d", len(p.Steps), KeyBits)
	}
	for i := 1; i < len(p.Steps); i++ {
		if p.Steps[i].Bit <= p.Steps[i-1].Bit {
			return malformed("step %d is at bit %d after bit %d, want a greater one", i, p.Steps[i].Bit, p.Steps[i-1].Bit)
		}
	}
	switch p.Terminal {
	case TerminalEmpty:
		if len(p.Steps) > 0 {
			return malformed("%d steps in a tree without keys", len(p.Steps))
		}
	case TerminalKey, TerminalLeaf:
		if p.Value.Count == 0 {
			return malformed("a leaf with an empty list")
		}
	case TerminalInner:
		if p.Bit < 1 || p.Other != p.Other.Prefix(int(p.Bit)) {
			return malformed("the shared bits of the last node go beyond its bit %d", p.Bit)
		}
		if last := p.lastBit(); last >= int(p.Bit) {
			return malformed("the last node is at bit %d after bit %d, want a greater one", p.Bit, last)
		}
	}
	return nil
}

// checkEnd checks that the path, if the key were in the tree, would have to end where it does.
func (p *Proof) checkEnd(k Key) error {
	switch p.Terminal {
	case TerminalLeaf:
		d := k.Diverges(p.Other)
		if d == KeyBits {
			return notShown("the proof of absence ends in the leaf of the key %s itself", k)
		}
		if d <= p.lastBit() {
			return notShown("the last leaf leaves the path to the key %s at bit %d already", k, d)
		}
	case TerminalInner:
		d := k.Diverges(p.Other)
		if d <= p.lastBit() {
			return notShown("the last node leaves the path to the key %s at bit %d already", k, d)
		}
		// The bits of Other from Bit on are no keys' bits; only before them does a difference count.
		if d >= int(p.Bit) {
			return notShown("the key %s may be below the last node", k)
		}
	}
	return nil
}

// lastBit is the position that the last step tests, -1 without steps.
func (p *Proof) lastBit() int {
	if len(p.Steps) == 0 {
		return -1
	}
	return int(p.Steps[len(p.Steps)-1].Bit)
}

// end is the hash of the node in which the path ends.
func (p *Proof) end(k Key) Hash {
	switch p.Terminal {
	case TerminalKey:
		return LeafHash(k, p.Value)
	case TerminalLeaf:
		return LeafHash(p.Other, p.Value)
	case TerminalInner:
		return InnerHash(int(p.Bit), p.Other, p.Left, p.Right)
	default:
		return EmptyRoot()
	}
}
