package index

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/avow-dev/avow/server/tlog"
	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// Index follows the statement log. It is safe for concurrent use.
type Index struct {
	cfg     Config
	metrics metrics
	cancel  context.CancelFunc
	running sync.WaitGroup

	current  atomic.Pointer[Set]
	snapshot atomic.Pointer[audit.Snapshot]
	failed   atomic.Pointer[Error] // of the last step; nil if it went well
	behind   atomic.Int64          // since when, in nanoseconds since 1970; zero if it is not

	// Of the one goroutine that steps.
	builder *audit.Builder
	version *replay.Version
	pending *vindex.Root // sealed, and perhaps not logged
	from    uint64       // size of the index log without pending: all of it is the index's own
	tried   bool         // pending was appended with an unknown outcome
	written uint64       // the leaf of the last snapshot, plus one
	retried time.Time
}

// Open replays the index log and follows the statement log from then on. It refuses with a code that [Error.Halts] if a
// root does not come out as it was logged. The context bounds the opening. If the first step cannot be made, the index is
// open all the same: [Index.Current] returns nil until one is.
func Open(ctx context.Context, cfg Config) (*Index, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	x := &Index{cfg: cfg}
	if err := x.replay(ctx); err != nil {
		return nil, classify(err)
	}
	if err := x.step(ctx); err != nil {
		e := classify(err)
		if e.Halts() {
			return nil, e
		}
		x.failed.Store(e)
	}
	x.metrics = newMetrics(x)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	x.cancel = cancel
	x.running.Go(func() { x.follow(running) })
	x.running.Go(func() { x.keepSnapshots(running) })
	return x, nil
}

// OpenHalting is [Open], but an index that differs from what was logged is open all the same, and halted: it answers nothing
// for as long as it is open, and [Index.Health] says why. What does not need the index can go on.
func OpenHalting(ctx context.Context, cfg Config) (*Index, error) {
	x, err := Open(ctx, cfg)
	var why *Error
	if !errors.As(err, &why) || !why.Halts() || why.Code == CodeConfig {
		return x, err
	}
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	cfg.Logger.ErrorContext(ctx, "the index is halted", slog.String("code", why.Code), slog.String("message", why.Message), slog.Any("cause", why.Err))
	x = &Index{cfg: cfg, cancel: func() {}}
	x.failed.Store(why)
	x.behind.Store(cfg.Clock().UnixNano())
	x.metrics = newMetrics(x)
	return x, nil
}

// Close stops following, and writes a last snapshot. The logs stay open.
func (x *Index) Close() error {
	x.cancel()
	x.running.Wait()
	x.metrics.unregister()
	return x.writeSnapshot()
}

// Current is what to answer from; nil if there is nothing yet.
func (x *Index) Current() *Set { return x.current.Load() }

// Lag is for how long, at most, something has been published in the statement log that is not answered yet.
func (x *Index) Lag() time.Duration {
	since := x.behind.Load()
	_, size, _ := x.cfg.Statements.Checkpoint()
	if s := x.current.Load(); since == 0 || s != nil && s.Root.Size == size {
		return 0
	}
	return max(x.cfg.Clock().Sub(time.Unix(0, since)), 0)
}

// Health is an [*Error] if the index stopped, cannot be answered from, or is more than [MaxLag] behind.
func (x *Index) Health() error {
	failed := x.failed.Load()
	switch {
	case failed != nil && failed.Halts():
		return failed
	case x.current.Load() == nil:
		return refuse(CodeBehind, "there is no index yet")
	case x.Lag() > MaxLag:
		if failed != nil {
			return failed
		}
		return refuse(CodeBehind, "%s behind the statement log", x.Lag().Truncate(time.Millisecond))
	}
	return nil
}

// source is the statement log as the builder reads it.
func (x *Index) source() audit.Source {
	return audit.Source{Entries: leaves(x.cfg.Statements), Statement: x.cfg.Statement}
}

func leaves(l *tlog.Log) func(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
	return func(ctx context.Context, from, to uint64) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			for leaf, err := range l.Leaves(ctx, from, to) {
				if !yield(leaf.Data, err) {
					return
				}
			}
		}
	}
}

