package gateway

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
)

// Outcomes of commands beside the codes in lower case.
const (
	outcomeOK        = "ok"
	outcomeDuplicate = "duplicate"
	outcomeDropped   = "dropped"
)

// unknownLabel stands for every name that no aggregate has: what askers make
// up must not become a label.
const unknownLabel = "unknown"

type metrics struct {
	commands *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	unknown  commandMeter

	forwarded struct{ command, get, query, operation prometheus.Counter }
	passed    *prometheus.CounterVec // what forwarded counts
	parked    prometheus.Gauge
	parkedFor prometheus.Histogram
	moved     prometheus.Counter

	republished prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "annals_commands_total",
			Help: "Commands answered, by outcome: ok, duplicate, dropped, or the error code in lower case.",
		}, []string{"aggregate", "command", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:                            "annals_command_duration_seconds",
			Help:                            "Time from a command's arrival at the gateway to its answer.",
			Buckets:                         []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
			NativeHistogramBucketFactor:     1.1,
			NativeHistogramMaxBucketNumber:  100,
			NativeHistogramMinResetDuration: time.Hour,
		}, []string{"aggregate", "command"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "annals_gateway_in_flight",
			Help: "Commands and gets taken in and neither answered nor passed on yet.",
		}),
		passed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "annals_gateway_forwarded_total",
			Help: "Requests passed on to the node that answers them: commands, gets, queries and operations.",
		}, []string{"what"}),
		parked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "annals_gateway_parked",
			Help: "Commands and gets that wait for a node that serves their partition.",
		}),
		parkedFor: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "annals_gateway_parked_seconds",
			Help:    "How long commands and gets waited for a node that serves their partition.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		moved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "annals_gateway_moved_total",
			Help: "Commands and gets that the actors gave back because their partition went elsewhere.",
		}),
		republished: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "annals_gateway_republished_total",
			Help: "Requests refused because a server had taken them out of a stream: somebody who may make streams tries to ask as another.",
		}),
	}
	m.forwarded.command = m.passed.WithLabelValues("command")
	m.forwarded.get = m.passed.WithLabelValues("get")
	m.forwarded.query = m.passed.WithLabelValues("query")
	m.forwarded.operation = m.passed.WithLabelValues("operation")
	m.unknown = m.meter(unknownLabel, unknownLabel)
	return m
}

// passedOn is the counter of what is asked of a view and passed on.
func (m *metrics) passedOn(r *request) prometheus.Counter {
	if strings.HasPrefix(r.path, pathControl) {
		return m.forwarded.operation
	}
	return m.forwarded.query
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.commands, m.duration, m.inFlight, m.passed, m.parked, m.parkedFor, m.moved, m.republished} {
		if err := r.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// commandMeter measures one known command.
type commandMeter struct {
	metrics            *metrics
	aggregate, command string
	ok                 prometheus.Counter
	duration           prometheus.Observer
}

func (m *metrics) meter(aggregate, command string) commandMeter {
	return commandMeter{
		metrics: m, aggregate: aggregate, command: command,
		ok:       m.commands.WithLabelValues(aggregate, command, outcomeOK),
		duration: m.duration.WithLabelValues(aggregate, command),
	}
}

// done counts an answered command.
func (c *commandMeter) done(r *request, code Code, duplicate bool) {
	outcome := outcomeOK
	switch {
	case code != "":
		outcome = strings.ToLower(string(code))
	case duplicate:
		outcome = outcomeDuplicate
	}
	c.count(outcome, time.Since(r.began))
}

func (c *commandMeter) count(outcome string, took time.Duration) {
	if outcome == outcomeOK {
		c.ok.Inc()
	} else {
		c.metrics.commands.WithLabelValues(c.aggregate, c.command, outcome).Inc()
	}
	c.duration.Observe(took.Seconds())
}

// aggregate is what the gateway knows of an aggregate.
type aggregate struct {
	definition actor.Definition
	meters     map[string]*commandMeter
}

func (m *metrics) aggregates(definitions []actor.Definition) map[string]*aggregate {
	all := make(map[string]*aggregate, len(definitions))
	for _, d := range definitions {
		a := &aggregate{definition: d, meters: map[string]*commandMeter{}}
		for _, name := range append(d.CommandNames(), d.OldCommandNames()...) {
			meter := m.meter(d.TypeName(), name)
			a.meters[name] = &meter
		}
		all[d.TypeName()] = a
	}
	return all
}
