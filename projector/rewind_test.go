package projector_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// brittle is a store in which the nth call of some kind for a worker fails, counted from when
// it was set, and then no other.
type brittle struct {
	projector.Store
	mu   sync.Mutex
	call string // "load 1" is that of worker 1
	nth  int
	err  error
	most int // changes in a commit, if not 0
}

func (s *brittle) set(call string, nth int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.call, s.nth, s.err = call, nth, err
}

func (s *brittle) fails(what, worker string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.call != what+" "+worker {
		return nil
	}
	if s.nth--; s.nth != 0 {
		return nil
	}
	return s.err
}

func (s *brittle) Open(ctx context.Context, layout projector.Layout) (projector.View, error) {
	v, err := s.Store.Open(ctx, layout)
	return &brittleView{v, s}, err
}

type brittleView struct {
	projector.View
	store *brittle
}

func (v *brittleView) Load(ctx context.Context, worker string) (projector.Checkpoint, error) {
	if err := v.store.fails("load", worker); err != nil {
		return projector.Checkpoint{}, err
	}
	return v.View.Load(ctx, worker)
}

func (v *brittleView) Notes(ctx context.Context, worker string) ([]projector.Note, error) {
	if err := v.store.fails("notes", worker); err != nil {
		return nil, err
	}
	return v.View.Notes(ctx, worker)
}

func (v *brittleView) Commit(ctx context.Context, w projector.Write) (projector.Checkpoint, error) {
	if err := v.store.fails("commit", w.Checkpoint.Worker); err != nil {
		return projector.Checkpoint{}, err
	}
	return v.View.Commit(ctx, w)
}

func (v *brittleView) MaxChanges() int {
	v.store.mu.Lock()
	defer v.store.mu.Unlock()
	if v.store.most > 0 {
		return v.store.most
	}
	return v.View.MaxChanges()
}

// rewindable runs a reaction of two workers that has parked all streams, each of which takes a
// commit of its own to rewind.
func rewindable(t *testing.T) (*brittle, *projector.Group) {
	t.Helper()
	s := newSite(t)
	broken := &brittle{Store: s.shelf}
	def := (&reacted{}).reaction(1, 2)
	def.React = func(context.Context, store.Recorded[event]) error { return errors.New("no") }
	config := s.config(def)
	config.Store = broken
	var last store.Position
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		last = s.writer.add(id, 1)
	}
	g := newGroup(t, config)
	running(t, g)
	if err := g.Wait(soon(t), "totals", last); err != nil {
		t.Fatal(err)
	}
	broken.mu.Lock()
	broken.most = 1
	broken.mu.Unlock()
	return broken, g
}

// Workers are rewound one after the other, and each may take several commits: who is told that
// it failed is told, too, that a part of it may be done.
func TestRewindInPartIsNoFailure(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("%w: the store is away", store.ErrUnavailable)
	for name, c := range map[string]struct {
		call  string
		nth   int
		err   error
		maybe bool
	}{
		"the first worker cannot be asked":            {"load 0", 1, away, false},
		"the second worker cannot be asked":           {"load 1", 1, away, false},
		"the first worker is lost before it is begun": {"load 0", 2, away, false},
		"the first worker's notes are lost":           {"notes 0", 1, away, false},
		"the first worker's commit is refused":        {"commit 0", 1, projector.ErrFenced, false},
		"the first worker's commit is not heard of":   {"commit 0", 1, fmt.Errorf("%w: lost", store.ErrUnknown), true},
		"the first worker is rewound in part":         {"commit 0", 2, away, true},
		"the second worker is lost":                   {"load 1", 2, away, true},
		"the second worker's notes are lost":          {"notes 1", 1, away, true},
		"the second worker's commit is refused":       {"commit 1", 1, projector.ErrFenced, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				broken, g := rewindable(t)
				broken.set(c.call, c.nth, c.err)
				if err := g.Rewind(soon(t), "totals", 0); !errors.Is(err, c.err) || errors.Is(err, store.ErrUnknown) != c.maybe {
					t.Errorf("rewind: %v", err)
				}
				rest(time.Minute)
				if err := g.Rewind(soon(t), "totals", 0); err != nil {
					t.Errorf("rewind once more: %v", err)
				}
			})
		})
	}
}
