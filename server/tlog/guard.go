package tlog

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/transparency-dev/tessera/api/layout"
)

// guard is a note.Signer that signs a tree only if it grew from the last tree that it signed.
//
// Tessera trusts its directory: a flipped bit in a tile, a restored snapshot, a tree state that was rolled back, and it
// would sign a corrupt or forked tree. The guard therefore computes the root itself, from what it signed before and
// from the entries as they lie on disk now, and remembers each signed tree in the anchor before the signature leaves
// it.
type guard struct {
	// ctx ends the disk reads of Sign, whose signature has no context.
	ctx    context.Context
	id     identity
	reader Reader
	path   string // of the anchor
	window uint64

	// signed is called, with the lock held, after each signature over a larger tree, with that tree and the leaves that
	// it added.
	signed func(t tree, added []hash)
	// refused is called, with the lock held, with each error of Sign.
	refused func(err error)

	attempts atomic.Uint64 // calls of Sign

	mu     sync.Mutex
	closed bool
	last   []byte // the anchor's bytes as they must be on disk
	tree   tree   // the last signed tree; holds at least its rightmost, possibly partial, bundle of leaves
}

// Name returns the log's origin.
func (g *guard) Name() string { return g.id.origin }

// KeyHash returns the note key id.
func (g *guard) KeyHash() uint32 { return g.id.signer.KeyHash() }

// Sign signs the text of a checkpoint, or returns an [*Error] without having signed.
func (g *guard) Sign(text []byte) ([]byte, error) {
	g.attempts.Add(1)
	g.mu.Lock()
	defer g.mu.Unlock()
	sig, err := g.sign(text)
	if err != nil {
		g.refused(err)
	}
	return sig, err
}

// close makes every further Sign a refusal.
func (g *guard) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *guard) sign(text []byte) ([]byte, error) {
	if g.closed {
		return nil, &Error{Code: CodeClosed, Message: "the log is closed"}
	}
	h, err := parseHead(text, g.id.origin)
	if err != nil {
		return nil, &Error{Code: CodeCorrupt, Message: "asked to sign something that is not a checkpoint of this log", Err: err}
	}
	if err := g.checkAnchor(); err != nil {
		return nil, err
	}
	if h.size < g.tree.size {
		return nil, rollback(h.size, g.tree.size)
	}
	if h.size == g.tree.size {
		// Tessera republishes an unchanged tree from time to time: nothing new to remember.
		if h.root != g.tree.root() {
			return nil, rootMismatch(h.size)
		}
		return g.id.signer.Sign(text)
	}
	added, err := g.added(h.size)
	if err != nil {
		return nil, err
	}
	next := g.tree.extend(added)
	if next.root() != h.root {
		return nil, rootMismatch(h.size)
	}
	return g.commit(text, next, added)
}

// commit signs, then remembers, then lets the signature go. A crash between any two steps leaves an anchor that is at
// most as new as the tree on disk, because Tessera made that tree durable before it asked.
func (g *guard) commit(text []byte, next tree, added []hash) ([]byte, error) {
	sig, err := g.id.signer.Sign(text)
	if err != nil {
		return nil, Unavailable("signing a checkpoint", err)
	}
	data := anchor{origin: g.id.origin, logID: g.id.logID, size: next.size, nodes: next.compactRange()}.marshal()
	if err := writeAnchor(g.path, data); err != nil {
		// Either anchor may be on disk now. Both belong to this log, and the next attempt must not take the new one for
		// a stranger's.
		if now, _, readErr := readAnchor(g.path, g.id); readErr == nil && now.size == next.size {
			g.last = data
		}
		return nil, Unavailable("writing the anchor", err)
	}
	g.last = data
	if next.size-next.start >= 2*g.window {
		next = next.trim((next.size - g.window) &^ (layout.EntryBundleWidth - 1))
	}
	g.tree = next
	g.signed(next, added)
	return sig, nil
}

// checkAnchor makes sure that the anchor is still the one that this guard wrote: whoever replaces it, or serves a copy
// of the log with it, is noticed before the next signature.
func (g *guard) checkAnchor() error {
	data, err := readAtMost(g.path, MaxAnchorBytes)
	if err != nil {
		return anchorMissing(err)
	}
	if !bytes.Equal(data, g.last) {
		return &Error{Code: CodeAnchorInvalid, Message: "the anchor was replaced while the log was open", Hint: hintAnchor}
	}
	return nil
}

// added reads back from disk the entries that the tree of the given size has and the last signed one has not. The
// bundle in which the signed tree ends is read from its beginning and compared: Tessera copies its older entries
// forward, and with them any flipped bit.
func (g *guard) added(size uint64) ([]hash, error) {
	begin := g.tree.size &^ (layout.EntryBundleWidth - 1)
	added := make([]hash, 0, size-g.tree.size)
	for ri := range layout.Range(begin, size-begin, size) {
		entries, err := readBundle(g.ctx, g.reader, ri.Index, size)
		if err != nil {
			return nil, err
		}
		for i, entry := range entries {
			index, leaf := ri.Index*layout.EntryBundleWidth+uint64(i), hashLeaf(entry)
			if index >= g.tree.size {
				added = append(added, leaf)
			} else if signed, ok := g.tree.node(0, index); !ok || signed != leaf {
				return nil, entryMismatch(index)
			}
		}
	}
	return added, nil
}

func rollback(got, signed uint64) *Error {
	return &Error{Code: CodeRollback, Hint: hintRollback,
		Message: fmt.Sprintf("the log has %d entries, but a tree of %d was signed", got, signed)}
}

func rootMismatch(size uint64) *Error {
	return &Error{Code: CodeCorrupt, Hint: hintCorrupt,
		Message: fmt.Sprintf("the root of the tree of %d is not what its entries and the last signed tree give", size)}
}

func entryMismatch(index uint64) *Error {
	return &Error{Code: CodeCorrupt, Hint: hintCorrupt,
		Message: fmt.Sprintf("entry %d on disk is not the one that was signed", index)}
}

const (
	hintRollback = "the directory is older than what was signed, perhaps restored: bring back the newest files; never sign from here"
	hintCorrupt  = "run fsck to find the damaged file and restore it from a copy of the public files; never sign from here"
)
