package actor

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the system's. Their labels are aggregate types, never ids.
type metrics struct {
	active      prometheus.GaugeFunc
	behind      prometheus.Gauge
	activations *prometheus.CounterVec
	replayed    *prometheus.CounterVec
	events      *prometheus.CounterVec
	appends     *prometheus.HistogramVec
	conflicts   *prometheus.CounterVec
	snapshots   *prometheus.CounterVec
	failures    *prometheus.CounterVec
	bytes       *prometheus.HistogramVec
}

func newMetrics(s *System) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "annals_" + name, Help: help}, append([]string{"aggregate"}, labels...))
	}
	return &metrics{
		active: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "annals_actors_active", Help: "Actors in memory.",
		}, func() float64 { return float64(s.Active()) }),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "annals_events_since_snapshot_max", Help: "Events since the last snapshot of the actor in memory that has most, at the last sweep.",
		}),
		activations: counter("actor_activations_total", "Activations, by where the state came from.", "source"),
		replayed:    counter("actor_replayed_events_total", "Events folded by activations."),
		events:      counter("events_appended_total", "Events stored."),
		conflicts:   counter("append_conflicts_total", "Conflicts: expected_version is a command whose sender saw another version, log a turn decided anew because the log had moved on, stale_epoch a stream that was written under a later lease, erased a turn decided anew because personal data that its state rested on were erased.", "cause"),
		snapshots:   counter("snapshots_written_total", "Snapshots written."),
		failures:    counter("snapshot_failures_total", "Snapshots that could not be encoded or written."),
		appends: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "annals_append_duration_seconds", Help: "Time from an append to its durable acknowledgement.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12), NativeHistogramBucketFactor: 1.1,
		}, []string{"aggregate"}),
		bytes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "annals_snapshot_bytes", Help: "Size of snapshots.", Buckets: prometheus.ExponentialBuckets(256, 4, 8),
		}, []string{"aggregate"}),
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.active, m.behind, m.activations, m.replayed, m.events, m.appends, m.conflicts, m.snapshots, m.failures, m.bytes,
	} {
		errs = append(errs, r.Register(c))
	}
	return errors.Join(errs...)
}

// kindMetrics are the metrics of one aggregate type, looked up once.
type kindMetrics struct {
	fromSnapshot, fromReplay    prometheus.Counter
	replayed, events            prometheus.Counter
	conflictsExpected           prometheus.Counter
	conflictsLog                prometheus.Counter
	conflictsStale              prometheus.Counter
	conflictsErased             prometheus.Counter
	snapshots, snapshotFailures prometheus.Counter
	appends, snapshotBytes      prometheus.Observer
}

func (m *metrics) forKind(name string) kindMetrics {
	return kindMetrics{
		fromSnapshot: m.activations.WithLabelValues(name, "snapshot"),
		fromReplay:   m.activations.WithLabelValues(name, "replay"),
		replayed:     m.replayed.WithLabelValues(name),
		events:       m.events.WithLabelValues(name),

		conflictsExpected: m.conflicts.WithLabelValues(name, "expected_version"),
		conflictsLog:      m.conflicts.WithLabelValues(name, "log"),
		conflictsStale:    m.conflicts.WithLabelValues(name, "stale_epoch"),
		conflictsErased:   m.conflicts.WithLabelValues(name, "erased"),

		snapshots:        m.snapshots.WithLabelValues(name),
		snapshotFailures: m.failures.WithLabelValues(name),
		appends:          m.appends.WithLabelValues(name),
		snapshotBytes:    m.bytes.WithLabelValues(name),
	}
}

func (m *kindMetrics) activated(source string, replayed int) {
	if source == "snapshot" {
		m.fromSnapshot.Inc()
	} else {
		m.fromReplay.Inc()
	}
	m.replayed.Add(float64(replayed))
}

func (m *kindMetrics) appended(took time.Duration, events int) {
	m.events.Add(float64(events))
	m.appends.Observe(took.Seconds())
}

func (m *kindMetrics) snapshotted(bytes int) {
	m.snapshots.Inc()
	m.snapshotBytes.Observe(float64(bytes))
}
