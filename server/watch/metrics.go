package watch

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the hub's metrics. None has labels.
type metrics struct{ events prometheus.Counter }

func newMetrics(h *Hub) metrics {
	m := metrics{events: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "avow_watch_events_total", Help: "Events that were made for watchers, each once for all of them."})}
	if h.cfg.Registerer == nil {
		return m
	}
	for _, c := range []prometheus.Collector{m.events,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "avow_watchers", Help: "Watchers."}, func() float64 {
			h.mu.Lock()
			defer h.mu.Unlock()
			return float64(h.watchers)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "avow_watch_catching_up",
			Help: "Watchers that are reading from the logs."}, func() float64 { return float64(len(h.catching)) }),
	} {
		if err := h.cfg.Registerer.Register(c); err != nil {
			h.cfg.Logger.Warn("metric not registered", slog.Any("cause", err))
		}
	}
	return m
}

func (m *metrics) told(n int) { m.events.Add(float64(n)) }
