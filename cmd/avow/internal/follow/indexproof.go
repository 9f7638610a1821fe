package follow

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/attest/predicate"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/leaf"
	"github.com/avow-dev/avow/verify/index/replay"
)

// IndexProof is what shows that a leaf of the index log is wrong. A step of the index adds few keys to many; the proof holds
// only what the index had under those keys, so that everybody can make the step and compare. Byte strings are base64 in JSON.
type IndexProof struct {
	// Log is a checkpoint of the statement log; empty in KindIndexLeaf.
	Log []byte `json:"log,omitempty"`
	// Previous is the leaf before the one that is wrong, empty if that is the first.
	Previous []byte `json:"previous,omitempty"`
	// Entries are those that the step adds; Before and After are the tree of Log around them. In KindIndexTree Before ends
	// at the leaf's size and there are no entries.
	Before  [][]byte      `json:"before,omitempty"`
	Entries []LoggedEntry `json:"entries,omitempty"`
	After   [][]byte      `json:"after,omitempty"`
	// Late are the entries that the step resolves; in KindIndexLate the one that it cannot.
	Late []LateEntry `json:"late,omitempty"`
	// Opened are the keys that the step touches, in the index of Previous.
	Opened []OpenedKey `json:"opened,omitempty"`
	// Unresolved is the list of KindIndexLate under the first opened key, 9 bytes an entry.
	Unresolved []byte `json:"unresolved,omitempty"`
}

// LoggedEntry is an entry of the statement log with its statement, if that is needed.
type LoggedEntry struct {
	Entry     []byte `json:"entry"`
	Statement []byte `json:"statement,omitempty"`
}

// LateEntry is one with its place in the tree of the statement log.
type LateEntry struct {
	Index uint64 `json:"index"`
	LoggedEntry
	Before [][]byte `json:"before,omitempty"`
	After  [][]byte `json:"after,omitempty"`
}

// OpenedKey is a replay.Opened.
type OpenedKey struct {
	Key   []byte   `json:"key"`
	Proof []byte   `json:"proof"`
	List  [][]byte `json:"list,omitempty"`
}

// ErrReplay is wrapped by what Check says of evidence that names a leaf and needs its index.
var ErrReplay = errors.New("replay the index to compare")

// Confirmed says whether what a replay found is about the leaf that the evidence names; nil is nothing.
func (e *Evidence) Confirmed(found *Evidence) (string, error) {
	switch {
	case found == nil:
		return "", unproven("a replay of the index finds nothing")
	case found.Code != e.Code || found.Index != e.Index || !bytes.Equal(found.Leaf, e.Leaf):
		return "", unproven("a replay of the index finds %s of leaf %d", found.Code, found.Index)
	}
	return fmt.Sprintf("a replay of the index finds that leaf %d is wrong as well", e.Index), nil
}

func unproven(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrNotProven, fmt.Errorf(format, args...))
}

// indexCheck is the check of one proof about the index.
type indexCheck struct {
	*Evidence
	name           string // of the index log
	log            *Head  // of the statement log; nil in KindIndexLeaf
	root, previous *index.Root
}

func (e *Evidence) checkIndex(logs, indexLogs *Logs) (string, error) {
	if indexLogs == nil {
		return "", unproven("the key of the index log is needed")
	}
	head, err := indexLogs.Open(e.Second)
	if err != nil {
		return "", unproven("checkpoint of the index log: %w", err)
	}
	if err := e.checkLeaf(head); err != nil {
		return "", err
	}
	c := &indexCheck{Evidence: e, name: head.Origin}
	fault, err := c.readRoots(logs)
	switch {
	case err != nil:
		return "", err
	case fault != nil && e.Kind == KindIndexLeaf:
		return fmt.Sprintf("leaf %d of the index log %s is wrong: %v", e.Index, head.Origin, fault), nil
	case fault != nil:
		return "", unproven("the leaf is wrong in itself, which is another kind: %w", fault)
	case e.Kind == KindIndexLeaf:
		return "", unproven("leaf %d is a root that can follow the one before it", e.Index)
	case e.Kind == KindIndexReplay:
		return "", fmt.Errorf("%w: leaf %d of the index log %s is signed, and its step is not in this file: %w", ErrNotProven, e.Index, head.Origin,
			ErrReplay)
	}
	if c.log, err = logs.Open(e.Proof.Log); err != nil {
		return "", unproven("checkpoint of the statement log: %w", err)
	}
	if c.log.Origin != c.root.Origin || c.root.Size > c.log.Size {
		return "", unproven("the leaf is about %d entries of %s, the checkpoint about %d of %s", c.root.Size, c.root.Origin, c.log.Size, c.log.Origin)
	}
	switch e.Kind {
	case KindIndexTree:
		return c.tree()
	case KindIndexLate:
		return c.late()
	}
	return c.step()
}

