//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/canary/people"
	"github.com/annals-go/annals/test/harness"
)

const (
	// forgetAtOnce is how many persons are forgotten side by side in a namespace.
	forgetAtOnce = 4
	// byCommand is how many of them are forgotten by the command line.
	byCommand = 2
	// loaders is how many commands and questions go on meanwhile in a namespace.
	loaders = 3
)

// forget forgets those who are doomed, in all namespaces, while there is load on them
// and on the others.
func (s *stage) forget(ctx context.Context) error {
	s.say("forgetting %d persons under load", s.options.forget)
	var mu sync.Mutex
	var took []time.Duration
	done := map[int]int{}
	err := s.onAll(ctx, func(ctx context.Context, t *site) error {
		var m marked
		m.note(t.last)
		stop, finished := context.WithCancel(ctx)
		var load errgroup.Group
		for i := range loaders {
			load.Go(func() error { return t.load(stop, uint64(i), &m) })
		}
		err := t.forgetAll(ctx, func(p *person, d time.Duration) {
			mu.Lock()
			took = append(took, d)
			done[p.nth]++
			mu.Unlock()
		})
		finished()
		err = errors.Join(err, load.Wait())
		t.last = m.Position
		return err
	})
	for _, n := range done {
		if n == len(s.sites) {
			s.report.Forgotten++
		}
	}
	slices.Sort(took)
	if len(took) > 0 {
		s.report.ForgetP50, s.report.ForgetP99 = milliseconds(took[len(took)/2]), milliseconds(took[len(took)*99/100])
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (t *site) forgetAll(ctx context.Context, done func(*person, time.Duration)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(forgetAtOnce)
	for i, p := range t.stage.doomed() {
		group.Go(func() error {
			began := time.Now()
			if i < byCommand {
				if _, err := t.run(ctx, "subject", "forget", p.id, "--why", "asked for it", "--yes", "--json"); err != nil {
					return err
				}
			} else {
				ctx, cancel := context.WithTimeout(ctx, askPatience)
				defer cancel()
				r, err := t.Forget(ctx, privacy.Request{Subject: p.id, By: "canary", Why: "asked for it"})
				if err != nil {
					return fmt.Errorf("forget %s: %w", p.id, err)
				}
				if !r.Done || r.Key == "" {
					return fmt.Errorf("forget %s: the receipt is %+v", p.id, r)
				}
			}
			done(p, time.Since(began))
			return nil
		})
	}
	return group.Wait()
}

// load sends commands and asks questions until ctx ends. Of the doomed it tells nothing
// that is looked for: what is told after the forgetting is theirs anew.
func (t *site) load(ctx context.Context, nth uint64, m *marked) error {
	r := rand.New(rand.NewPCG(t.stage.options.Seed, 100+nth))
	var done, failed int
	for ctx.Err() == nil {
		// What was begun is ended.
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), askPatience)
		err := t.loadOnce(once, r, t.stage.persons[r.IntN(len(t.stage.persons))], m)
		cancel()
		if done++; err != nil {
			failed++
			t.stage.say("%s: under load: %v", t.name, err)
		}
		const most = 20
		if failed > most {
			return fmt.Errorf("%d of %d commands and questions failed; the last: %w", failed, done, err)
		}
	}
	noting.Lock()
	defer noting.Unlock()
	t.stage.report.DuringLoad += done
	t.stage.report.LoadFailed += failed
	return t.ended()
}

func (t *site) loadOnce(ctx context.Context, r *rand.Rand, p *person, m *marked) error {
	id := personStream(p)
	name, note := p.name, p.note
	if p.doomed {
		name, note = p.after, p.after
	}
	const ways = 8
	switch r.IntN(ways) {
	case 0:
		return t.send(ctx, id, "touch", people.Touch{}, m)
	case 1, 2:
		return t.send(ctx, id, "confirm", people.Confirm{}, m)
	case 3:
		return t.send(ctx, id, "rename", people.Rename{Name: name}, m)
	case 4:
		n := people.Note{About: p.id, Text: note, Members: []people.Member{{ID: t.stage.persons[r.IntN(len(t.stage.persons))].id, Name: "x"}}}
		return t.send(ctx, householdStream(p.household), "note", n, m)
	case 5:
		_, err := t.State(ctx, id, actor.At{})
		return err
	case 6:
		_, err := t.Read(ctx, householdStream(p.household), true)
		return err
	default:
		_, err := t.Get(ctx, "people", p.id, 0)
		return err
	}
}

// rotate gives the system another wrapping key, has all keys wrapped by it, and moves
// them to files of their own; then another backup is made.
func (s *stage) rotate(ctx context.Context) error {
	s.say("waiting for views; rotating keys")
	if err := privacy.GenerateFile(s.path("secret", "kek"), "k2"); err != nil {
		return err
	}
	return s.onAll(ctx, func(ctx context.Context, t *site) error {
		if err := t.settle(ctx); err != nil {
			return err
		}
		if _, err := t.run(ctx, "keys", "rotate", "--yes", "--json"); err != nil {
			return err
		}
		_, err := t.run(ctx, "backup", "create", s.path("backup"), "--keys", s.path("keys"), "--json")
		return err
	})
}

// heal has the parked streams of the forgotten tried again, and views built anew: with
// what is left of them, nothing may fail.
func (s *stage) heal(ctx context.Context) error {
	s.say("retrying dead letters, building views anew")
	return s.onAll(ctx, func(ctx context.Context, t *site) error {
		var ids []string
		err := t.letters(ctx, func(id string, _ uint64, _ *person) error {
			ids = append(ids, id)
			return nil
		})
		for _, id := range ids {
			if err == nil {
				err = t.retry(ctx, id)
			}
		}
		for _, view := range []string{"people", "letters"} {
			if err == nil {
				_, err = t.run(ctx, "projection", "rebuild", view, "--yes", "--json")
			}
		}
		if err != nil {
			return err
		}
		if err := t.settle(ctx); err != nil {
			return err
		}
		return t.letters(ctx, func(id string, _ uint64, p *person) error {
			noting.Lock()
			defer noting.Unlock()
			if s.report.LettersLeft++; s.report.LettersLeft <= mostTold {
				letter, _, err := t.Operator("troubled").DeadLetter(ctx, id, 1)
				s.say("%s: %s of %s stays: %+v, %v", t.name, id, p.id, letter, err)
			}
			return nil
		})
	})
}

// retry tries a dead letter until the view has taken that up: one that has just been told
// to drop what it has in memory says that it does not know what came of it.
func (t *site) retry(ctx context.Context, id string) error {
	return harness.Until(ctx, askPatience, "dead letter "+id+" is tried", func() error {
		_, err := t.Operator("troubled").Retry(ctx, id)
		if errors.Is(err, projector.ErrNoLetter) {
			return nil
		}
		return err
	})
}

// mostTold is how many findings of a kind are told.
const mostTold = 20
