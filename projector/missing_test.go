package projector_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/projector"
)

// A view that stands still is told to be as far behind as it is: by how many
// events, and since when.
func TestALagIsToldWhileNothingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		registry := prometheus.NewPedanticRegistry()
		cfg := s.config(totals("totals"))
		cfg.Registerer = registry
		g := newGroup(t, cfg)
		running(t, g)
		if err := g.Wait(soon(t), "totals", s.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		if err := g.Pause(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		rest(time.Second) // what is under way is written
		oldest := time.Now()
		for range 20 {
			s.writer.add("b", 1)
			rest(2 * time.Second)
		}
		rest(time.Minute)
		got, age := statusOf(t, g, "totals"), time.Since(oldest).Seconds()
		if got.LagEvents != 20 || got.LagSeconds < age-1 || got.LagSeconds > age+1 {
			t.Errorf("%d events and %.0f s behind, want 20 and %.0f: %+v", got.LagEvents, got.LagSeconds, age, got)
		}
		metrics := gathered(t, registry)
		if events, seconds := metrics["annals_projection_lag_events/totals"], metrics["annals_projection_lag_seconds/totals"]; events != 20 || seconds < age-1 {
			t.Errorf("as metrics: %v events and %v s", events, seconds)
		}
		if _, err := g.Verify(soon(t), "totals", true); !errors.Is(err, projector.ErrPaused) {
			t.Errorf("documents of a paused view were compared: %v", err)
		}
		if err := g.Resume(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		agrees(t, s.fixture, g, totals("totals"))
		if got := statusOf(t, g, "totals"); got.LagEvents != 0 || got.LagSeconds != 0 {
			t.Errorf("caught up: %+v", got)
		}
	})
}