// checkLeaf checks that the leaf, and the one before it, are in the tree of the index log.
func (e *Evidence) checkLeaf(head *Head) error {
	leaves, begin := [][]byte{e.Leaf}, e.Index
	if e.Index > 0 {
		leaves, begin = [][]byte{e.Proof.Previous, e.Leaf}, e.Index-1
	} else if e.Proof.Previous != nil {
		return unproven("a leaf before the first")
	}
	return within(head, e.Before, begin, leaves, e.After)
}

// within checks that leaves are those of a tree from begin on.
func within(head *Head, before [][]byte, begin uint64, leaves, after [][]byte) error {
	end := begin + uint64(len(leaves))
	if end > head.Size || begin > end {
		return unproven("leaves from %d to %d of a tree of %d", begin, end, head.Size)
	}
	first, err := MakeRange(0, begin, before)
	if err != nil {
		return unproven("before: %w", err)
	}
	own := tree.NewEmptyRange(begin)
	for _, l := range leaves {
		if err := own.Append(rfc6962.DefaultHasher.HashLeaf(l), nil); err != nil {
			return unproven("%w", err)
		}
	}
	last, err := MakeRange(end, head.Size, after)
	if err != nil {
		return unproven("after: %w", err)
	}
	return gives(head, first, own, last)
}

func gives(head *Head, ranges ...*compact.Range) error {
	whole, err := Joined(ranges...)
	if err != nil || !bytes.Equal(whole, head.Root) {
		return unproven("the hashes do not give the root of the checkpoint of %s", head.Origin)
	}
	return nil
}

// readRoots reads the leaf and the one before it. A fault is what is wrong with the leaf in itself.
func (c *indexCheck) readRoots(logs *Logs) (fault, err error) {
	if c.Index > 0 {
		if c.previous, err = index.ParseRoot(c.Proof.Previous); err != nil {
			return nil, unproven("the leaf before it is wrong already: %w", err)
		}
	}
	if c.root, err = index.ParseRoot(c.Leaf); err != nil {
		return err, nil
	}
	if err := c.root.Follows(c.previous); err != nil {
		return err, nil
	}
	if !slices.Contains(logs.Origins(), c.root.Origin) {
		return fmt.Errorf("it is the index of the log %q, want one of %q", c.root.Origin, logs.Origins()), nil
	}
	return nil, nil
}

// tree compares the root that the leaf names with that of the statement log.
func (c *indexCheck) tree() (string, error) {
	before, err := MakeRange(0, c.root.Size, c.Proof.Before)
	if err != nil {
		return "", unproven("before: %w", err)
	}
	after, err := MakeRange(c.root.Size, c.log.Size, c.Proof.After)
	if err != nil {
		return "", unproven("after: %w", err)
	}
	if err := gives(c.log, before, after); err != nil {
		return "", err
	}
	root, err := RootOf(before)
	if err != nil || bytes.Equal(root, c.root.Tree[:]) {
		return "", unproven("the leaf names the root that the statement log has")
	}
	return fmt.Sprintf("leaf %d of the index log %s says that the first %d entries of %s have the root %x, and the log signed that they have %x",
		c.Index, c.name, c.root.Size, c.root.Origin, c.root.Tree, root), nil
}

// late shows that an entry that the leaf calls late was not unresolved.
func (c *indexCheck) late() (string, error) {
	if len(c.Proof.Late) != 1 || !slices.Contains(c.root.Late, c.Proof.Late[0].Index) || c.previous == nil {
		return "", unproven("want the one entry that the leaf calls late")
	}
	late := &c.Proof.Late[0]
	if err := within(c.log, late.Before, late.Index, [][]byte{late.Entry}, late.After); err != nil {
		return "", err
	}
	proven := fmt.Sprintf("leaf %d of the index log %s calls entry %d late, which was not unresolved", c.Index, c.name, late.Index)
	l, err := leaf.Read(late.Entry)
	if err != nil {
		return proven + ": it is nobody's", nil
	}
	opened, err := c.opened()
	if err != nil {
		return "", err
	}
	if len(opened) != 1 || opened[0].Key != index.UnresolvedKey(l.Signer) {
		return "", unproven("want the list of the unresolved entries of %s", l.Signer)
	}
	list, err := c.unresolved(&opened[0])
	if err != nil {
		return "", err
	}
	open := false
	for _, e := range list {
		if e.LogIndex == late.Index {
			open = e.Kind == index.Unresolved
		}
	}
	if open {
		return "", unproven("entry %d was unresolved", late.Index)
	}
	return proven, nil
}

// unresolved reads the list of the opened key.
func (c *indexCheck) unresolved(o *replay.Opened) ([]index.Entry, error) {
	const size = 9
	var list []index.Entry
	for b := c.Proof.Unresolved; len(b) > 0; b = b[size:] {
		if len(b) < size {
			return nil, unproven("a list that ends within an entry")
		}
		list = append(list, index.Entry{LogIndex: binary.BigEndian.Uint64(b), Kind: index.Kind(b[size-1])})
	}
	if len(list) == 0 {
		if err := o.Proof.Absence(c.previous.Index, o.Key); err != nil {
			return nil, unproven("%w", err)
		}
		return nil, nil
	}
	value, err := o.Proof.Presence(c.previous.Index, o.Key)
	if err != nil || value != index.ListValue(list) {
		return nil, unproven("the list is not the one that the index had: %w", errors.Join(err))
	}
	return list, nil
}

