package projector_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

func TestRebuildOnline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for range 100 {
			s.writer.add("a", 1)
			s.writer.add("b", 1)
		}
		g := s.group(t, totals("totals"))
		running(t, g)
		agrees(t, s.fixture, g, totals("totals"))
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Version: 7}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("rebuild of a version that is none: %v", err)
		}
		for name, err := range map[string]error{
			"promote": g.Promote(soon(t), "totals", false), "cancel": g.Cancel(soon(t), "totals"),
		} {
			if !errors.Is(err, projector.ErrNoCandidate) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, err := range map[string]error{
			"rollback": g.Rollback(soon(t), "totals"), "retire": g.Retire(soon(t), "totals"),
		} {
			if !errors.Is(err, projector.ErrNoPrevious) {
				t.Errorf("%s: %v", name, err)
			}
		}

		m, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Parity: -1})
		if err != nil || m.String() != "totals_v1_b1" {
			t.Fatalf("rebuild: %v, %v", m, err)
		}
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{}); !errors.Is(err, projector.ErrCandidate) {
			t.Errorf("a second rebuild: %v", err)
		}
		rest(time.Minute)
		eventually(t, g, map[string]string{"live": "totals_v1", "candidate": "totals_v1_b1"})
		parity := g.Status(soon(t))[1].Parity
		if parity == nil || parity.Compared != 3 || parity.Differences != 0 {
			t.Errorf("parity is %+v", parity)
		}
		if err := g.Promote(soon(t), "totals", false); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1", "previous": "totals_v1"})
		s.writer.add("a", 1)
		agrees(t, s.fixture, g, totals("totals"))
		if err := g.Rollback(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1", "previous": "totals_v1_b1"})
		agrees(t, s.fixture, g, totals("totals"))
		wantModels(t, s, "totals_v1", "totals_v1_b1")
		if err := g.Retire(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1"})
		wantModels(t, s, "totals_v1")

		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Parity: 2, Switch: true}); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b2", "previous": "totals_v1"})
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true}); err != nil {
			t.Fatal(err)
		}
		if err := g.Cancel(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b2"})
		agrees(t, s.fixture, g, totals("totals"))
		wantModels(t, s, "totals_v1_b2")
	})
}

// While a view is built in place nobody is answered by what is not there yet.
func TestRebuildInPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		registry := prometheus.NewPedanticRegistry()
		cfg := s.config(totals("totals"))
		cfg.Log, cfg.FlushEvery, cfg.Registerer = pacedLog{s.log}, 1, registry
		for range 20 {
			s.writer.add("a", 1)
		}
		g := newGroup(t, cfg)
		running(t, g)
		agrees(t, s.fixture, g, totals("totals"))
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := withTimeout(t, 5*time.Second)
		defer cancel()
		_, err := g.Get(ctx, "totals", "a", 0)
		var rebuilding *projector.RebuildingError
		if !errors.As(err, &rebuilding) || !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("get during a rebuild in place: %v", err)
		}
		got := gathered(t, registry)["annals_projection_rebuild_progress_ratio/totals"]
		if got <= 0 || got >= 1 {
			t.Errorf("progress is %v", got)
		}
		if err := g.Rollback(soon(t), "totals"); !errors.Is(err, projector.ErrRebuilding) {
			t.Errorf("roll-back during a rebuild in place: %v", err)
		}
		if d, err := g.Get(soon(t), "totals", "a", 0); err != nil || decoded(t, d).Count != 20 {
			t.Errorf("after a wait: %s, %v", d.Document, err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1"})
		wantModels(t, s, "totals_v1_b1")
		if _, ok := gathered(t, registry)["annals_projection_rebuild_progress_ratio/totals"]; ok {
			t.Error("progress is told of no rebuild")
		}

		// One that is given up lets the model before it be served again.
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{}); err != nil {
			t.Fatal(err)
		}
		rest(3 * time.Second)
		if err := g.Cancel(soon(t), "totals"); err != nil {
			t.Fatal(err)
		}
		if d, err := g.Get(soon(t), "totals", "a", 0); err != nil || decoded(t, d).Count != 20 {
			t.Errorf("after a rebuild that was given up: %s, %v", d.Document, err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1"})
		wantModels(t, s, "totals_v1_b1")
	})
}

func TestParityRefusesWhatDiffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		other := version(2, func(key string, d total, e store.Recorded[event]) total {
			if key == "b" {
				d.Closed = true
			}
			return d.with(e)
		})
		s.writer.add("a", 1)
		s.writer.add("b", 1)
		first := s.group(t, totals("totals"))
		stop := running(t, first)
		agrees(t, s.fixture, first, totals("totals"))
		stop()
		g := s.group(t, totals("totals"), other)
		running(t, g)
		eventually(t, g, map[string]string{"live": "totals_v1"})
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Version: 2, Parity: -1, Switch: true}); err != nil {
			t.Fatal(err)
		}
		for range 200 { // it is compared while both go on
			s.writer.add("a", 1)
			rest(100 * time.Millisecond)
		}
		eventually(t, g, map[string]string{"live": "totals_v1", "candidate": "totals_v2"})
		err := g.Promote(soon(t), "totals", false)
		var parity *projector.ParityError
		if !errors.As(err, &parity) || parity.Parity == nil || parity.Parity.Differences != 1 || parity.Parity.Compared != 3 {
			t.Fatalf("promote: %v", err)
		}
		if e := parity.Parity.Examples; len(e) != 1 || e[0].Key != "b" || e[0].Live == e[0].Candidate {
			t.Errorf("examples are %+v", e)
		}
		if err := g.Promote(soon(t), "totals", true); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v2", "previous": "totals_v1"})
		if d, err := g.Get(soon(t), "totals", "b", 0); err != nil || !decoded(t, d).Closed {
			t.Errorf("got %s, %v", d.Document, err)
		}
	})
}

// A list that is read over a switch begins again, and misses nothing.
func TestAListOverASwitch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		want := []string{"all of them"}
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			s.writer.add(id, 1)
			want = append(want, id)
		}
		g := s.group(t, totals("totals"))
		running(t, g)
		agrees(t, s.fixture, g, totals("totals"))
		page, cursor, err := g.List(soon(t), "totals", "", 2, 0)
		if err != nil || cursor == "" {
			t.Fatalf("list: %v, %q", err, cursor)
		}
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Switch: true}); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1", "previous": "totals_v1"})
		found := map[string]bool{}
		for {
			for _, d := range page {
				found[d.Key] = true
			}
			if cursor == "" {
				break
			}
			if page, cursor, err = g.List(soon(t), "totals", cursor, 2, 0); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(found))); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	})
}

func TestWaitAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		g := s.group(t, totals("one"), totals("two"))
		running(t, g)
		last := s.writer.add("a", 1)
		if err := g.WaitAll(soon(t), last, "one", "two"); err != nil {
			t.Error(err)
		}
		if err := g.WaitAll(soon(t), last); err != nil {
			t.Error(err)
		}
		if err := g.WaitAll(soon(t), last, "one", "three"); !errors.Is(err, projector.ErrNoView) {
			t.Errorf("a view that is none: %v", err)
		}
		if err := g.Pause(soon(t), "two"); err != nil {
			t.Fatal(err)
		}
		rest(time.Second)
		if err := g.WaitAll(soon(t), s.writer.add("a", 1), "one", "two"); !errors.Is(err, projector.ErrPaused) {
			t.Errorf("one of them is paused: %v", err)
		}
	})
}

func TestStalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		registry := prometheus.NewPedanticRegistry()
		stuck := totals("stuck")
		broken := &faults{memory: s.memory}
		var mu sync.Mutex
		away := false
		broken.onCommit = func(projector.View, projector.Checkpoint, []projector.Document) fault {
			mu.Lock()
			defer mu.Unlock()
			if away {
				return lost
			}
			return none
		}
		set := func(v bool) {
			mu.Lock()
			defer mu.Unlock()
			away = v
		}
		cfg := s.config(stuck)
		cfg.Store, cfg.Registerer = broken, registry
		g := newGroup(t, cfg)
		running(t, g)
		rest(time.Hour) // nothing to do is no stall
		is := func(stalled bool, trend string) {
			t.Helper()
			got := statusOf(t, g, "stuck")
			gauge := gathered(t, registry)["annals_projection_stalled/stuck"] == 1
			if got.Stalled != stalled || gauge != stalled || got.Trend != trend {
				t.Errorf("stalled is %v, as a metric %v, and the lag %s; want %v, %s", got.Stalled, gauge, got.Trend, stalled, trend)
			}
		}
		is(false, projector.TrendSteady)
		set(true)
		s.writer.add("a", 1)
		rest(10 * time.Second)
		is(false, projector.TrendGrowing)
		rest(50 * time.Second)
		is(true, projector.TrendSteady)
		set(false)
		rest(15 * time.Second)
		is(false, projector.TrendShrinking)
		rest(time.Minute)
		is(false, projector.TrendSteady)
		if got := gathered(t, registry)["annals_projection_last_event_timestamp_seconds/stuck"]; time.Since(time.Unix(int64(got), 0)) < time.Minute {
			t.Errorf("the last event was decided at %v", got)
		}
	})
}
