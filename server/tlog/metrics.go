package tlog

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the log's metrics. Labels are the log's origin and the closed list of codes, so that no request can add a
// series.
type metrics struct {
	registerer prometheus.Registerer
	collectors []prometheus.Collector
	latency    prometheus.Histogram
	errors     *prometheus.CounterVec
}

func newMetrics(l *Log) metrics {
	m := metrics{
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "avow_log_append_seconds", Help: "Time from a leaf to its proof under a published checkpoint.",
			Buckets: []float64{.005, .01, .025, .05, .1, .15, .2, .3, .5, 1, 2.5, 5, 10, 30}}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "avow_log_errors_total", Help: "Errors of appends, signing and publication, by code."}, []string{"code"}),
	}
	for _, code := range Codes() {
		m.errors.WithLabelValues(string(code)) // present from the start, so that a rate can be taken
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.collectors = []prometheus.Collector{m.latency, m.errors,
		gauge("avow_log_tree_size", "Integrated entries.", func() float64 { return float64(l.Size()) }),
		gauge("avow_log_published_size", "Entries under the published checkpoint.", func() float64 {
			if p := l.current.Load(); p != nil {
				return float64(p.tree.size)
			}
			return 0
		}),
		gauge("avow_log_publication_lag_seconds", "For how long something integrated has been unpublished.", func() float64 {
			lag, _ := l.lag()
			return lag.Seconds()
		}),
		gauge("avow_log_healthy", "1 if the log accepts and publishes.", func() float64 {
			if l.Health() != nil {
				return 0
			}
			return 1
		}),
	}
	m.collectors = append(m.collectors, l.storage.Witnesses.collectors()...)
	if l.cfg.Registerer == nil {
		return m
	}
	m.registerer = prometheus.WrapRegistererWith(prometheus.Labels{"log": l.id.origin}, l.cfg.Registerer)
	for _, c := range m.collectors {
		if err := m.registerer.Register(c); err != nil {
			l.cfg.Logger.LogAttrs(l.guard.ctx, levelOf(&Error{Code: CodeInvalidConfig}), "metric not registered", attrError(err))
		}
	}
	return m
}

func (m *metrics) appended(d time.Duration) { m.latency.Observe(d.Seconds()) }

// fail counts an error.
func (m *metrics) fail(err error) {
	if m.errors != nil && err != nil {
		m.errors.WithLabelValues(string(CodeOf(err))).Inc()
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
