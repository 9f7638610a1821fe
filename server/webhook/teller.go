package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
)

// Config says whom to tell what. All members but the last three are required.
type Config struct {
	// Endpoints are told, each of its own.
	Endpoints []Endpoint
	// Origin is the statement log's.
	Origin string
	// State is the directory for what is kept of each endpoint.
	State string
	// Watch tells send of what is asked for, until the context ends or send returns an error: [server.Server.Watch].
	Watch func(ctx context.Context, req *avowv1.WatchRequest, send func(*avowv1.WatchResponse) error) error
	// Logger receives a line when an endpoint does not take an event any more, when it does again, and for each dead letter.
	Logger *slog.Logger

	// Poster sends.
	Poster Poster
	// Sleep waits between tries; nil means with a timer.
	Sleep func(context.Context, time.Duration) error
	// Registerer receives the metrics; nil means none.
	Registerer prometheus.Registerer
}

// Teller tells endpoints.
type Teller struct {
	cfg     Config
	files   []Files
	metrics *prometheus.CounterVec
}

// New checks the configuration and makes the directories. It starts nothing.
func New(cfg Config) (*Teller, error) {
	if cfg.Origin == "" || cfg.State == "" || cfg.Watch == nil || cfg.Logger == nil {
		return nil, errors.New("webhooks: the origin, a directory, the events and a logger are needed")
	}
	if n := len(cfg.Endpoints); n > MaxEndpoints {
		return nil, fmt.Errorf("webhooks: got %d endpoints, want at most %d", n, MaxEndpoints)
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Poster.Now == nil {
		cfg.Poster.Now = time.Now
	}
	t := &Teller{cfg: cfg, metrics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "avow_webhook_messages_total",
		Help: "Messages of webhooks, by endpoint and result: taken, not_taken (and tried again), dead."}, []string{"endpoint", "result"})}
	seen := map[string]bool{}
	for n := range cfg.Endpoints {
		e := &cfg.Endpoints[n]
		if err := e.validate(); err != nil {
			return nil, fmt.Errorf("webhooks: %w", err)
		}
		if seen[e.Name] {
			return nil, fmt.Errorf("webhooks: there are two endpoints %s", e.Name)
		}
		seen[e.Name] = true
		f, err := FilesOf(cfg.State, e.Name)
		if err != nil {
			return nil, err
		}
		t.files = append(t.files, f)
		for _, result := range []string{"taken", "not_taken", "dead"} {
			t.metrics.WithLabelValues(e.Name, result)
		}
	}
	if cfg.Registerer != nil {
		return t, cfg.Registerer.Register(t.metrics)
	}
	return t, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Run tells all endpoints until the context ends.
func (t *Teller) Run(ctx context.Context) {
	var running sync.WaitGroup
	for n := range t.cfg.Endpoints {
		running.Go(func() { t.run(ctx, &t.cfg.Endpoints[n], t.files[n]) })
	}
	running.Wait()
}

// run tells one endpoint. What keeps it from being told (no index, a disk that is full) goes away or is in the log.
func (t *Teller) run(ctx context.Context, e *Endpoint, f Files) {
	pause, last := time.Second, ""
	for ctx.Err() == nil {
		err := t.tell(ctx, e, f, func() { pause, last = time.Second, "" })
		if ctx.Err() != nil {
			return
		}
		if text := fmt.Sprint(err); text != last {
			last = text
			t.cfg.Logger.ErrorContext(ctx, "webhook waits", slog.String("endpoint", e.Name), slog.Any("cause", err))
		}
		if t.cfg.Sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, time.Minute)
	}
}

// tell tells one endpoint from where it was, and keeps where it is.
func (t *Teller) tell(ctx context.Context, e *Endpoint, f Files, alive func()) error {
	req := &avowv1.WatchRequest{StatementIds: e.Filter.GetStatementIds(), ArtifactSha256S: e.Filter.GetArtifactSha256S(),
		KeyIds: e.Filter.GetKeyIds(), Vendors: e.Filter.GetVendors(), Products: e.Filter.GetProducts()}
	next, known, err := f.Next()
	if err != nil {
		return err
	}
	if known {
		req.FromLogIndex = &next
	}
	return t.cfg.Watch(ctx, req, func(m *avowv1.WatchResponse) error {
		alive()
		told := m.GetProgress().GetNextLogIndex()
		if s := m.GetStatement(); s != nil {
			if err := t.deliver(ctx, e, f, s); err != nil {
				return err
			}
			told = s.GetLogIndex() + 1 // a late one lies before what was told
		}
		if known && told <= next {
			return nil
		}
		next, known = told, true
		return f.setNext(next)
	})
}

// deliver sends an event until it is taken or given up. An error is the context's, or a dead letter's that cannot be kept.
func (t *Teller) deliver(ctx context.Context, e *Endpoint, f Files, s *avowv1.StatementEvent) error {
	m, err := newMessage(t.cfg.Origin, s, t.cfg.Poster.Now())
	if err != nil {
		return err
	}
	count := func(result string) { t.metrics.WithLabelValues(e.Name, result).Inc() }
	began, pause := t.cfg.Poster.Now(), firstPause
	for try := 1; ; try++ {
		err := t.cfg.Poster.Post(ctx, e, &m)
		if err == nil {
			count("taken")
			if try > 1 {
				t.cfg.Logger.InfoContext(ctx, "webhook takes events again", slog.String("endpoint", e.Name), slog.Int("tries", try))
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		count("not_taken")
		if try == 1 {
			t.cfg.Logger.WarnContext(ctx, "webhook did not take an event", slog.String("endpoint", e.Name), slog.String("id", m.ID), slog.Any("cause", err))
		}
		if now := t.cfg.Poster.Now(); now.Sub(began) >= GiveUpAfter && t.room(f) {
			count("dead")
			t.cfg.Logger.ErrorContext(ctx, "webhook: event given up", slog.String("endpoint", e.Name), slog.String("id", m.ID))
			return f.bury(Letter{ID: m.ID, Body: m.Body, Tries: try, Error: err.Error(), GivenUp: now})
		}
		wait := pause/2 + rand.N(pause/2+1) //nolint:gosec // G404: it spreads tries in time and protects nothing
		var r *refused
		if errors.As(err, &r) {
			wait = max(wait, r.after)
		}
		if err := t.cfg.Sleep(ctx, wait); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// room reports whether another dead letter can be kept.
func (t *Teller) room(f Files) bool {
	dead, err := f.Dead()
	return err == nil && len(dead) < maxDeadLetters
}
