package projector_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// assigned makes a group that runs what its assignment says.
func (f *fixture) assigned(t testing.TB, cfg projector.Config) (*projector.Group, *projector.Assignment) {
	t.Helper()
	a := &projector.Assignment{}
	if cfg.Log == nil {
		cfg.Log = f.log
	}
	if cfg.Store == nil {
		cfg.Store = f.memory
	}
	cfg.Assigned, cfg.Reassigned = a.Assigned, a.Reassigned
	return newGroup(t, cfg), a
}

func wantElsewhere(t *testing.T, g *projector.Group, view string) {
	t.Helper()
	_, err := g.Get(soon(t), view, "a", 0)
	_, _, listed := g.List(soon(t), view, "", 10, 0)
	for what, err := range map[string]error{"get": err, "list": listed, "wait": g.Wait(soon(t), view, 1)} {
		if !errors.Is(err, projector.ErrElsewhere) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), view) {
			t.Errorf("%s: %v, want ErrElsewhere of view %s", what, err, view)
		}
	}
	want := projector.Status{Name: view, Version: 1, State: projector.StateElsewhere}
	got := statusOf(t, g, view)
	got.Shares = nil // of workers whose view is elsewhere
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func stopped(t *testing.T, g *projector.Group, view string) {
	t.Helper()
	if err := g.Stopped(soon(t), view); err != nil {
		t.Error(err)
	}
}

func TestViewsRunWhereTheyAreAssigned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g, a := f.assigned(t, projector.Config{Projections: []projector.Definition{totals("one"), totals("two")}})
		wantElsewhere(t, g, "one")
		a.Assign("one")
		end := running(t, g)
		wantElsewhere(t, g, "two")
		for round := range 3 {
			stays, goes := "one", "two"
			if round%2 == 1 {
				stays, goes = goes, stays
			}
			a.Assign(stays)
			a.Withdraw(goes)
			stopped(t, g, goes)
			last := f.writer.add("a", 1)
			if d, err := g.Get(soon(t), stays, "a", last); err != nil || decoded(t, d).Count != round+1 {
				t.Errorf("round %d: %s, %v", round, d.Document, err)
			}
			if s := statusOf(t, g, stays); s.State != projector.StateLive || s.Checkpoint != last {
				t.Errorf("round %d: status is %+v", round, s)
			}
			wantElsewhere(t, g, goes)
		}
		a.Assign("two")
		agrees(t, f, g, totals("two"))
		a.Withdraw("one")
		stopped(t, g, "one")
		end()
		wantElsewhere(t, g, "one")
		if got := statusOf(t, g, "two").State; got != projector.StateStopped {
			t.Errorf("after Run the view that ran is %s", got)
		}
		stopped(t, g, "two")
		if err := g.Stopped(soon(t), "three"); !errors.Is(err, projector.ErrNoView) {
			t.Errorf("end of a view that is none: %v", err)
		}
	})
}

// hangingLog is a log that does not answer for its end while it hangs.
type hangingLog struct {
	store.Log
	mu    sync.Mutex
	hangs bool
}

func (l *hangingLog) set(hangs bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hangs = hangs
}

func (l *hangingLog) Tip(ctx context.Context, types ...string) (store.Position, error) {
	l.mu.Lock()
	hangs := l.hangs
	l.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return l.Log.Tip(ctx, types...)
}

// Who waits for a view that leaves learns it at once: also while the log is
// asked on their behalf, and before the view has written what it had folded.
func TestWaitersLearnThatTheViewLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		log := &hangingLog{Log: f.log}
		g, a := f.assigned(t, projector.Config{Log: log, Store: f.slowly(3 * time.Second), Projections: []projector.Definition{totals("totals")}})
		a.Assign("totals")
		running(t, g)
		if err := g.Wait(soon(t), "totals", f.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		log.set(true)
		last := f.writer.add("a", 1)
		left := make(chan error, 20)
		for range cap(left) {
			go func() { left <- g.Wait(soon(t), "totals", last+1024) }()
		}
		rest(time.Second) // one of them asks the log, and the write goes on
		began := time.Now()
		a.Withdraw("totals")
		for range cap(left) {
			if err := <-left; !errors.Is(err, projector.ErrElsewhere) {
				t.Errorf("wait: %v", err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("they learned it after %v", took)
		}
		stopped(t, g, "totals")
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the view stopped after %v, want what the write took", took)
		}
	})
}

// heldFeed delivers so many commits and then nothing, though the log has more.
type heldFeed struct {
	store.Feed
	left int
}

func (d *heldFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	if d.left == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	commits, err := d.Feed.Next(ctx, min(limit, d.left))
	d.left -= len(commits)
	return commits, err
}

type heldLog struct {
	store.Log
	commits int
}

func (l *heldLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	return &heldFeed{Feed: feed, left: l.commits}, err
}

