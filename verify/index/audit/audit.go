package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/replay"
)

// Codes of [Error]: a closed list, beside those of package index.
const (
	// CodeLogDiffers: the leaf does not name the root that the entries of the statement log have at its size.
	CodeLogDiffers = "INDEX_LOG_DIFFERS"
	// CodeIndexDiffers: the index that the entries and statements give has another root, or other keys, than the leaf says.
	CodeIndexDiffers = "INDEX_DIFFERS"
	// CodeLateUnknown: the leaf calls an entry late that was not unresolved.
	CodeLateUnknown = "INDEX_LATE_UNKNOWN"
	// CodeStatementMissing: a statement that the index was built with cannot be had, so that nobody can build it again.
	CodeStatementMissing = "INDEX_STATEMENT_MISSING"
)

// Error says which leaf of the index log is not what the log and the statements give.
type Error struct {
	// Code is one of the constants of this package, or index.CodeRootMalformed.
	Code string
	// Leaf is the index of the leaf in the index log.
	Leaf uint64
	// Detail says what was found and what was wanted.
	Detail string
	// Published is the leaf as it was published, and Built as it should be; nil where there is none.
	Published, Built *index.Root
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("index leaf %d: %s: %s", e.Leaf, e.Code, e.Detail) }

// Audit goes through the leaves of the index log from the first on and compares every one. It returns the index as of
// the last, to go on from; or an [*Error] about the first leaf that differs; or an error of the source.
func Audit(ctx context.Context, origin string, leaves iter.Seq2[[]byte, error], s Source) (*Builder, *replay.Version, error) {
	b := NewBuilder(origin)
	v, err := b.ReplayAll(ctx, 0, leaves, s)
	if err != nil {
		return nil, nil, err
	}
	return b, v, nil
}

// ReplayAll is [Builder.Replay] of several leaves, of which the first has the index at. The version is nil if there are none.
func (b *Builder) ReplayAll(ctx context.Context, at uint64, leaves iter.Seq2[[]byte, error], s Source) (*replay.Version, error) {
	var v *replay.Version
	for raw, err := range leaves {
		if err != nil {
			return nil, err
		}
		if v, err = b.Replay(ctx, at, raw, s); err != nil {
			return nil, err
		}
		at++
	}
	return v, nil
}

// Replay makes the step that a leaf describes, and compares the result. After an error the builder is of no use.
func (b *Builder) Replay(ctx context.Context, at uint64, raw []byte, s Source) (*replay.Version, error) {
	refuse := func(code, format string, args ...any) error {
		return &Error{Code: code, Leaf: at, Detail: fmt.Sprintf(format, args...)}
	}
	want, err := index.ParseRoot(raw)
	if err == nil {
		err = want.Follows(b.last)
	}
	var form *index.Error
	switch {
	case errors.As(err, &form):
		return nil, refuse(form.Code, "%s", form.Detail)
	case err != nil:
		return nil, err
	case want.Origin != b.origin:
		return nil, refuse(CodeLogDiffers, "the index of %q, want that of %q", want.Origin, b.origin)
	}
	for _, i := range want.Late {
		if !b.open[i] {
			return nil, refuse(CodeLateUnknown, "entry %d is late, and was not unresolved", i)
		}
		e, err := b.late(ctx, s, i)
		if err != nil {
			return nil, err
		}
		if e.Statement == nil {
			return nil, refuse(CodeStatementMissing, "the statement of entry %d, which came late, cannot be had", i)
		}
		b.addLate(e)
	}
	if err := b.follow(ctx, s, want.Size, unresolved(want)); err != nil {
		return nil, err
	}
	got, v := b.Seal()
	return v, compare(at, want, got)
}

// compare names what differs.
func compare(at uint64, want, got *index.Root) error {
	e := &Error{Leaf: at, Published: want, Built: got}
	n := min(len(want.Unresolved), len(got.Unresolved))
	switch {
	case want.Size != got.Size || want.Tree != got.Tree:
		e.Code = CodeLogDiffers
		e.Detail = fmt.Sprintf("root %x of %d entries, the statement log has %x", want.Tree, want.Size, got.Tree)
	case len(got.Unresolved) > n:
		e.Code = CodeStatementMissing
		e.Detail = fmt.Sprintf("%d entries have no statement that can be read, the leaf names %d", len(got.Unresolved), n)
	case len(want.Unresolved) > n:
		e.Code = CodeIndexDiffers
		e.Detail = fmt.Sprintf("%d entries are called unresolved, and %d are anybody's", len(want.Unresolved), n)
	case want.Index != got.Index || want.Keys != got.Keys:
		e.Code = CodeIndexDiffers
		e.Detail = fmt.Sprintf("root %x of %d keys, the log and the statements give %x of %d", want.Index, want.Keys, got.Index, got.Keys)
	default:
		return nil
	}
	return e
}
