package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/digitorus/timestamp"

	"github.com/avow-dev/avow/internal/trustroot"
)

// logWindow is when the service's own log is in use, by the trusted root that buyers have: what is logged outside of it
// no buyer accepts.
type logWindow struct {
	origin string
	// entry is the log's own; named tells whether the root names the log at all.
	entry trustroot.Entry
	named bool
	// next is the log that follows it; "" if the root announces none.
	next string
}

func newLogWindow(cfg Config) (*logWindow, error) {
	root, err := trustroot.Parse(cfg.TrustedRoot)
	if err != nil {
		return nil, err
	}
	w := &logWindow{origin: cfg.Log.Origin()}
	if w.entry, w.named = root.Log(cfg.Log.LogID()); w.named {
		if next, ok := root.Successor(w.entry); ok {
			w.next = next.Name
		}
	}
	return w, nil
}

// check refuses what would be logged at a time outside of the window.
func (w *logWindow) check(now time.Time) error {
	if !w.named {
		return refuse(reasonLogNotInUse, "the trusted root does not name the log %s; what is issued is still served", w.origin)
	}
	text := func(format string, at time.Time) error {
		message := fmt.Sprintf(format, w.origin, at.UTC().Format(time.RFC3339))
		if w.next != "" && !now.Before(w.entry.Start) {
			message += "; its successor is " + clip(w.next, 100)
		}
		return refuse(reasonLogNotInUse, "%s", message)
	}
	switch w.entry.State(now) {
	case trustroot.Announced:
		return text("the log %s is announced and takes entries from %s on", w.entry.Start)
	case trustroot.Ended:
		return text("the log %s took its last entry at %s; what is issued is still served", w.entry.End)
	case trustroot.InUse:
	}
	return nil
}

// checkFresh is checkTokens for tokens that were made after check: they can be outside only where the window ends.
func (w *logWindow) checkFresh(tokens [][]byte) error {
	if w.entry.End.IsZero() {
		return nil
	}
	return w.checkTokens(tokens)
}

// checkTokens refuses tokens whose time lies outside of the window: the window may end between the first look at the
// clock and the authority's answer, an authority has a clock of its own, and a bundle may come from another log.
func (w *logWindow) checkTokens(tokens [][]byte) error {
	for _, token := range tokens {
		stamp, err := timestamp.ParseResponse(token)
		if err != nil {
			return fmt.Errorf("timestamp of an authority: %w", err)
		}
		if err := w.check(stamp.Time); err != nil {
			return err
		}
	}
	return nil
}

// notInUse reports whether an error says that the log's window is closed.
func notInUse(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.reason == reasonLogNotInUse
}
