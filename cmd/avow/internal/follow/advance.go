package follow

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

// Seen is what is remembered of a log. The zero value is nothing, the beginning.
type Seen struct {
	// Head is the checkpoint that was shown last; nil at the beginning.
	Head *Head
	// Tree is the compact range of the first entries of its tree, as many as were looked at; nil is none.
	Tree *compact.Range
}

// Caught says that a log, or who serves it, did what must not happen.
type Caught struct {
	Code   Code
	Detail string
	// Evidence is what is kept of it. Its Code and its Second are set.
	Evidence *Evidence
}

func (c *Caught) Error() string { return string(c.Code) + ": " + c.Detail }

// Current asks for the checkpoint. A smaller one than was seen may come from a cache: it is asked for again. The error
// is *Outage, or wraps ErrOtherLog.
func (c *Client) Current(ctx context.Context, logs *Logs, seen *Head) (*Head, error) {
	pause := firstPause
	for try := 1; ; try++ {
		now, err := c.Checkpoint(ctx, logs)
		switch {
		case err != nil:
			return nil, err
		case seen != nil && seen.Origin != now.Origin:
			return nil, fmt.Errorf("%w: it is of the log %s, and the server shows %s", ErrOtherLog, seen.Origin, now.Origin)
		case seen == nil || now.Size >= seen.Size || try == maxTries:
			return now, nil
		}
		if err := c.Sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// ErrOtherLog says that what is remembered is of another log than the one that is shown.
var ErrOtherLog = errors.New("another log than the one that is remembered")

// caught is a Caught under the checkpoint that was read.
func (t *TreeReader) caught(code Code, detail string, e *Evidence) error {
	e.Code, e.Second = code, t.head.Raw
	return &Caught{code, detail, e}
}

// Advance reads the entries after seen.Tree and checks that they, and those before, are the tree that was signed, that
// it contains the one that was seen, and that the hash tiles say the same. The error is *Caught, *Outage, or of the system.
func (t *TreeReader) Advance(ctx context.Context, seen Seen) (*Walk, error) {
	if err := t.compare(seen.Head); err != nil {
		return nil, err
	}
	if seen.Tree == nil {
		seen.Tree = tree.NewEmptyRange(0)
	}
	w, err := t.grow(ctx, seen)
	if err != nil {
		return nil, t.fault(err)
	}
	root, err := RootOf(w.Tree)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(root, t.head.Root) {
		return nil, t.diagnose(ctx, w, seen)
	}
	if err := t.contains(w, seen.Head); err != nil {
		return nil, err
	}
	return w, t.fault(t.checkTiles(ctx, w))
}

// compare compares the sizes and roots of the remembered checkpoint and of the one that is served.
func (t *TreeReader) compare(old *Head) error {
	switch {
	case old == nil:
		return nil
	case t.head.Size < old.Size:
		return t.caught(CodeRolledBack, fmt.Sprintf("the log %s shows %d entries and has shown %d", old.Origin, t.head.Size, old.Size),
			&Evidence{Kind: KindNotProvable, First: old.Raw, Asked: t.path("/checkpoint"), Status: 200, Answered: t.head.Raw,
				Wanted: fmt.Sprintf("a checkpoint of at least %d entries", old.Size)})
	case t.head.Size == old.Size && !bytes.Equal(t.head.Root, old.Root):
		return t.caught(CodeFork, fmt.Sprintf("the log %s signed two trees of %d entries", old.Origin, old.Size),
			&Evidence{Kind: KindFork, First: old.Raw})
	}
	return nil
}

// contains compares the tree at the size that was seen, where the entries were read from further back.
func (t *TreeReader) contains(w *Walk, old *Head) error {
	if old == nil {
		return nil
	}
	root, err := RootOf(w.before)
	if err != nil || bytes.Equal(root, old.Root) {
		return err
	}
	return t.inconsistent(old, w.before, w.after)
}

func (t *TreeReader) inconsistent(old *Head, before, after *compact.Range) error {
	return t.caught(CodeInconsistent, fmt.Sprintf("the tree of %d entries of %s does not contain the one of %d that the log signed before",
		t.head.Size, old.Origin, old.Size), &Evidence{Kind: KindInconsistent, First: old.Raw, Before: before.Hashes(), After: after.Hashes()})
}

// Bundle reads the i-th bundle of a walk again, which must be what it was. The index is that of its first entry; entries
// before the ones that the walk began with are among them. The error is as that of Advance.
func (t *TreeReader) Bundle(ctx context.Context, w *Walk, i int) (first uint64, entries [][]byte, err error) {
	index := w.begin/TileWidth + uint64(i) // #nosec G115 -- not negative
	data, entries, err := t.entries(ctx, index)
	if want := w.bundles[i]; err == nil && sha256.Sum256(data) != want {
		err = &tileFault{path: t.path(EntriesPath(index, uint64(len(entries)))), got: data,
			want: fmt.Sprintf("bytes with SHA-256 %x, as a moment before", want), err: errors.New("it changed")}
	}
	return index * TileWidth, entries, t.fault(err)
}

// diagnose finds out why the entries do not give the root that was signed. If the hash tiles do, they are the tree:
// then the log signed a tree that does not contain the old one, or its entries are not what it serves.
func (t *TreeReader) diagnose(ctx context.Context, w *Walk, seen Seen) error {
	split := w.before.End()
	wanted := fmt.Sprintf("tiles and entries that hash to the root %x of the checkpoint", t.head.Root)
	before, err := t.nodes(ctx, 0, split)
	var after *compact.Range
	if err == nil {
		after, err = t.nodes(ctx, split, t.head.Size)
	}
	var outage *Outage
	if errors.As(err, &outage) && ctx.Err() == nil {
		// What was served is wrong, even if what would tell why is not.
		return t.caught(CodeTile, "the entries do not give the root that the log signed; "+err.Error(),
			&Evidence{Kind: KindNotProvable, Asked: outage.Path, Wanted: wanted})
	}
	if err != nil {
		return t.fault(err)
	}
	if root, err := Joined(before, w.after); err == nil && bytes.Equal(root, t.head.Root) {
		after = w.after // the new entries are right, whatever the tiles say of them
	}
	whole, err := Joined(before, after)
	if err != nil {
		return err
	}
	if !bytes.Equal(whole, t.head.Root) {
		return t.caught(CodeTile, "neither the entries nor the hash tiles give the root that the log signed",
			&Evidence{Kind: KindNotProvable, Asked: t.path("/tile/"), Wanted: wanted})
	}
	if start, err := RootOf(before); err == nil && seen.Head != nil && !bytes.Equal(start, seen.Head.Root) {
		return t.inconsistent(seen.Head, before, after)
	}
	return t.wrongBundle(ctx, w, wanted)
}

// wrongBundle is about the entry bundle that is not what the hash tiles, which give the root, say of it.
func (t *TreeReader) wrongBundle(ctx context.Context, w *Walk, wanted string) error {
	if w.fault == nil {
		return t.caught(CodeTile, "the entries do not give the root that the log signed",
			&Evidence{Kind: KindNotProvable, Asked: t.path("/tile/entries/"), Wanted: wanted})
	}
	data, entries, err := t.entries(ctx, w.fault.index)
	if err != nil {
		return t.fault(err)
	}
	return t.fault(&tileFault{path: t.path(EntriesPath(w.fault.index, uint64(len(entries)))), got: data,
		want: "entries with the leaf hashes " + hex.EncodeToString(w.fault.got),
		err:  errors.New("the entries are not those that the log signed")})
}

// fault makes a tile that is not that of the tree a Caught. Other errors, and nil, stay what they are.
func (t *TreeReader) fault(err error) error {
	var fault *tileFault
	if !errors.As(err, &fault) {
		return err
	}
	return t.caught(CodeTile, fault.Error(), &Evidence{Kind: KindNotProvable, Asked: fault.path, Status: 200, Answered: fault.got,
		Wanted: fault.want})
}

// Nodes reads the compact range from begin to end from the hash tiles. Whoever needs it to be that of the tree compares the
// root that it gives. The error is as that of Advance.
func (t *TreeReader) Nodes(ctx context.Context, begin, end uint64) (*compact.Range, error) {
	r, err := t.nodes(ctx, begin, end)
	return r, t.fault(err)
}
