package index

import (
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the index's metrics. None has labels.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector
	steps      prometheus.Histogram
}

func newMetrics(x *Index) metrics {
	m := metrics{registerer: x.cfg.Registerer, steps: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "avow_index_step_seconds", Help: "Time from a checkpoint of the statement log to answers under it.",
		Buckets: []float64{.01, .025, .05, .1, .15, .2, .3, .5, 1, 2.5, 5, 10, 30}})}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	of := func(value func(*Set) uint64) func() float64 {
		return func() float64 {
			if s := x.Current(); s != nil {
				return float64(value(s))
			}
			return 0
		}
	}
	m.collectors = []prometheus.Collector{m.steps,
		gauge("avow_index_size", "Entries of the statement log that the index covers.", of(func(s *Set) uint64 { return s.Root.Size })),
		gauge("avow_index_keys", "Keys of the index.", of(func(s *Set) uint64 { return s.Root.Keys })),
		gauge("avow_index_leaves", "Leaves of the index log.", of(func(s *Set) uint64 { return s.RootsSize })),
		gauge("avow_index_lag_seconds", "For how long something published has not been answered.", func() float64 { return x.Lag().Seconds() }),
		gauge("avow_index_healthy", "1 if the index is answered from and keeps up.", func() float64 {
			if x.Health() != nil {
				return 0
			}
			return 1
		}),
		gauge("avow_index_unresolved", "Entries whose statement is missing.", func() float64 {
			if s := x.snapshot.Load(); s != nil {
				return float64(s.Unresolved())
			}
			return 0
		}),
	}
	if m.registerer == nil {
		return m
	}
	for _, c := range m.collectors {
		if err := m.registerer.Register(c); err != nil {
			x.cfg.Logger.Warn("metric not registered", slog.Any("cause", err))
		}
	}
	return m
}

// stepped observes a step.
func (m *metrics) stepped(d time.Duration) {
	if m.steps != nil {
		m.steps.Observe(d.Seconds())
	}
}

func (m *metrics) unregister() {
	if m.registerer == nil {
		return
	}
	for _, c := range m.collectors {
		m.registerer.Unregister(c)
	}
}
