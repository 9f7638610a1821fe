package auditor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/avow-dev/avow/cmd/avow/internal/follow"
	"github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// Defaults of [Auditor].
const (
	// DefaultWorkers is how many requests are made at a time.
	DefaultWorkers = 8
	// keep is the size of the bundles of each log that a run keeps between its two passes, in bytes.
	keep = 32 << 20
)

// Auditor audits the index of one service. All fields but FromScratch, MaxLag, Quorum and Progress are required. Not safe for
// concurrent use.
type Auditor struct {
	// Statements reads the statement log and the statements, Roots the index log. They are asked from several goroutines.
	Statements, Roots *follow.Client
	// Logs and Index are the keys of both.
	Logs, Index *follow.Logs
	// Quorum says whether enough witnesses cosigned a checkpoint; nil asks for none.
	Quorum func(*follow.Head) error
	// Dir holds the state and the evidence files; it must exist.
	Dir string
	// FromScratch replays from the first leaf on. What was seen of the logs is compared all the same.
	FromScratch bool
	// Workers is how many requests are made at a time.
	Workers int
	// MaxLag is for how long entries that the statement log showed may be missing from the index before that is an outage; 0 is
	// for ever.
	MaxLag time.Duration
	// Report is told what is found. An error of its ends the run, which is then repeated.
	Report func(follow.Finding) error
	// Progress is told how many of the entries are indexed.
	Progress func(done, total uint64)
	// Note is told what costs time and is no finding.
	Note func(string)
	// Now is the clock.
	Now func() time.Time
}

// Summary is what a run compared.
type Summary struct {
	// Origin and IndexOrigin are the names of the statement log and of the index log.
	Origin, IndexOrigin string
	// FromLeaf and Leaves are the number of leaves that were compared before and are now; From and Size the same of entries.
	FromLeaf, Leaves uint64
	From, Size       uint64
	// LogSize is the size of the statement log.
	LogSize uint64
	// Keys and Unresolved are of the index.
	Keys       uint64
	Unresolved int
}

// Run audits once everything that is new since the last run. An error is *follow.Outage, or wraps ErrState, or is one of the
// system. After a finding the summary says where it ended.
func (a *Auditor) Run(ctx context.Context) (Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // whatever was asked for ahead
	s, err := a.loadState()
	if err != nil {
		return Summary{}, err
	}
	r := &run{Auditor: a, state: s}
	if err := r.heads(ctx); err != nil {
		return Summary{}, err
	}
	r.sum = Summary{Origin: r.log.Origin, IndexOrigin: r.roots.Origin, LogSize: r.log.Size, FromLeaf: r.next, From: r.builder.Size()}
	err = r.audit(ctx)
	var caught *follow.Caught
	if errors.As(err, &caught) {
		err = r.report(caught)
		r.caught = err == nil
	}
	r.sum.Leaves, r.sum.Size, r.sum.Unresolved = r.next, r.builder.Size(), len(r.builder.Unresolved())
	if last := r.builder.Last(); last != nil {
		r.sum.Keys = last.Keys
	}
	if err != nil || r.caught {
		return r.sum, err
	}
	return r.sum, r.remember()
}

// run is the work of one Run.
type run struct {
	*Auditor
	state      *state
	log, roots *follow.Head
	// logTree and rootTree read the trees of the two, in the order of their entries; places reads anywhere in that of log.
	logTree, rootTree, places *follow.TreeReader
	builder                   *audit.Builder
	// version is the index as of the last leaf that was compared, previous that leaf, and next the one after it.
	version  *replay.Version
	previous []byte
	next     uint64
	// before is the range of the leaves before that.
	before  [][]byte
	entries *pipeline
	sum     Summary
	caught  bool
}

