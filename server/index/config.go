package index

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/avow-dev/avow/server/tlog"
)

// Limits and defaults. They are all here.
const (
	// LagAim is how far behind the statement log the index is meant to be at most.
	LagAim = time.Second
	// MaxLag is the lag above which [Index.Health] turns red.
	MaxLag = 10 * time.Second
	// DefaultPoll is how often the statement log is looked at, and how soon something that did not work is tried again.
	DefaultPoll = 20 * time.Millisecond
	// DefaultRetryInterval is how often the statements of unresolved entries are looked for.
	DefaultRetryInterval = 5 * time.Second
	// DefaultSnapshotInterval is how often a snapshot is written, if something changed.
	DefaultSnapshotInterval = 10 * time.Minute
	// maxRetries is how many unresolved entries are looked for at a time.
	maxRetries = 512
)

// Config says what the index is over. The caller opens and closes both logs.
type Config struct {
	// Statements is the statement log; Roots is the index log, which nobody else may write to.
	Statements, Roots *tlog.Log
	// Statement returns the payload that the entry at an index of the statement log is about, nil if it cannot be had. An error
	// means that it is not known, and the index waits.
	Statement func(ctx context.Context, at uint64, entry []byte) ([]byte, error)
	// SnapshotPath is the file that a snapshot is kept in; empty means none.
	SnapshotPath string
	// SnapshotInterval, RetryInterval and Poll have defaults.
	SnapshotInterval, RetryInterval, Poll time.Duration
	// Logger receives the few lines of the index. Required.
	Logger *slog.Logger
	// Clock is used for the lag. Default time.Now.
	Clock func() time.Time
	// Registerer receives the metrics; nil means none.
	Registerer prometheus.Registerer

	reached func(stage string) // of tests that kill
}

func (c Config) withDefaults() (Config, error) {
	if c.Statements == nil || c.Roots == nil || c.Statement == nil || c.Logger == nil {
		return c, refuse(CodeConfig, "both logs, the statements and a logger are needed")
	}
	if c.Statements.Origin() == c.Roots.Origin() {
		return c, refuse(CodeConfig, "both logs have the origin %q", c.Roots.Origin())
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.SnapshotInterval, DefaultSnapshotInterval}, {&c.RetryInterval, DefaultRetryInterval}, {&c.Poll, DefaultPoll}} {
		if *d.value < 0 {
			return c, refuse(CodeConfig, "the interval %s is negative", *d.value)
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.reached == nil {
		c.reached = func(string) {}
	}
	return c, nil
}
