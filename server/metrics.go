package server

import (
	"errors"
	"sync/atomic"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"

	avowv1 "github.com/avow-dev/avow/api/avow/v1"
	"github.com/avow-dev/avow/attest/predicate"
)

// metrics are the service's metrics. Every label takes its values from a closed list (methods, status codes, reasons,
// predicate types), so that no request can create a time series.
type metrics struct {
	calls      *grpcprom.ServerMetrics
	refusals   *prometheus.CounterVec
	issued     *prometheus.CounterVec
	repeated   prometheus.Counter
	reconciled prometheus.Counter
	selfCheck  prometheus.Counter
	panics     prometheus.Counter
	// entries are those of the Rekor API.
	entries, entriesRepeated prometheus.Counter
	certificates             prometheus.Counter
	healthy                  prometheus.Gauge
	registryOK               prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, load *admission) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "avow", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "avow", Name: name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		opts := prometheus.CounterOpts{Namespace: "avow", Name: name, Help: help}
		return prometheus.NewCounterVec(opts, []string{label})
	}
	buckets := []float64{.001, .005, .01, .025, .05, .1, .15, .2, .3, .5, 1, 2.5, 5, 10, 30}
	m := &metrics{
		calls: grpcprom.NewServerMetrics(
			grpcprom.WithServerHandlingTimeHistogram(grpcprom.WithHistogramBuckets(buckets))),
		refusals:   vec("refusals_total", "Calls that were answered with an error.", "reason"),
		issued:     vec("statements_issued_total", "Statements that were logged and committed.", "predicate_type"),
		repeated:   counter("statements_repeated_total", "Issue calls answered with the bundle of an earlier one."),
		reconciled: counter("statements_reconciled_total", "Statements that were left pending and completed later."),
		selfCheck: counter("self_check_failures_total",
			"Bundles that did not pass the service's own verification. Anything but 0 is an alarm."),
		entries:         counter("rekor_entries_total", "Entries that were logged without a statement."),
		entriesRepeated: counter("rekor_entries_repeated_total", "Rekor calls answered with an entry of an earlier one."),
		certificates:    counter("certificates_issued_total", "Certificates that were logged and handed out."),
		panics:          counter("panics_total", "Calls that ended in a panic. Anything but 0 is a defect."),
		healthy:         gauge("healthy", "1 while the service can issue statements."),
		registryOK:      gauge("registry_ok", "1 while the vendor registry's file is good."),
	}
	for reason := range avowv1.ErrorReason_name {
		m.refusals.WithLabelValues(reasonName(avowv1.ErrorReason(reason)))
	}
	for _, t := range predicate.AllTypes() {
		m.issued.WithLabelValues(t)
	}
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.calls, m.refusals, m.issued, m.repeated, m.reconciled, m.selfCheck, m.panics, m.entries, m.entriesRepeated,
		m.certificates, m.healthy, m.registryOK,
		inHand("bytes_in_flight", "Size of all requests in hand, in bytes.", &load.bytes),
		inHand("calls_in_flight", "Number of requests in hand.", &load.calls),
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// inHand shows a number of the admission.
func inHand(name, help string, n *atomic.Int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "avow", Name: name, Help: help},
		func() float64 { return float64(n.Load()) })
}

func (m *metrics) setHealthy(service, registry bool) {
	set := func(g prometheus.Gauge, ok bool) {
		if ok {
			g.Set(1)
		} else {
			g.Set(0)
		}
	}
	set(m.healthy, service)
	set(m.registryOK, registry)
}
