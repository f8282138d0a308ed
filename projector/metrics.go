package projector

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meter is one projection's counters.
type meter struct {
	events, errors, fenced prometheus.Counter
	batches                prometheus.Observer
}

// metrics are what a group shows Prometheus: the counters that projections
// keep, and gauges that are computed when they are asked for, so that lag
// grows also while nothing moves.
type metrics struct {
	projections []*projection
	events      *prometheus.CounterVec
	errors      *prometheus.CounterVec
	fenced      *prometheus.CounterVec
	batches     *prometheus.HistogramVec
	lagEvents   *prometheus.Desc
	lagSeconds  *prometheus.Desc
	position    *prometheus.Desc
	running     *prometheus.Desc
}

func newMetrics(projections []*projection) *metrics {
	labels := []string{"projection"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		projections: projections,
		events:      counter("annals_projection_events_total", "Events applied by this process."),
		errors:      counter("annals_projection_errors_total", "Times that a projection could not go on and began again."),
		fenced:      counter("annals_projection_fenced_total", "Times that another writer had taken the view over."),
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "annals_projection_batch_seconds",
			Help:    "Time to store one batch of documents with its checkpoint.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, labels),
		lagEvents:  prometheus.NewDesc("annals_projection_lag_events", "Events of the followed types that are not in the view; exactly 0 when there are none.", labels, nil),
		lagSeconds: prometheus.NewDesc("annals_projection_lag_seconds", "Age of the oldest event that is not in the view.", labels, nil),
		position:   prometheus.NewDesc("annals_projection_checkpoint_position", "Position of the last event in the view.", labels, nil),
		running:    prometheus.NewDesc("annals_projection_running", "1 where the view runs, 0 where it is assigned to another process.", labels, nil),
	}
	for _, p := range projections {
		name := p.desc.Name
		p.meter = meter{
			events: m.events.WithLabelValues(name), errors: m.errors.WithLabelValues(name),
			fenced: m.fenced.WithLabelValues(name), batches: m.batches.WithLabelValues(name),
		}
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	if err := r.Register(m); err != nil {
		return fmt.Errorf("register projection metrics: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.events.Describe(ch)
	m.errors.Describe(ch)
	m.fenced.Describe(ch)
	m.batches.Describe(ch)
	ch <- m.lagEvents
	ch <- m.lagSeconds
	ch <- m.position
	ch <- m.running
}

// Collect implements prometheus.Collector. How far a view is, and how far
// behind, is told only where it runs: elsewhere nobody keeps count.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.events.Collect(ch)
	m.errors.Collect(ch)
	m.fenced.Collect(ch)
	m.batches.Collect(ch)
	for _, p := range m.projections {
		p.mu.Lock()
		away := p.away
		events, seconds := p.lag(time.Now())
		position := p.least().Position
		p.mu.Unlock()
		gauge := func(desc *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, p.desc.Name)
		}
		if away {
			gauge(m.running, 0)
			continue
		}
		gauge(m.running, 1)
		gauge(m.lagEvents, float64(events))
		gauge(m.lagSeconds, seconds)
		gauge(m.position, float64(position))
	}
}
