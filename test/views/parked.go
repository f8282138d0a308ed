package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/views"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/harness"
)

// parked is what came of an event that two of the views could not apply.
type parked struct {
	// Letters is how many dead letters there were, and Queued how many events
	// waited behind the first in each.
	Letters int    `json:"letters"`
	Queued  uint64 `json:"queued"`
	// Behind is how many of all events were not passed when the views stood still.
	Behind uint64 `json:"behind"`
	// Before and After are the differences from the fold, before the repair and
	// after it.
	Before int `json:"differences_before"`
	After  int `json:"differences_after"`
	// Left is how many dead letters the repair left.
	Left    int     `json:"letters_left"`
	Seconds float64 `json:"seconds"`
}

// asItMust: one letter in each of the two views, all else up to date; the
// documents of the parked stream differ, and do not any more after the repair.
func (p parked) asItMust() bool {
	return p.Letters == 2 && p.Queued > 0 && p.Behind == 0 && p.Before > 0 && p.After == 0 && p.Left == 0
}

// The event that cannot be applied: one near the beginning of a stream that goes on.
const (
	brokenAt    = 3
	brokenLeast = 12 // events of the stream
)

// broken makes two views panic at one event: one whose documents are of a
// single stream, and one whose documents are of all streams.
func broken(victim store.StreamID) []projector.Definition {
	isIt := func(e store.Recorded[application.Event]) {
		if e.Stream == victim && e.Version == brokenAt {
			panic("an event that this definition cannot apply")
		}
	}
	applications, workload := views.Applications, views.Workload
	applications.Fold = func(key string, d views.Application, e store.Recorded[application.Event]) views.Application {
		isIt(e)
		return views.Applications.Fold(key, d, e)
	}
	workload.Fold = func(key string, d views.Employee, e store.Recorded[application.Event]) views.Employee {
		isIt(e)
		return views.Workload.Fold(key, d, e)
	}
	return []projector.Definition{applications, views.Activities, workload, views.Outcomes}
}

// brokenViews are those of broken that panic.
var brokenViews = []string{"applications", "workload"}

// victim is the last stream that begins in the first half of the log and is long enough.
func (b *book) victim() (store.StreamID, error) {
	events := map[store.StreamID]int{}
	for _, c := range b.commits {
		events[c.Stream] += len(c.Events)
	}
	for _, c := range slices.Backward(b.commits[:(len(b.commits)+1)/2]) {
		if c.After.Version == 0 && events[c.Stream] >= brokenLeast {
			return c.Stream, nil
		}
	}
	return store.StreamID{}, errors.New("no stream is long enough")
}

// park brings the views up to date with definitions that cannot apply an event,
// then runs the right ones, has what was parked tried again, and compares.
func (r *runner) park(ctx context.Context, name string) error {
	began := time.Now()
	t := r.trial(name)
	victim, err := r.book.victim()
	if err != nil {
		return err
	}
	var p parked
	err = t.with(func(keep projector.Store) error {
		err := t.running(ctx, keep, broken(victim), func(g *projector.Group) error { return p.look(ctx, g, victim) })
		if err != nil {
			return err
		}
		before, _, err := r.book.compare(ctx, keep, 1)
		if err != nil {
			return err
		}
		p.Before = len(before)
		err = t.running(ctx, keep, views.All(), func(g *projector.Group) error { return p.repair(ctx, g) })
		if err != nil {
			return err
		}
		after, _, err := r.book.compare(ctx, keep, 1)
		p.After = len(after)
		for _, d := range after[:min(5, len(after))] {
			r.say("  %s", d)
		}
		return err
	})
	p.Seconds = time.Since(began).Seconds()
	r.total.Parked[name] = p
	r.say("%s: an event that fails: %+v", name, p)
	return errors.Join(err, t.drop(ctx))
}

// running runs a group until it has come to the log's end and do has returned.
func (t *trial) running(ctx context.Context, keep projector.Store, definitions []projector.Definition, do func(*projector.Group) error) error {
	log, err := t.bench.log(ctx, loans)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	tip, err := log.Tip(ctx)
	if err != nil {
		return err
	}
	keyring, err := harness.Keyring()
	if err != nil {
		return err
	}
	g, err := projector.NewGroup(projector.Config{
		Log: log, Store: keep, Keyring: keyring, Projections: definitions, Logger: slog.New(slog.DiscardHandler), // the panics are meant
	})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(running) }()
	if err = covered(ctx, g, tip); err == nil {
		err = do(g)
	}
	stop()
	return errors.Join(err, <-ended)
}

// look counts what is parked, and what is behind.
func (p *parked) look(ctx context.Context, g *projector.Group, victim store.StreamID) error {
	for _, s := range g.Status(ctx) {
		p.Behind += s.LagEvents
	}
	for _, view := range brokenViews {
		letters, err := g.DeadLetters(ctx, view)
		if err != nil {
			return err
		}
		p.Letters += len(letters)
		for _, l := range letters {
			if l.Stream != victim || l.At != brokenAt || l.Kind != projector.KindHandler {
				return fmt.Errorf("view %s has a dead letter of %s version %d, %s: want %s version %d", view, l.Stream, l.At, l.Kind, victim, brokenAt)
			}
			p.Queued = l.Queued
		}
	}
	return nil
}

// repair tries everything that is parked once more.
func (p *parked) repair(ctx context.Context, g *projector.Group) error {
	for _, view := range brokenViews {
		letters, err := g.DeadLetters(ctx, view)
		if err != nil {
			return err
		}
		for _, l := range letters {
			if _, err := g.Retry(ctx, view, l.ID); err != nil {
				return fmt.Errorf("retry %s of view %s: %w", l.ID, view, err)
			}
		}
		if letters, err = g.DeadLetters(ctx, view); err != nil {
			return err
		}
		p.Left += len(letters)
	}
	return nil
}