// heads asks for both checkpoints and takes up the state. The index log comes first: what it covers was in the statement
// log before.
func (r *run) heads(ctx context.Context) (err error) {
	if r.roots, err = r.Roots.Current(ctx, r.Index, r.state.roots); err == nil {
		r.log, err = r.Statements.Current(ctx, r.Logs, r.state.log)
	}
	if errors.Is(err, follow.ErrOtherLog) {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if err != nil {
		return err
	}
	for _, h := range []*follow.Head{r.roots, r.log} {
		if r.Quorum == nil {
			break
		}
		if err := r.Quorum(h); err != nil {
			return &follow.Outage{Path: "checkpoint of " + h.Origin, Reason: "it may be a view that others are not shown", Err: err}
		}
	}
	r.logTree, r.rootTree = follow.NewTreeReader(r.Statements, r.log, keep), follow.NewTreeReader(r.Roots, r.roots, keep)
	r.places = follow.NewTreeReader(r.Statements, r.log, keep)
	r.logTree.ReadAhead(r.Workers)
	r.rootTree.ReadAhead(r.Workers)
	r.builder, r.version = audit.NewBuilder(r.log.Origin), (&replay.Tree{}).Publish()
	return r.resume()
}

// audit compares every leaf that is new. The error is *follow.Caught, *follow.Outage, or of the system.
func (r *run) audit(ctx context.Context) error {
	seen := follow.Seen{Head: r.state.roots}
	var err error
	if r.next > 0 {
		seen.Tree = r.state.rootTree
	}
	leaves, err := r.rootTree.Advance(ctx, seen)
	if err != nil {
		return err
	}
	seen = follow.Seen{Head: r.state.log}
	if seen.Tree, err = rangeOf(r.builder); err != nil {
		return err
	}
	entries, err := r.logTree.Advance(ctx, seen)
	if err != nil {
		return err
	}
	plan, err := r.plan(ctx, leaves)
	if err != nil {
		return err
	}
	r.entries = r.startPipeline(ctx, entries, plan)
	defer r.entries.stop()
	if err := r.compare(ctx, leaves, plan); err != nil || r.next == 0 {
		return err
	}
	before, _, _, err := r.rootTree.Entries(ctx, r.next-1, r.next)
	if err == nil {
		r.before = before.Hashes()
	}
	return err
}

// compare replays the leaves one after the other.
func (r *run) compare(ctx context.Context, leaves *follow.Walk, plan *plan) error {
	return r.eachLeaf(ctx, leaves, func(at uint64, raw []byte) (bool, error) {
		v, err := r.builder.Replay(ctx, at, raw, r.source())
		var differs *audit.Error
		if errors.As(err, &differs) {
			r.entries.stop() // its reader is needed
			return false, r.prove(ctx, differs, raw)
		}
		if err != nil {
			return false, err
		}
		r.version, r.previous, r.next = v, raw, at+1
		if r.Progress != nil {
			r.Progress(r.builder.Size(), plan.size)
		}
		return true, nil
	})
}

// eachLeaf calls for every leaf from r.next on, until one says that it was enough.
func (r *run) eachLeaf(ctx context.Context, w *follow.Walk, do func(at uint64, raw []byte) (more bool, err error)) error {
	from := r.next
	for i := range w.Bundles() {
		first, leaves, err := r.rootTree.Bundle(ctx, w, i)
		if err != nil {
			return err
		}
		for n, raw := range leaves {
			at := first + uint64(n) // #nosec G115 -- not negative
			if at < from {
				continue
			}
			if more, err := do(at, raw); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// plan is what the leaves say before any of it is compared: how far they go, and whose statement nobody needs.
type plan struct {
	size       uint64
	unresolved map[uint64]bool
}

func (r *run) plan(ctx context.Context, leaves *follow.Walk) (*plan, error) {
	p := &plan{size: r.builder.Size(), unresolved: map[uint64]bool{}}
	last := r.builder.Last()
	err := r.eachLeaf(ctx, leaves, func(at uint64, raw []byte) (bool, error) {
		root, err := index.ParseRoot(raw)
		if err != nil || root.Origin != r.log.Origin || root.Follows(last) != nil {
			return false, nil // which is found when it is compared
		}
		if root.Size > r.log.Size {
			return false, r.ahead(at, raw, root)
		}
		for _, n := range root.Unresolved {
			p.unresolved[n] = true
		}
		p.size, last = root.Size, root
		return true, nil
	})
	return p, err
}

// ahead is about a leaf that covers what the statement log, asked later, does not show.
func (r *run) ahead(at uint64, raw []byte, root *index.Root) error {
	return r.found(follow.CodeIndexAhead, fmt.Sprintf("leaf %d of %s covers %d entries, and %s shows %d", at, r.roots.Origin, root.Size,
		r.log.Origin, r.log.Size), &follow.Evidence{Kind: follow.KindNotProvable, First: r.log.Raw, Second: r.roots.Raw, Index: at, Leaf: raw,
		Asked: "/checkpoint", Status: 200, Answered: r.log.Raw, Wanted: fmt.Sprintf("a checkpoint of at least %d entries", root.Size)})
}

func (r *run) found(code follow.Code, detail string, e *follow.Evidence) error {
	e.Code = code
	return &follow.Caught{Code: code, Detail: detail, Evidence: e}
}

// report keeps the evidence and tells.
func (r *run) report(c *follow.Caught) error {
	name, err := c.Evidence.Write(r.Dir)
	if err != nil {
		return err
	}
	h := r.log
	if bytes.Equal(c.Evidence.Second, r.roots.Raw) {
		h = r.roots
	}
	return r.Report(follow.Finding{Code: c.Code, Class: follow.Misbehaviour, Origin: h.Origin, Size: h.Size, Detail: c.Detail, Evidence: name})
}
