//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/test/canary/people"
	"github.com/annals-go/annals/test/fleet"
	"github.com/annals-go/annals/test/harness"
)

const (
	// healLimit bounds how long everything may take to be in order again.
	healLimit = 2 * time.Minute
	// verifyLimit bounds the comparison of a view with the log.
	verifyLimit = time.Minute
)

// heal waits until the cluster is whole, has every stream take a command, and tries dead letters
// of the forgotten, which have no reason to be any more.
func (s *stage) heal(ctx context.Context) error {
	s.say("healing")
	if err := s.fleet.Settled(ctx, healLimit); err != nil {
		return err
	}
	for _, p := range s.persons {
		if err := s.must(ctx, p, p.stream(), "touch", people.Touch{}); err != nil {
			s.stuck("%v", err)
		}
	}
	return s.retryLetters(ctx)
}

func (s *stage) retryLetters(ctx context.Context) error {
	o := s.asks[0].Operator("troubled")
	byID := map[string]*person{}
	for _, p := range s.persons {
		byID[p.id] = p
	}
	var ids []string
	for l, err := range o.DeadLetters(ctx) {
		if err != nil {
			return fmt.Errorf("list dead letters: %w", err)
		}
		if p := byID[l.Stream.ID]; p.doomed && p.nobody() {
			ids = append(ids, l.ID)
		}
	}
	for _, id := range ids {
		err := harness.Until(ctx, healLimit, "dead letter "+id+" is retried", func() error {
			left, err := o.Retry(ctx, id)
			if errors.Is(err, projector.ErrNoLetter) || err == nil && left == nil {
				return nil
			}
			if err == nil {
				err = fmt.Errorf("it waits still: %+v", left)
			}
			return err
		})
		if err != nil {
			s.stuck("%v", err)
		}
	}
	return nil
}

// judge compares all views with the log and reads everything about everybody.
func (s *stage) judge(ctx context.Context) error {
	s.say("judging")
	for _, view := range views {
		if err := s.judgeView(ctx, view); err != nil {
			s.stuck("view %s: %v", view, err)
		}
	}
	for _, p := range s.persons {
		found, err := s.look(ctx, p)
		if err != nil {
			return err
		}
		if !p.doomed {
			s.control(p, found)
		}
	}
	return s.countSnapshots(ctx)
}

// control counts where somebody who was not forgotten is read. Whoever has a dead letter has no
// document there, and the reverse.
func (s *stage) control(p *person, found seen) {
	readable := true
	for _, name := range []string{"state", "owner's state", "history", "changes", "people", "http", "log"} {
		if found.alive[name] == 0 {
			s.say("the reader sees nothing of %s in %s", p.id, name)
			readable = false
		}
	}
	s.count(func(r *report) {
		for name, n := range found.alive {
			if n > 0 {
				r.ControlSources[name]++
			}
		}
		if readable {
			r.ControlReadable++
		}
	})
}

// judgeView waits until a view has everything, and compares it with the log.
func (s *stage) judgeView(ctx context.Context, view string) error {
	c := s.asks[0]
	err := harness.Until(ctx, healLimit, "it has caught up", func() error {
		once, cancel := context.WithTimeout(ctx, verifyLimit)
		defer cancel()
		if err := c.Wait(once, s.last, view); err != nil {
			return err
		}
		all, err := c.Projections(once)
		if err != nil {
			return err
		}
		for _, v := range all {
			if v.Name == view && (v.Role != projector.RoleLive || v.State != projector.StateLive || v.LagEvents > 0 || v.Stalled || v.Error != "") {
				return fmt.Errorf("it is %+v", v)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	once, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	v, err := c.Operator(view).Verify(once, true)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	for _, w := range v.Workers {
		if !w.Equal {
			return fmt.Errorf("worker %s differs from the log: %s", w.Worker, w.Detail)
		}
	}
	if v.Documents == nil || v.Documents.Differences > 0 || v.Documents.Compared == 0 {
		return fmt.Errorf("documents: %+v", v.Documents)
	}
	return nil
}

// countSnapshots counts those that were taken.
func (s *stage) countSnapshots(ctx context.Context) error {
	js, err := jetstream.New(s.fleet.Conn)
	if err != nil {
		return err
	}
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if !strings.Contains(name, "ANNALS_"+fleet.Namespace+"_snapshots") {
			continue
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return err
		}
		s.count(func(r *report) { r.Snapshots += stream.CachedInfo().State.LastSeq })
	}
	return names.Err()
}
