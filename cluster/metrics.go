package cluster

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	owned, nodes    prometheus.GaugeFunc
	valid           prometheus.GaugeFunc
	handovers       prometheus.Counter
	handoverSeconds prometheus.Histogram
	claims          prometheus.Counter
	losses          prometheus.Counter
	leases          prometheus.Counter
	fenced          prometheus.Counter
	reads           prometheus.Counter
	renewals        *prometheus.CounterVec
}

func newMetrics(c *Cluster) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string, value func() float64) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m := &metrics{
		owned: gauge("annals_cluster_partitions_owned", "Partitions that this node serves.", func() float64 { return float64(c.owned()) }),
		nodes: gauge("annals_cluster_nodes", "Nodes in the directory, as this node sees it.", func() float64 { return float64(c.members()) }),
		valid: gauge("annals_cluster_lease_valid", "1 while this node's lease is valid.", func() float64 {
			if _, valid := c.Session(); valid {
				return 1
			}
			return 0
		}),
		handovers: counter("annals_cluster_handovers_total", "Slots handed over in good order."),
		handoverSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "annals_cluster_handover_seconds", Help: "How long a hand-over took, from taking nothing new to the heir's name being stored.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		claims: counter("annals_cluster_claims_total", "Slots claimed that nobody held."),
		losses: counter("annals_cluster_slots_lost_total", "Slots that another node took without a hand-over."),
		leases: counter("annals_cluster_lease_losses_total", "Sessions of this node that others ended."),
		fenced: counter("annals_cluster_fenced_total", "Sessions of dead nodes that this node ended."),
		reads:  counter("annals_cluster_read_failures_total", "Readings of the directory that failed."),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "annals_cluster_lease_renewals_total", Help: "Renewals of this node's lease.",
		}, []string{"result"}),
	}
	for _, result := range []string{"ok", "unknown", "fenced"} {
		m.renewals.WithLabelValues(result)
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{
		m.owned, m.nodes, m.valid, m.handovers, m.handoverSeconds, m.claims, m.losses, m.leases, m.fenced, m.reads, m.renewals,
	} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *metrics) renewed(err error) {
	switch {
	case err == nil:
		m.renewals.WithLabelValues("ok").Inc()
	case errors.Is(err, errFenced):
		m.renewals.WithLabelValues("fenced").Inc()
	default:
		m.renewals.WithLabelValues("unknown").Inc()
	}
}

func (m *metrics) handedOver(took time.Duration) {
	m.handovers.Inc()
	m.handoverSeconds.Observe(took.Seconds())
}

// owned returns how many partitions this node serves.
func (c *Cluster) owned() (n int) {
	for i := range c.epochs {
		if c.epochs[i].Load() != 0 {
			n++
		}
	}
	return n
}

func (c *Cluster) members() int {
	c.directory.mu.Lock()
	defer c.directory.mu.Unlock()
	return len(c.directory.nodes)
}