// follow steps until the context ends or the index stops for good.
func (x *Index) follow(ctx context.Context) {
	tick := time.NewTicker(x.cfg.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := x.step(ctx)
		if ctx.Err() != nil {
			return
		}
		before := x.failed.Load()
		if err == nil {
			x.failed.Store(nil)
			continue
		}
		e := classify(err)
		x.failed.Store(e)
		if before == nil || before.Code != e.Code {
			x.cfg.Logger.ErrorContext(ctx, "index", slog.String("code", e.Code), slog.String("message", e.Message), slog.Any("cause", e.Err))
		}
		if e.Halts() {
			return
		}
	}
}

// step takes the index to the statement log's present checkpoint, in as many leaves as it needs, and then looks for late
// statements. Whatever ends it, the next one goes on from there.
func (x *Index) step(ctx context.Context) error {
	now := x.cfg.Clock()
	raw, size, root := x.cfg.Statements.Checkpoint()
	if s := x.current.Load(); s == nil || s.Root.Size < size {
		x.behind.CompareAndSwap(0, now.UnixNano())
	}
	if x.pending != nil {
		if err := x.log(ctx); err != nil {
			return err
		}
	}
	for x.builder.Size() < size || x.builder.Last() == nil && size == 0 {
		if err := x.builder.Follow(ctx, x.source(), size); err != nil {
			return err
		}
		if err := x.publish(ctx); err != nil {
			return err
		}
	}
	last := x.builder.Last()
	if last.Size != size { // the statement log publishes again what it had published before a crash
		return nil
	}
	if string(last.Tree[:]) != string(root) {
		return refuse(audit.CodeLogDiffers, "the entries of the statement log have the root %x at %d, its checkpoint %x", last.Tree, size, root)
	}
	if err := x.swap(ctx, raw, now); err != nil || now.Sub(x.retried) < x.cfg.RetryInterval {
		return err
	}
	x.retried = now
	if err := x.builder.Retry(ctx, x.source(), maxRetries); err != nil || !x.builder.Changed() {
		return err
	}
	if err := x.publish(ctx); err != nil {
		return err
	}
	return x.swap(ctx, raw, now)
}

// publish seals the step and logs its leaf.
func (x *Index) publish(ctx context.Context) error {
	x.pending, x.version = x.builder.Seal()
	x.tried = false
	return x.log(ctx)
}

// log appends the pending leaf, once: where it is not known what became of an earlier attempt, the log is looked through.
func (x *Index) log(ctx context.Context) error {
	leaf := x.pending.Append(nil)
	if x.tried {
		at, found, err := x.cfg.Roots.Find(ctx, leaf, x.from)
		if err != nil {
			return err
		}
		if found {
			return x.logged(at)
		}
	}
	x.tried = true
	e, err := x.cfg.Roots.Append(ctx, leaf)
	if err != nil {
		return err
	}
	if err := x.logged(e.Index); err != nil {
		return err
	}
	x.cfg.reached("logged")
	return nil
}

// logged takes note of where the pending leaf is: right after the one before it, unless somebody else writes to the index log.
func (x *Index) logged(at uint64) error {
	if at != x.from {
		return refuse(CodeForeign, "the leaf is at %d of the index log, want %d", at, x.from)
	}
	x.pending, x.from = nil, at+1
	return nil
}

// swap makes the last sealed step, whose size the checkpoint has, what is answered from.
func (x *Index) swap(ctx context.Context, checkpoint []byte, started time.Time) error {
	root := x.builder.Last()
	if s := x.current.Load(); s != nil && s.Root == root {
		return nil
	}
	at := x.cfg.Roots.Size() - 1
	e, err := x.cfg.Roots.Prove(ctx, at)
	if err != nil {
		return err
	}
	leaf, err := x.cfg.Roots.Entry(ctx, at)
	if err != nil {
		return err
	}
	if e.TreeSize != at+1 || string(leaf) != string(root.Append(nil)) {
		return refuse(CodeForeign, "the last leaf of the index log, %d of %d, is not the one that was written last", at, e.TreeSize)
	}
	x.snapshot.Store(x.builder.Snapshot(at, x.version))
	x.current.Store(&Set{Checkpoint: checkpoint, Root: root, Leaf: leaf, RootsSize: e.TreeSize, Proof: e.Proof,
		RootsCheckpoint: e.Checkpoint, Version: x.version})
	x.metrics.stepped(x.cfg.Clock().Sub(started))
	// What was published since the step began waits since then, at most.
	since := int64(0)
	if _, size, _ := x.cfg.Statements.Checkpoint(); size > root.Size {
		since = started.UnixNano()
	}
	x.behind.Store(since)
	return nil
}
