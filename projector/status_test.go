package projector_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// slowly delays each commit.
func (f *fixture) slowly(d time.Duration) *faults {
	return &faults{memory: f.memory, onCommit: func(projector.View, projector.Checkpoint, []projector.Document) fault {
		rest(d)
		return none
	}}
}

func TestProgressWhileCatchingUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		const commits, perCommit = 50, 3
		for range commits {
			f.writer.append(store.StreamID{Type: "counter", ID: "a"}, added{1}, added{1}, added{1})
		}
		wide := totals("wide") // so many documents that each commit of the store takes three events
		wide.Keys = func(e store.Recorded[event]) []string {
			var keys []string
			for i := range 300 {
				keys = append(keys, fmt.Sprintf("%d-%d", e.Version, i))
			}
			return keys
		}
		out := &logged{}
		g := newGroup(t, projector.Config{
			Log: f.log, Store: f.slowly(time.Second), Logger: out.logger(), Projections: []projector.Definition{wide},
		})
		running(t, g)
		rest(20*time.Second + time.Millisecond)
		s := statusOf(t, g, "wide")
		if s.State != projector.StateCatchingUp || s.Rate < 2.9 || s.Rate > 3.1 {
			t.Errorf("status is %+v", s)
		}
		if behind := s.LagEvents + s.Events; behind < commits*perCommit || behind > commits*perCommit+perCommit || s.LagSeconds < 20 {
			t.Errorf("%d events applied and %d behind of %d, %v s", s.Events, s.LagEvents, commits*perCommit, s.LagSeconds)
		}
		rest(time.Minute)
		s = statusOf(t, g, "wide")
		if s.State != projector.StateLive || s.Rate != 0 || s.LagEvents != 0 || s.LagSeconds != 0 || s.Events != commits*perCommit {
			t.Errorf("status is %+v", s)
		}
		lines := strings.Count(out.String(), `msg="projection catching up"`)
		if lines < 8 || lines > 10 {
			t.Errorf("%d lines of progress in 50 s, want one each 5 s:\n%s", lines, out)
		}
		for _, part := range []string{"rate=3 ", "time_left=", "left=", `msg="projection caught up"`, "projection=wide"} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("progress does not say %q:\n%s", part, out)
			}
		}
	})
}

func TestStatusInJSON(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(projector.Status{Error: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"build", "checkpoint", "error", "events", "hash", "head", "lag_events", "lag_seconds", "name", "parked", "paused", "progress", "rate",
		"seconds_left", "skipped", "stalled", "state", "version",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(fields))); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		registry := prometheus.NewPedanticRegistry()
		stuck := totals("stuck")
		stuck.Fold = func(string, total, store.Recorded[event]) total { panic("never") }
		cfg := projector.Config{Log: f.log, Store: f.memory, Registerer: registry, Projections: []projector.Definition{totals("totals"), stuck}}
		g := newGroup(t, cfg)
		if _, err := projector.NewGroup(cfg); err == nil {
			t.Error("two groups registered the same metrics")
		}
		running(t, g)
		var last store.Position
		for range 5 {
			last = f.writer.add("a", 1)
		}
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		rest(100 * time.Second)
		got := gathered(t, registry)
		for name, want := range map[string]float64{
			"annals_projection_events_total/totals":        5,
			"annals_projection_errors_total/totals":        0,
			"annals_projection_lag_events/totals":          0,
			"annals_projection_lag_seconds/totals":         0,
			"annals_projection_checkpoint_position/totals": float64(last),
			"annals_projection_events_total/stuck":         5,
			"annals_projection_checkpoint_position/stuck":  float64(last),
			"annals_projection_lag_events/stuck":           0,
			"annals_projection_lag_seconds/stuck":          0,
			"annals_projection_parked_total/stuck":         1,
			"annals_projection_skipped_total/stuck":        0,
			"annals_projection_parked_total/totals":        0,
			"annals_dlq_messages/stuck":                    1,
			"annals_dlq_messages/totals":                   0,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		for name, least := range map[string]float64{
			"annals_projection_batch_seconds/totals": 1,
			"annals_projection_errors_total/stuck":   2,
		} {
			if v, ok := got[name]; !ok || v < least {
				t.Errorf("%s is %v, want at least %v", name, v, least)
			}
		}
	})
}

// gathered reads all metrics as name/projection.
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == "annals_projection_model_lag_events" {
				continue // has labels of its own
			}
			if len(m.GetLabel()) != 1 || m.GetLabel()[0].GetName() != "projection" {
				t.Errorf("%s has the labels %v", family.GetName(), m.GetLabel())
			}
			name := family.GetName() + "/" + m.GetLabel()[0].GetValue()
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// The proof tells every way in which a history can be another.
func TestProof(t *testing.T) {
	t.Parallel()
	type step struct {
		position store.Position
		id       uuid.UUID
	}
	a, b, c := step{1024, uuid.UUID{1}}, step{2048, uuid.UUID{2}}, step{3072, uuid.UUID{3}}
	proofOf := func(steps ...step) projector.Proof {
		var p projector.Proof
		for _, s := range steps {
			p.Add(s.position, s.id)
		}
		return p
	}
	whole := proofOf(a, b, c)
	if whole != proofOf(a, b, c) || whole.Events != 3 {
		t.Errorf("the proof of one history is %+v", whole)
	}
	for name, other := range map[string]projector.Proof{
		"skipped": proofOf(a, c), "doubled": proofOf(a, b, b, c), "moved": proofOf(b, a, c),
		"replaced": proofOf(a, b, step{3072, uuid.UUID{4}}), "elsewhere": proofOf(a, b, step{4096, uuid.UUID{3}}),
	} {
		if other.Hash == whole.Hash {
			t.Errorf("%s: the same hash", name)
		}
	}
	const golden = "8fca803a5750cffaf98952415e07e26b"
	if got := whole.Hash.String(); got != golden {
		t.Errorf("hash is %s, want %s: stored proofs would not verify any more", got, golden)
	}
}
