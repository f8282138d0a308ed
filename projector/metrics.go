package projector

import (
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// meter is one view's counters, over all its models.
type meter struct {
	events, errors, fenced, parked, skipped prometheus.Counter
	batches                                 prometheus.Observer
}

// metrics are what a group shows Prometheus: the counters that projections
// keep, and gauges that are computed when they are asked for, so that lag
// grows also while nothing moves.
type metrics struct {
	families   []*family
	events     *prometheus.CounterVec
	errors     *prometheus.CounterVec
	fenced     *prometheus.CounterVec
	parked     *prometheus.CounterVec
	skipped    *prometheus.CounterVec
	batches    *prometheus.HistogramVec
	lagEvents  *prometheus.Desc
	lagSeconds *prometheus.Desc
	position   *prometheus.Desc
	running    *prometheus.Desc
	letters    *prometheus.Desc
	stalled    *prometheus.Desc
	uncleaned  *prometheus.Desc
	lastEvent  *prometheus.Desc
	progress   *prometheus.Desc
	modelLag   *prometheus.Desc
}

func newMetrics(families []*family) *metrics {
	labels := []string{"projection"}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		families: families,
		events:   counter("annals_projection_events_total", "Events applied by this process."),
		errors:   counter("annals_projection_errors_total", "Times that a projection could not go on and began again."),
		fenced:   counter("annals_projection_fenced_total", "Times that another writer had taken the view over."),
		parked:   counter("annals_projection_parked_total", "Streams that this process parked, because an event of theirs could not be applied."),
		skipped:  counter("annals_projection_skipped_total", "Events that this process left out because somebody said so."),
		batches: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "annals_projection_batch_seconds",
			Help:    "Time to store one batch of documents with its checkpoint.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, labels),
		lagEvents:  prometheus.NewDesc("annals_projection_lag_events", "Events of the followed types that are not in the view; exactly 0 when there are none.", labels, nil),
		lagSeconds: prometheus.NewDesc("annals_projection_lag_seconds", "Age of the oldest event that is not in the view.", labels, nil),
		position:   prometheus.NewDesc("annals_projection_checkpoint_position", "Position of the last event in the view.", labels, nil),
		running:    prometheus.NewDesc("annals_projection_running", "1 where the view runs, 0 where it is assigned to another process.", labels, nil),
		letters:    prometheus.NewDesc("annals_dlq_messages", "Streams that are parked: dead letters that wait for an operator.", labels, nil),
		stalled:    prometheus.NewDesc("annals_projection_stalled", "1 if a model of the view is behind and has not moved for half a minute.", labels, nil),
		uncleaned:  prometheus.NewDesc("annals_projection_uncleaned", "1 if the store's files may still hold what a model of the view had of people who were forgotten; projection info says why.", labels, nil),
		lastEvent:  prometheus.NewDesc("annals_projection_last_event_timestamp_seconds", "When the last event in the view was decided.", labels, nil),
		progress:   prometheus.NewDesc("annals_projection_rebuild_progress_ratio", "Part of the events that is in the model that is being built; absent if none is.", labels, nil),
		modelLag:   prometheus.NewDesc("annals_projection_model_lag_events", "Events that are not in a model of the view, by version and role.", append(labels, "version", "role"), nil),
	}
	for _, f := range families {
		f.meter = m.meter(f.name)
	}
	return m
}

func (m *metrics) meter(view string) meter {
	return meter{
		events: m.events.WithLabelValues(view), errors: m.errors.WithLabelValues(view),
		fenced: m.fenced.WithLabelValues(view), batches: m.batches.WithLabelValues(view),
		parked: m.parked.WithLabelValues(view), skipped: m.skipped.WithLabelValues(view),
	}
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
	m.parked.Describe(ch)
	m.skipped.Describe(ch)
	m.batches.Describe(ch)
	ch <- m.lagEvents
	ch <- m.lagSeconds
	ch <- m.position
	ch <- m.running
	ch <- m.letters
	ch <- m.stalled
	ch <- m.uncleaned
	ch <- m.lastEvent
	ch <- m.progress
	ch <- m.modelLag
}

// Collect implements prometheus.Collector. How far a view is, and how far
// behind, is told only where it runs: elsewhere nobody keeps count. The series
// that have no version are those of the live model.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.events.Collect(ch)
	m.errors.Collect(ch)
	m.fenced.Collect(ch)
	m.parked.Collect(ch)
	m.skipped.Collect(ch)
	m.batches.Collect(ch)
	for _, f := range m.families {
		gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, append([]string{f.name}, labels...)...)
		}
		m.collect(f, gauge)
	}
}

func (m *metrics) collect(f *family, gauge func(desc *prometheus.Desc, v float64, labels ...string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		gauge(m.running, 0)
		return
	}
	gauge(m.running, 1)
	stalled, uncleaned, letters := false, false, 0
	for _, k := range f.entry.models() {
		p := f.models[k.Model]
		if p == nil {
			continue
		}
		role := f.entry.role(k.Model)
		g := p.gauges()
		letters += g.letters
		stalled, uncleaned = stalled || g.stalled, uncleaned || g.uncleaned
		gauge(m.modelLag, g.lagEvents, strconv.Itoa(k.Version), role)
		if role == RoleLive {
			gauge(m.lagEvents, g.lagEvents)
			gauge(m.lagSeconds, g.lagSeconds)
			gauge(m.position, g.position)
			if g.lastEvent > 0 {
				gauge(m.lastEvent, g.lastEvent)
			}
		}
		if role == RoleCandidate || role == RoleLive && f.entry.inPlace() {
			gauge(m.progress, g.progress)
		}
	}
	gauge(m.letters, float64(letters))
	gauge(m.stalled, float64(map[bool]int{true: 1}[stalled]))
	gauge(m.uncleaned, float64(map[bool]int{true: 1}[uncleaned]))
}

// gauges is how a model stands, for Prometheus.
type gauges struct {
	lagEvents, lagSeconds, position, lastEvent, progress float64
	stalled, uncleaned                                   bool
	letters                                              int
}

func (p *projection) gauges() gauges {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, least := time.Now(), p.least()
	events, seconds := p.lag(now)
	g := gauges{
		lagEvents: float64(events), lagSeconds: seconds, position: float64(least.Position),
		progress: progressOf(least.Events, events), stalled: p.stalled(now),
		letters: p.parked(), uncleaned: p.uncleaned() != "",
	}
	if !least.Time.IsZero() {
		g.lastEvent = float64(least.Time.UnixNano()) / 1e9
	}
	return g
}
