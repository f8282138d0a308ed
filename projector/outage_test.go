package projector_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// pickyStore refuses commits and holds up reads as a test says.
type pickyStore struct {
	projector.Store
	refuses func(w projector.Write) error          // nil: nothing
	onGet   func(m projector.Model, keys []string) // before the documents are returned; may be nil
	onLoad  func(m projector.Model)                // before a checkpoint is read; may be nil
}

func (s *pickyStore) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return pickyView{v, s, layout.Model}, err
}

type pickyView struct {
	projector.View
	store *pickyStore
	model projector.Model
}

func (v pickyView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if v.store.refuses != nil {
		if err := v.store.refuses(w); err != nil {
			return projector.Checkpoint{}, err
		}
	}
	return v.View.Commit(ctx, w)
}

func (v pickyView) Get(ctx context.Context, keys []string, since ...projector.Checkpoint) ([]projector.Document, error) {
	docs, err := v.View.Get(ctx, keys, since...)
	if v.store.onGet != nil {
		v.store.onGet(v.model, keys)
	}
	return docs, err
}

func (v pickyView) Load(ctx context.Context, worker string) (projector.Checkpoint, error) {
	if v.store.onLoad != nil {
		v.store.onLoad(v.model)
	}
	return v.View.Load(ctx, worker)
}

// What a reaction did before the outage of what it calls is not done again with
// every attempt.
func TestAReactionRepeatsNothingInAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		did, tries := &reacted{counts: map[string]int{}}, 0
		def := did.reaction(1, 1)
		var back atomic.Bool
		react := def.React
		def.React = func(ctx context.Context, e store.Recorded[event]) error {
			if e.Stream.ID == "last" && !back.Load() {
				tries++
				return fmt.Errorf("mail server: %w", store.ErrUnavailable)
			}
			return react(ctx, e)
		}
		want := map[string]int{"last": 1}
		for i := range 99 {
			id := fmt.Sprint("s", i)
			want[id] = 1
			f.writer.add(id, 1)
		}
		last := f.writer.add("last", 1)
		g := f.group(t, def)
		running(t, g)
		rest(time.Minute)
		if s := statusOf(t, g, "totals"); tries < 5 || s.Parked != 0 || s.State != projector.StateFailed || s.Events != 99 {
			t.Errorf("%d tries, status is %+v", tries, s)
		}
		back.Store(true)
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		did.want(t, want)
	})
}

// A log that goes away again and again, while what was done waits to be written,
// makes a reaction do nothing twice.
func TestAReactionRepeatsNothingWhenTheLogGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		did, want := &reacted{counts: map[string]int{}}, map[string]int{}
		var last store.Position
		for i := range 20 {
			id := fmt.Sprint("s", i)
			want[id] = 1
			last = f.writer.add(id, 1)
		}
		asked := 0
		log := &cutLog{Log: f.log, fails: func() bool { asked++; return asked%3 == 0 }}
		g := newGroup(t, projector.Config{
			Log: log, Store: f.memory, BatchCommits: 1, FlushEvery: time.Hour, Projections: []projector.Definition{did.reaction(1, 1)},
		})
		running(t, g)
		if err := g.Wait(soon(t), "totals", last); err != nil {
			t.Fatal(err)
		}
		did.want(t, want)
	})
}

// cutLog is a log whose feeds break off.
type cutLog struct {
	store.Log
	fails func() bool
}

func (l *cutLog) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	return &flakyFeed{Feed: feed, log: &flakyLog{Log: l.Log, fails: l.fails}}, err
}

// A model that was read as it is stored, while its view was paused, is brought up
// to date again and says so.
func TestAResumedViewIsNotStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := f.group(t, totals("totals"))
		running(t, g)
		if err := errors.Join(g.Wait(soon(t), "totals", f.writer.add("a", 1)), g.Pause(soon(t), "totals")); err != nil {
			t.Fatal(err)
		}
		rest(10 * time.Second)
		if s := statusOf(t, g, "totals"); s.State != projector.StatePaused {
			t.Errorf("status is %+v", s)
		}
		if err := errors.Join(g.Resume(soon(t), "totals"), g.Wait(soon(t), "totals", f.writer.add("a", 2))); err != nil {
			t.Fatal(err)
		}
		if s := statusOf(t, g, "totals"); s.State != projector.StateLive {
			t.Errorf("status is %+v", s)
		}
	})
}

// A caller whose time is up just as another model becomes the live one does not
// get the answer of the one before.
func TestALateAnswerOfAnotherModel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		asked, release := make(chan struct{}), make(chan struct{})
		var armed atomic.Bool
		held := &pickyStore{Store: f.memory, onGet: func(m projector.Model, _ []string) {
			if m.Build == 0 && armed.CompareAndSwap(true, false) {
				close(asked)
				<-release
			}
		}}
		g := newGroup(t, projector.Config{Log: f.log, Store: held, Projections: []projector.Definition{totals("totals")}})
		running(t, g)
		if err := g.Wait(soon(t), "totals", f.writer.add("a", 1)); err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answered := make(chan error, 1)
		go func() {
			_, err := g.Get(ctx, "totals", "a", 0)
			answered <- err
		}()
		<-asked
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{Online: true, Switch: true}); err != nil {
			t.Fatal(err)
		}
		eventually(t, g, map[string]string{"live": "totals_v1_b1", "previous": "totals_v1"})
		cancel()
		close(release)
		if err := <-answered; !errors.Is(err, projector.ErrTimeout) || !errors.Is(err, context.Canceled) {
			t.Errorf("the answer came with %v", err)
		}
	})
}