// What waits to be written when a view is withdrawn is written, and the next
// start resumes there.
func TestAStopWritesWhatIsFolded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		var positions []store.Position
		for range 40 {
			positions = append(positions, f.writer.add("a", 1))
		}
		log := &heldLog{Log: f.log, commits: 20}
		var written []projector.Checkpoint
		watched := &faults{memory: f.memory, onCommit: func(_ projector.View, c projector.Checkpoint, _ []projector.Document) fault {
			written = append(written, c)
			return none
		}}
		g, a := f.assigned(t, projector.Config{
			Log: log, Store: watched, FlushEvery: time.Hour, Projections: []projector.Definition{totals("totals")},
		})
		running(t, g)
		for _, want := range []store.Position{positions[19], positions[29]} {
			before := len(written)
			a.Assign("totals")
			rest(time.Minute)
			if len(written) > before {
				t.Error("it was written before the stop: this shows nothing")
			}
			a.Withdraw("totals")
			stopped(t, g, "totals")
			if len(written) != before+1 || written[before].Position != want {
				t.Errorf("the stop wrote %+v, want position %d", written[before:], want)
			}
			log.commits = 10 // the commit of the checkpoint comes first again
			if want == positions[19] {
				log.commits++
			}
		}
	})
}

// stuckStore is a store that does not answer.
type stuckStore struct {
	*projector.Memory
	get, commit bool
}

type stuckView struct {
	projector.View
	store *stuckStore
}

func (s *stuckStore) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Memory.Open(ctx, layout)
	return stuckView{v, s}, err
}

func (v stuckView) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	if v.store.get {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return v.View.Get(ctx, keys, since...)
}

func (v stuckView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if v.store.commit {
		<-ctx.Done()
		return w.Checkpoint, ctx.Err()
	}
	return v.View.Commit(ctx, w)
}

// However stuck the store is, a stop is over after CommitTimeout; a read is not
// waited for at all.
func TestAStopIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		get, commit bool
		want        time.Duration
	}{
		"commits hang": {commit: true, want: 4 * time.Second},
		"reads hang":   {get: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				g, a := f.assigned(t, projector.Config{
					Log: &heldLog{Log: f.log, commits: 1}, Store: &stuckStore{Memory: f.memory, get: c.get, commit: c.commit},
					CommitTimeout: 4 * time.Second, FlushEvery: time.Hour, Projections: []projector.Definition{totals("totals")},
				})
				f.writer.add("a", 1)
				f.writer.add("a", 1)
				a.Assign("totals")
				running(t, g)
				rest(time.Minute)
				began := time.Now()
				a.Withdraw("totals")
				ctx, cancel := withTimeout(t, 10*time.Millisecond)
				defer cancel()
				if err := g.Stopped(ctx, "totals"); c.commit && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("stopped: %v, want the end of the wait", err)
				}
				stopped(t, g, "totals")
				if took := time.Since(began); took != c.want {
					t.Errorf("the stop took %v, want %v", took, c.want)
				}
			})
		})
	}
}

func TestMetricsOfAViewThatRunsElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		registry := prometheus.NewPedanticRegistry()
		g, a := f.assigned(t, projector.Config{Registerer: registry, Projections: []projector.Definition{totals("totals")}})
		series := []string{"lag_events", "lag_seconds", "checkpoint_position"}
		shown := func(want bool) {
			t.Helper()
			rest(time.Minute)
			got := gathered(t, registry)
			for _, name := range series {
				if _, ok := got["annals_projection_"+name+"/totals"]; ok != want {
					t.Errorf("%s is shown: %v, want %v", name, ok, want)
				}
			}
			if here := got["annals_projection_running/totals"] == 1; here != want {
				t.Errorf("running is %v, want %v", here, want)
			}
		}
		shown(false)
		running(t, g)
		for range 2 {
			f.writer.add("a", 1)
			shown(false)
			a.Assign("totals")
			shown(true)
			a.Withdraw("totals")
		}
		shown(false)
		if got := gathered(t, registry)["annals_projection_events_total/totals"]; got != 2 {
			t.Errorf("%v events were counted, want 2", got)
		}
	})
}

func TestAssignment(t *testing.T) {
	t.Parallel()
	var a projector.Assignment
	changed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	first := a.Reassigned()
	a.Withdraw("x")
	if changed(first) || a.Assigned("x") {
		t.Error("taking away what was not there is a change")
	}
	a.Assign("x")
	if !changed(first) || !a.Assigned("x") || a.Assigned("y") {
		t.Error("the assignment did not show")
	}
	second := a.Reassigned()
	a.Assign("x")
	if changed(second) {
		t.Error("the same again is a change")
	}
	a.Withdraw("x")
	if !changed(second) || a.Assigned("x") {
		t.Error("the withdrawal did not show")
	}
}
