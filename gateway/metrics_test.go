package gateway_test

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
)

func succeed(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
	reply(actor.Result{Version: 1, Position: 1024}, nil)
}

func TestMetricsHaveOnlyKnownNamesAsLabels(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	b := startBank(t, func(c *gateway.Config) { c.Registerer = registry })
	ask := func(subject, body string, headers ...string) { request(t, b.conn, subject, body, headers...) }
	ask("bank.cmd.account.a.open", `{"owner":"Ann"}`, "Annals-Command-Id", "1")
	ask("bank.cmd.account.a.open", `{"owner":"Ann"}`, "Annals-Command-Id", "1")
	ask("bank.cmd.account.a.withdraw", `{"cents":1}`)
	ask("bank.cmd.account.a.withdraw", `{"cents":"x"}`)
	ask("bank.cmd.account.made-up-by-a-client.made-up", ``)
	ask("bank.cmd.made-up.a.open", ``)
	ask("bank.cmd.nonsense", ``)
	ask("bank.cmd.account.a.open", ``, "Content-Type", "text/html")
	want := map[string]float64{
		"account crash ok": 0, "account deposit ok": 0, "account touch ok": 0, "account withdraw ok": 0, "unknown unknown ok": 0,
		"account open ok": 1, "account open duplicate": 1, "account open invalid": 1,
		"account withdraw rejected": 1, "account withdraw invalid": 1,
		"unknown unknown invalid": 1, "unknown unknown unknown_type": 2,
	}
	// The counter moves just after the answer is sent.
	eventually(t, "the counters are right", func() bool {
		return maps.Equal(want, gather(t, registry, "annals_commands_total"))
	})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", problems, err)
	}
	if n := len(gather(t, registry, "annals_command_duration_seconds")); n != 6 {
		t.Errorf("%d histograms, want one for each command and one for unknown ones", n)
	}
}

// gather returns the values, or counts, of a metric by the values of its labels.
func gather(t *testing.T, g prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			key := fmt.Sprintf("%s %s %s", labels["aggregate"], labels["command"], labels["outcome"])
			got[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return got
}

func TestInFlightIsMeasured(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := startServer(t)
	replies := make(chan func(actor.Result, error), 1)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { replies <- reply }}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, Registerer: registry})
	if err := connect(t, s).Publish("bank.cmd.account.a.touch", nil); err != nil {
		t.Fatal(err)
	}
	reply := receive(t, replies)
	inFlight := func() float64 { return gather(t, registry, "annals_gateway_in_flight")["  "] }
	if n := inFlight(); n != 1 {
		t.Errorf("%v while a command is under way", n)
	}
	reply(actor.Result{}, nil)
	if n := inFlight(); n != 0 {
		t.Errorf("%v after its answer", n)
	}
}

func TestTwoGatewaysCannotShareARegistry(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	config := gateway.Config{Conn: connect(t, startServer(t)), Namespace: namespace, Actors: &fakeActors{}, Registerer: registry}
	if _, err := gateway.New(config); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.New(config); err == nil {
		t.Error("accepted")
	}
}