// opened reads what was opened; whether it belongs to the index is not checked yet.
func (c *indexCheck) opened() ([]replay.Opened, error) {
	var all []replay.Opened
	for i, o := range c.Proof.Opened {
		p, err := index.ParseProof(o.Proof)
		if err != nil {
			return nil, unproven("opened[%d]: %w", i, err)
		}
		one := replay.Opened{Proof: p}
		if copy(one.Key[:], o.Key) != len(o.Key) || len(o.Key) != len(one.Key) {
			return nil, unproven("opened[%d]: a key of %d bytes", i, len(o.Key))
		}
		for _, h := range o.List {
			if len(h) != HashSize {
				return nil, unproven("opened[%d]: a hash of %d bytes", i, len(h))
			}
			one.List = append(one.List, index.Hash(h))
		}
		all = append(all, one)
	}
	return all, nil
}

// step makes the step from the leaf before to this one, and compares.
func (c *indexCheck) step() (string, error) {
	from, start, keys := uint64(0), index.EmptyRoot(), uint64(0)
	if c.previous != nil {
		from, start, keys = c.previous.Size, c.previous.Index, c.previous.Keys
	}
	var entries [][]byte
	for _, e := range c.Proof.Entries {
		entries = append(entries, e.Entry)
	}
	if uint64(len(entries)) != c.root.Size-from {
		return "", unproven("%d entries, the step adds %d", len(entries), c.root.Size-from)
	}
	if err := within(c.log, c.Proof.Before, from, entries, c.Proof.After); err != nil {
		return "", err
	}
	opened, err := c.opened()
	if err != nil {
		return "", err
	}
	p, err := replay.NewPartial(start, opened)
	if err != nil {
		return "", unproven("%w", err)
	}
	if fault, err := c.add(p, from); fault != "" || err != nil {
		return fault, err
	}
	if p.Root() == c.root.Index && keys+p.Added() == c.root.Keys {
		return "", unproven("the step leads to the index that the leaf names")
	}
	return fmt.Sprintf("leaf %d of the index log %s says that the index of the first %d entries of %s has the root %x and %d keys; the leaf before "+
		"it, the entries and their statements give %x and %d", c.Index, c.name, c.root.Size, c.root.Origin, c.root.Index, c.root.Keys,
		p.Root(), keys+p.Added()), nil
}

// add adds the entries of the step: late ones, then new ones. A fault is what is proven on the way.
func (c *indexCheck) add(p *replay.Partial, from uint64) (fault string, err error) {
	if len(c.Proof.Late) != len(c.root.Late) {
		return "", unproven("%d late entries, the leaf names %d", len(c.Proof.Late), len(c.root.Late))
	}
	for i, late := range c.Proof.Late {
		if late.Index != c.root.Late[i] {
			return "", unproven("late entry %d, the leaf names %d", late.Index, c.root.Late[i])
		}
		if err := within(c.log, late.Before, late.Index, [][]byte{late.Entry}, late.After); err != nil {
			return "", err
		}
		if fault, err := c.addOne(p, late.Index, late.LoggedEntry, true); fault != "" || err != nil {
			return fault, err
		}
	}
	for i, entry := range c.Proof.Entries {
		if fault, err := c.addOne(p, from+uint64(i), entry, false); fault != "" || err != nil {
			return fault, err
		}
	}
	return "", nil
}

func (c *indexCheck) addOne(p *replay.Partial, at uint64, e LoggedEntry, late bool) (fault string, err error) {
	_, unresolved := slices.BinarySearch(c.root.Unresolved, at)
	l, err := leaf.Read(e.Entry)
	if err != nil { // nobody's: it is listed nowhere
		if unresolved || late {
			return fmt.Sprintf("leaf %d of the index log %s calls entry %d unresolved or late, which is nobody's", c.Index, c.name, at), nil
		}
		return "", nil
	}
	entry := replay.LogEntry{Index: at, Signer: l.Signer, Late: late}
	if !unresolved {
		if sha256.Sum256(dsse.PAE(predicate.PayloadType, e.Statement)) != l.Digest {
			return "", unproven("the statement of entry %d is not in the file", at)
		}
		if entry.Statement = l.Statement(e.Statement); entry.Statement == nil {
			return fmt.Sprintf("the statement of entry %d cannot be read, and leaf %d of the index log %s does not call it unresolved", at,
				c.Index, c.name), nil
		}
	}
	if err := p.Index(entry); err != nil {
		return "", unproven("%w", err)
	}
	return "", nil
}
