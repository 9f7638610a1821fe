package newest

import (
	"errors"
	"fmt"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/avow-dev/avow/verify"
	"github.com/avow-dev/avow/verify/index"
)

// Shown is what a proof by the complete index begins with: a status bundle, or a listing proof.
type Shown interface {
	GetCheckpoint() string
	GetIndexCheckpoint() string
	GetIndexRoot() string
	GetIndexRootProof() [][]byte
}

// Trust is the caller's.
type Trust struct {
	// Log and IndexLog are the keys of both logs. Required.
	Log, IndexLog *verify.LogKey
	// Witnesses say by whom both checkpoints must be cosigned, by the time At and 5 minutes; nil asks for none.
	Witnesses *verify.WitnessPolicy
	At        time.Time
	// Seen returns the largest tree of a log that the caller was shown before, and nil where none is remembered. Nil: nothing is.
	Seen func(log *verify.LogKey) (*verify.Checkpoint, error)
}

// Kind says which check does not hold. It is the end of the code that a caller's error has.
type Kind string

// The kinds.
const (
	// Checkpoint: not signed by the log that the caller trusts, or not canonical.
	Checkpoint Kind = "CHECKPOINT"
	// Quorum: too few witnesses cosigned a checkpoint.
	Quorum Kind = "QUORUM"
	// RolledBack: smaller than a tree that the caller was shown before.
	RolledBack Kind = "ROLLED_BACK"
	// Fork: not the tree that the caller was shown before.
	Fork Kind = "FORK"
	// Root: not the last leaf of the index log, or not in its form.
	Root Kind = "ROOT"
	// Tree: about another tree than that of the statement log's checkpoint.
	Tree Kind = "TREE"
)

// Error says what does not hold.
type Error struct {
	Kind   Kind
	Detail string
}

// Error implements error.
func (e *Error) Error() string { return string(e.Kind) + ": " + e.Detail }

func refuse(kind Kind, format string, args ...any) error {
	return &Error{Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// Open verifies both checkpoints, and that the root is the newest below one and about the other. It returns the root and the index
// log's checkpoint. The error is an [*Error] or wraps verify.ErrInput.
func Open(s Shown, t Trust) (*index.Root, *verify.Checkpoint, error) {
	log, err := open(s.GetCheckpoint(), t.Log, &t)
	if err != nil {
		return nil, nil, err
	}
	roots, err := open(s.GetIndexCheckpoint(), t.IndexLog, &t)
	if err != nil {
		return nil, nil, err
	}
	if err := t.continues(log, t.Log); err != nil {
		return nil, nil, err
	}
	if err := t.continues(roots, t.IndexLog); err != nil {
		return nil, nil, err
	}
	if roots.Size == 0 {
		return nil, nil, refuse(Root, "the index log is empty")
	}
	h, leaf := rfc6962.DefaultHasher, []byte(s.GetIndexRoot())
	// The last leaf, and no other: an older one says what was true before.
	if err := proof.VerifyInclusion(h, roots.Size-1, roots.Size, h.HashLeaf(leaf), s.GetIndexRootProof(), roots.Root[:]); err != nil {
		return nil, nil, refuse(Root, "the index root is not shown to be the last leaf of %d: %v", roots.Size, err)
	}
	root, err := index.ParseRoot(leaf)
	if err != nil {
		return nil, nil, refuse(Root, "%v", err)
	}
	if root.Origin != t.Log.Origin() || root.Size != log.Size || root.Tree != log.Root {
		return nil, nil, refuse(Tree, "the index is over %d entries of %s with root %x, the checkpoint is of %d with root %x", root.Size,
			root.Origin, root.Tree, log.Size, log.Root)
	}
	return root, roots, nil
}

func open(text string, key *verify.LogKey, t *Trust) (*verify.Checkpoint, error) {
	cp, err := verify.OpenCheckpoint(text, key, t.Witnesses, t.At.Add(verify.DefaultTimestampSkew))
	switch {
	case err == nil:
		return cp, nil
	case errors.Is(err, verify.ErrInput):
		return nil, err
	case errors.Is(err, verify.ErrQuorum):
		return nil, refuse(Quorum, "%v", err)
	}
	return nil, refuse(Checkpoint, "%v", err)
}

// continues compares a checkpoint with what the caller has seen. That a larger tree contains it cannot be seen here.
func (t *Trust) continues(cp *verify.Checkpoint, key *verify.LogKey) error {
	if t.Seen == nil {
		return nil
	}
	seen, err := t.Seen(key)
	if err != nil {
		return fmt.Errorf("%w: %w", verify.ErrInput, err)
	}
	switch {
	case seen == nil || cp.Size > seen.Size:
		return nil
	case cp.Size < seen.Size:
		return refuse(RolledBack, "the checkpoint of %s is of %d entries, and %d were seen before", key.Origin(), cp.Size, seen.Size)
	case cp.Root != seen.Root:
		return refuse(Fork, "the checkpoint of %s has root %x for %d entries, and %x was seen before", key.Origin(), cp.Root, cp.Size, seen.Root)
	}
	return nil
}
