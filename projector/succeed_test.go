package projector_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// reacted counts what a reaction did, by stream.
type reacted struct {
	mu     sync.Mutex
	counts map[string]int
	broken bool
}

func (r *reacted) reaction(version, workers int) projector.Reaction[event] {
	return projector.Reaction[event]{
		Name: "totals", Version: version, Workers: workers, Types: []string{"counter"}, Events: events,
		React: func(_ context.Context, e store.Recorded[event]) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.broken && e.Stream.ID == "bad" {
				return errors.New("no")
			}
			r.counts[e.Stream.ID]++
			return nil
		},
	}
}

func (r *reacted) repair() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = false
}

func (r *reacted) want(t *testing.T, want map[string]int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(want, r.counts); diff != "" {
		t.Errorf("reactions (-want +got):\n%s", diff)
	}
}

// A new version of a reaction does nothing again that the one before it did, and
// keeps what was parked.
func TestAReactionIsSucceeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		did := &reacted{counts: map[string]int{}, broken: true}
		var last store.Position
		append3 := func() {
			for _, id := range []string{"a", "b", "bad"} {
				last = s.writer.add(id, 1)
			}
		}
		up := func(version, workers int) (*projector.Group, func()) {
			g := s.group(t, did.reaction(version, workers))
			stop := running(t, g)
			if err := g.Wait(soon(t), "totals", last); err != nil {
				t.Fatal(err)
			}
			return g, stop
		}
		append3()
		g, stop := up(1, 1)
		if _, err := g.Rebuild(soon(t), "totals", projector.Rebuild{}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("rebuild of a reaction: %v", err)
		}
		stop()
		did.want(t, map[string]int{"a": 1, "b": 1})
		append3()
		for version, workers := range []int{2, 2, 1} {
			g, stop = up(version+2, workers)
			letters, err := g.DeadLetters(soon(t), "totals")
			if err != nil || len(letters) != 1 || letters[0].Version != version+2 || letters[0].Stream.ID != "bad" {
				t.Errorf("version %d has the letters %+v, %v", version+2, letters, err)
			}
			eventually(t, g, map[string]string{"live": projector.Model{View: "totals", Version: version + 2}.String()})
			append3()
			rest(time.Minute)
			if version < 2 {
				stop()
			}
		}
		did.want(t, map[string]int{"a": 5, "b": 5})
		wantModels(t, s, "totals_v4")
		did.repair()
		letters, err := g.DeadLetters(soon(t), "totals")
		if err != nil || len(letters) != 1 {
			t.Fatalf("letters: %+v, %v", letters, err)
		}
		if left, err := g.Retry(soon(t), "totals", letters[0].ID); err != nil || left.ID != "" {
			t.Errorf("retry: %+v, %v", left, err)
		}
		did.want(t, map[string]int{"a": 5, "b": 5, "bad": 5})
	})
}
