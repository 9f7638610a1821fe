package tlog

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// watch looks after publication, once per checkpoint interval.
func (l *Log) watch(ctx context.Context) {
	ticker := time.NewTicker(l.cfg.CheckpointInterval)
	defer ticker.Stop()
	var w watchdog
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.tick(ctx, l)
		}
	}
}

// watchdog is what the watching goroutine remembers from tick to tick.
type watchdog struct {
	ticks    int
	attempts uint64 // of signing, when last looked at
	quiet    int    // ticks since the last attempt, while something is unpublished
}

const (
	// quietTicks is the number of intervals without an attempt to sign after which the driver is taken to be misled by
	// the clock: it needs at most two.
	quietTicks = 3
	// writableTicks is the number of intervals between two checks that the log can be written, and whether its
	// checkpoint was published anew.
	writableTicks = 20
	// longAgo is longer than any clock is wrong in practice.
	longAgo = 10 * 365 * 24 * time.Hour
)

func (w *watchdog) tick(ctx context.Context, l *Log) {
	w.ticks++
	if w.ticks%writableTicks == 0 {
		_ = l.writable() // Health tells the answer
		l.refresh(ctx)
	}
	lag, stopped := l.lag()
	if stopped {
		return
	}
	w.unblock(ctx, l, lag > 0)
	l.mu.Lock()
	was := l.late
	l.late = lag > MaxLag
	var given []*waiter
	if l.late {
		e := l.lateError(lag)
		given, l.waiting = l.waiting, nil
		for _, waiter := range given {
			l.resolve(waiter, e)
		}
	}
	late := l.late
	l.mu.Unlock()
	switch {
	case late && !was:
		e := l.lateError(lag)
		l.metrics.fail(e)
		l.cfg.Logger.LogAttrs(ctx, slog.LevelError, "publication is late", attrError(e), slog.Int("answered", len(given)))
	case was && !late:
		l.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "publication has resumed")
	}
}

// unblock resets the checkpoint's time if something waits for publication and the driver does not even try: Tessera
// v1.0.4 compares the file's modification time with the clock (storage/posix, publishCheckpoint), so a clock that went
// back by an hour stops publication for that hour. Here only intervals are counted, so that no clock is trusted.
func (w *watchdog) unblock(ctx context.Context, l *Log, lagging bool) {
	attempts := l.guard.attempts.Load()
	if !lagging || attempts != w.attempts {
		w.attempts, w.quiet = attempts, 0
		return
	}
	// While the witnesses are being asked there is no attempt either.
	if w.quiet++; w.quiet < quietTicks+l.storage.Witnesses.rounds(l.cfg.CheckpointInterval) {
		return
	}
	w.quiet = 0
	err := l.storage.Backdate(longAgo)
	if err != nil {
		l.cfg.Logger.LogAttrs(ctx, slog.LevelError, "checkpoint's time not reset", attrError(err))
		return
	}
	l.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "publication did not begin: checkpoint's time reset, the clock may have gone back")
}

// lag returns for how long something integrated has been unpublished, and whether the log has stopped for good.
func (l *Log) lag() (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lagSince.IsZero() {
		return 0, l.failed != nil
	}
	return max(l.cfg.Clock().Sub(l.lagSince), 1), l.failed != nil
}

// writable asks the driver whether a write can succeed, and remembers the answer for Health.
func (l *Log) writable() *Error {
	var e *Error
	if err := l.storage.Writable(); err != nil {
		e = Unavailable("writing to the log", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unwell = e
	return e
}

func (l *Log) lateError(lag time.Duration) *Error {
	e := &Error{Code: CodeUnavailable, Hint: "look for the reason in the log: a full disk, or witnesses that do not answer",
		Message: fmt.Sprintf("entries are integrated but unpublished for %v, more than %v", lag.Round(time.Second), MaxLag)}
	if complaint := l.storage.Witnesses.complaint(); complaint != "" {
		e.Message, e.Hint = complaint+"; "+e.Message, hintWitnesses
	}
	return e
}

// waitError is the answer to a caller whose context ended before its checkpoint was published.
func (l *Log) waitError(ctx context.Context) *Error {
	e := Unavailable("waiting for a checkpoint", ctx.Err())
	if complaint := l.storage.Witnesses.complaint(); complaint != "" {
		e.Message, e.Hint = complaint+"; "+e.Message, hintWitnesses
	}
	return e
}

const hintWitnesses = "nothing is published without a quorum of witnesses; it resumes by itself when enough of them answer"

// Health returns nil if the log accepts leaves and publishes them. Otherwise it returns the [*Error] that says why not:
// the guard's refusal, publication that has been late for more than [MaxLag] or waits for a quorum of witnesses that is
// not there, or a log that cannot be written.
func (l *Log) Health() error {
	lag, _ := l.lag()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.failed != nil:
		return l.failed
	case l.closing:
		return &Error{Code: CodeClosed, Message: "the log is closed"}
	case lag > MaxLag:
		return l.lateError(lag)
	case l.unwell != nil:
		return l.unwell
	}
	if complaint := l.storage.Witnesses.complaint(); lag > 0 && complaint != "" {
		return &Error{Code: CodeUnavailable, Message: complaint, Hint: hintWitnesses}
	}
	return nil
}

// levelOf is the level at which an error is logged: what needs an operator is an error, what passes is a warning.
func levelOf(e *Error) slog.Level {
	if e.Code.Retryable() {
		return slog.LevelWarn
	}
	return slog.LevelError
}

func attrError(err error) slog.Attr { return slog.Any("error", err) }
