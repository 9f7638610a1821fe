package posix

import (
	"context"

	"github.com/avow-dev/avow/server/tlog"
)

// Open opens the log in cfg.Dir.
func Open(ctx context.Context, cfg tlog.Config) (*tlog.Log, error) {
	return tlog.Open(ctx, cfg, tlog.Storage{})
}

// Create creates an empty log in cfg.Dir and its anchor.
func Create(ctx context.Context, cfg tlog.Config) error {
	return tlog.Create(ctx, cfg, tlog.Storage{})
}

// Fsck checks the log in cfg.Dir without opening it.
func Fsck(ctx context.Context, cfg tlog.Config, progress func(done, total uint64)) error {
	return tlog.Check(ctx, cfg, tlog.Storage{}, progress)
}
