//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/annals-go/annals/test/fleet"
)

// Bounds of what is waited for.
const (
	warmLimit   = 2 * time.Minute
	buildLimit  = 2 * time.Minute
	switchLimit = 20 * time.Second
	viewsLimit  = time.Minute
)

// watchedKey is the document that readers ask for: the first application of the
// first writer.
const watchedKey = "warm-0-0"

// play puts the cluster under load, builds again, switches, rolls back, and
// compares everything in the end.
func (s *stage) play(ctx context.Context) error {
	l := &load{name: "rebuild", clients: s.askers(), writers: s.options.writers, seed: s.seed}
	if err := s.warm(ctx, l); err != nil {
		return err
	}
	r := &readers{key: watchedKey, began: time.Now()}
	loading, stop := context.WithCancel(ctx)
	defer stop()
	var working sync.WaitGroup
	working.Go(func() { l.run(loading) })
	working.Go(func() { r.watch(loading, s.askers()) })
	var err error
	for round := 0; round < s.options.rounds && err == nil; round++ {
		if err = s.rebuildSame(ctx); err == nil {
			err = s.switchVersions(ctx, r)
		}
	}
	stop()
	working.Wait()
	s.count(l, r)
	if err != nil {
		return err
	}
	return s.audit(ctx)
}

// warm sends commands until there is so much history.
func (s *stage) warm(ctx context.Context, l *load) error {
	warming, stop := context.WithCancel(ctx)
	defer stop()
	w := &load{name: "warm", clients: l.clients, writers: 16 * l.writers, seed: s.seed}
	var working sync.WaitGroup
	working.Go(func() { w.run(warming) })
	err := fleet.Until(ctx, warmLimit, "the history is there", func() error {
		if n := w.commands.Load(); n < int64(s.options.history) {
			return fmt.Errorf("%d of %d events", n, s.options.history)
		}
		return nil
	})
	stop()
	working.Wait()
	s.say("%d events of history", w.commands.Load())
	if err != nil {
		return err
	}
	return fleet.Until(ctx, warmLimit, "the view marked has come along", func() error {
		_, err := l.clients[0].Get(ctx, viewMarked, watchedKey, 0)
		return err
	})
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// count takes over what the load saw.
func (s *stage) count(l *load, r *readers) {
	failed, first := r.failures()
	s.outcome.Queries = l.queries.Load() + int64(len(r.since(0))) + int64(failed)
	s.outcome.Failed = l.failed.Load() + int64(failed)
	s.outcome.Stale, s.outcome.Commands = l.stale.Load(), l.commands.Load()
	s.outcome.WithoutToken, s.outcome.StaleWithout = l.tokenless.Load(), l.behind.Load()
	for _, n := range l.notes {
		s.say("  %s", n)
	}
	if first != nil {
		s.say("  %v", first)
	}
	s.say("%d commands, %d queries, %d failed, %d stale; without a token %d of %d stale",
		s.outcome.Commands, s.outcome.Queries, s.outcome.Failed, s.outcome.Stale, s.outcome.StaleWithout, s.outcome.WithoutToken)
}

// audit compares the views of the example with the log.
func (s *stage) audit(ctx context.Context) error {
	book, err := fleet.ReadLog(ctx, s.fleet.Conn)
	if err != nil {
		return err
	}
	differences, err := fleet.Views(ctx, book, s.clients.All[0], viewsLimit)
	s.outcome.Differences = len(differences)
	for _, d := range differences[:min(maxNotes, len(differences))] {
		s.say("  %s", d)
	}
	return err
}
