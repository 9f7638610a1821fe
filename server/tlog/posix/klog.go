package posix

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// redirected makes sure that klog's logger is set once, before Tessera's goroutines use it. It is global because klog
// is.
var redirected sync.Once

// RedirectKlog sends the lines that Tessera logs through klog to a logger, with the attribute component=tessera. Only
// the first call in a process does something, because klog allows a change only while nobody logs; [Open] and [Create]
// call it with the logger of their configuration.
func RedirectKlog(logger *slog.Logger) {
	redirected.Do(func() {
		h := logger.With(slog.String("component", "tessera")).Handler()
		klog.SetSlogLogger(slog.New(&limited{Handler: h, state: &limit{}}))
	})
}

// Tessera's lines are limited to maxLines in each period of the records' own times.
const (
	maxLines    = 20
	limitPeriod = 10 * time.Second
)

// limited is a handler that drops records over the limit and says how many it dropped.
type limited struct {
	slog.Handler
	state *limit
}

type limit struct {
	mu      sync.Mutex
	begin   time.Time
	lines   int
	dropped int
}

// unwitnessed is in a line that Tessera writes at each interval without a quorum of witnesses. The log itself says once
// which of them does not cosign.
const unwitnessed = "witness policy was not satisfied"

// Handle passes a record on or drops it.
func (h *limited) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, unwitnessed) {
		return nil
	}
	h.state.mu.Lock()
	dropped := 0
	if age := r.Time.Sub(h.state.begin); age < 0 || age >= limitPeriod {
		dropped = h.state.dropped
		h.state.begin, h.state.lines, h.state.dropped = r.Time, 0, 0
	}
	h.state.lines++
	over := h.state.lines > maxLines
	if over {
		h.state.dropped++
	}
	h.state.mu.Unlock()
	if over {
		return nil
	}
	if dropped > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("dropped_before", dropped))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs returns the handler with attributes, under the same limit.
func (h *limited) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &limited{Handler: h.Handler.WithAttrs(attrs), state: h.state}
}

// WithGroup returns the handler with a group, under the same limit.
func (h *limited) WithGroup(name string) slog.Handler {
	return &limited{Handler: h.Handler.WithGroup(name), state: h.state}
}
