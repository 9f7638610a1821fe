package index

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	vindex "github.com/avow-dev/avow/verify/index"
	"github.com/avow-dev/avow/verify/index/audit"
	"github.com/avow-dev/avow/verify/index/replay"
)

// replay builds the index that the index log's leaves describe, from the snapshot or from nothing.
func (x *Index) replay(ctx context.Context) error {
	next, err := x.restore(ctx)
	if err != nil {
		return err
	}
	size := x.cfg.Roots.Size()
	if err := x.notAhead(ctx, size); err != nil {
		return err
	}
	v, err := x.builder.ReplayAll(ctx, next, leaves(x.cfg.Roots)(ctx, next, size), x.source())
	if err != nil {
		return err
	}
	if v != nil {
		x.version = v
	}
	x.from = size
	return nil
}

// notAhead refuses an index log that knows more of the statement log than there is.
func (x *Index) notAhead(ctx context.Context, size uint64) error {
	if size == 0 {
		return nil
	}
	last, err := x.rootAt(ctx, size-1)
	if err != nil {
		return err
	}
	if have := x.cfg.Statements.Size(); last.Size > have {
		return refuse(CodeAhead, "the index log covers %d entries, the statement log has %d", last.Size, have)
	}
	return nil
}

// rootAt is a leaf of the index log.
func (x *Index) rootAt(ctx context.Context, at uint64) (*vindex.Root, error) {
	raw, err := x.cfg.Roots.Entry(ctx, at)
	if err != nil {
		return nil, err
	}
	r, err := vindex.ParseRoot(raw)
	if err != nil {
		return nil, &audit.Error{Code: vindex.CodeRootMalformed, Leaf: at, Detail: err.Error()}
	}
	return r, nil
}

// restore takes over the snapshot, and returns the leaf after it. A snapshot that cannot be used is as good as none.
func (x *Index) restore(ctx context.Context) (next uint64, err error) {
	x.builder = audit.NewBuilder(x.cfg.Statements.Origin())
	if x.cfg.SnapshotPath == "" {
		return 0, nil
	}
	f, err := os.Open(x.cfg.SnapshotPath)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b, s, err := audit.ReadSnapshot(bufio.NewReader(f), func(leaf uint64) (*vindex.Root, error) {
		if leaf >= x.cfg.Roots.Size() {
			return nil, replay.ErrSnapshot
		}
		return x.rootAt(ctx, leaf)
	})
	if errors.Is(err, replay.ErrSnapshot) {
		x.cfg.Logger.WarnContext(ctx, "the snapshot of the index cannot be used; it is built anew", slog.Any("cause", err))
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if origin := b.Last().Origin; origin != x.cfg.Statements.Origin() {
		return 0, refuse(audit.CodeLogDiffers, "the index log is about %q, not %q", origin, x.cfg.Statements.Origin())
	}
	x.builder, x.version, x.written = b, s.Version(), s.Leaf+1
	return x.written, nil
}

// keepSnapshots writes one now and then.
func (x *Index) keepSnapshots(ctx context.Context) {
	tick := time.NewTicker(x.cfg.SnapshotInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := x.writeSnapshot(); err != nil {
			x.cfg.Logger.WarnContext(ctx, "the snapshot of the index was not written", slog.Any("cause", err))
		}
	}
}

// writeSnapshot replaces the snapshot by the newest: after a crash there is the old or the new one, or the old one with a
// temporary file that the next one replaces.
func (x *Index) writeSnapshot() error {
	s := x.snapshot.Load()
	if s == nil || x.cfg.SnapshotPath == "" || s.Leaf+1 == x.written {
		return nil
	}
	tmp := x.cfg.SnapshotPath + ".new"
	if err := writeFile(tmp, s); err != nil {
		return err
	}
	x.cfg.reached("snapshot")
	if err := os.Rename(tmp, x.cfg.SnapshotPath); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(x.cfg.SnapshotPath))
	if err != nil {
		return err
	}
	defer dir.Close()
	x.written = s.Leaf + 1
	return dir.Sync()
}

func writeFile(path string, s *audit.Snapshot) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := s.Write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
