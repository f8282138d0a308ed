//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/harness"
)

const (
	// trapLimit bounds how long it may take until a step is met.
	trapLimit = 45 * time.Second
	// atAnyMoment is how long after the first request a node is killed at the latest.
	atAnyMoment = 150 * time.Millisecond
	// onceLimit bounds one request to forget, receiptLimit all of them for one person:
	// a node that is gone is missed after 15 s.
	onceLimit    = 6 * time.Second
	receiptLimit = 90 * time.Second
	// leftLimit bounds how long the nodes may take by themselves: they begin after a minute.
	leftLimit = 3 * time.Minute
	// letterLimit bounds how long a view may take to park a stream.
	letterLimit = 30 * time.Second
	// readyLimit bounds a start.
	readyLimit = time.Minute
)

// rounds plays them one after the other.
func (s *stage) rounds(ctx context.Context, all []round) error {
	fresh := s.persons[s.options.controls:]
	var back []*person // who were forgotten and told of again
	for n, r := range all {
		var p *person
		if r.again && len(back) > 0 {
			p, back = back[0], back[1:]
		} else {
			p, fresh = fresh[0], fresh[1:]
		}
		open, err := s.round(ctx, n, r, p)
		if err != nil {
			return fmt.Errorf("round %d, %s: %w", n, r, err)
		}
		if open {
			s.pending = append(s.pending, p)
			continue
		}
		if n%2 == 0 {
			if err := s.tellAgain(ctx, p); err != nil {
				return err
			}
			back = append(back, p)
		}
	}
	return nil
}

func (r round) String() string {
	what := "at any moment, a node that was asked"
	if r.other {
		what = "at any moment, another node"
	}
	if r.at != nil {
		what = r.at.String()
	}
	return fmt.Sprintf("%s (%d asked, left %v, down %v)", what, r.asked, r.left, r.down)
}

// round has one person forgotten, kills a node meanwhile, and looks at the outcome. It reports
// whether something is left that the nodes have to finish.
func (s *stage) round(ctx context.Context, n int, r round, p *person) (open bool, err error) {
	if err := s.seeBefore(ctx, p); err != nil {
		return false, err
	}
	var t *trap
	if r.at != nil {
		if t, err = newTrap(*r.at, p); err != nil {
			return false, err
		}
		s.traps.arm(t)
	}
	s.say("round %d: %s forgotten, killed %s", n, p.id, r)
	order := s.random.Perm(len(s.asks))
	delay, after := time.Duration(s.random.Int64N(int64(atAnyMoment))), time.Duration(s.random.Int64N(int64(2*time.Second)))
	began := time.Now()
	asking, stop := context.WithCancel(ctx)
	defer stop()
	answered := s.ask(asking, r, p, order[:r.asked])
	killed, err := s.kill(ctx, r, t, order, delay)
	if r.left {
		stop() // nobody asks again
	}
	s.traps.arm(nil)
	if err != nil {
		return false, err
	}
	if killed == "" {
		s.say("round %d: nobody came there", n)
	}
	restart := func() error {
		if killed == "" {
			return nil
		}
		node := s.node(killed)
		if err := node.Start(); err != nil {
			return err
		}
		return node.Process().Ready(ctx, readyLimit, func() error { return node.Ready(ctx) })
	}
	if !r.down {
		if err := errors.Join(harness.Pause(ctx, after), restart()); err != nil {
			return false, err
		}
	}
	err = <-answered
	switch {
	case r.left:
		return true, nil
	case err != nil:
		s.stuck("round %d: %v", n, err)
	}
	took := time.Since(began)
	s.count(func(r *report) { r.ForgetMaxS = max(r.ForgetMaxS, took.Seconds()) })
	s.say("round %d: done after %s", n, took.Round(time.Millisecond))
	if r.down {
		if err := restart(); err != nil {
			return false, err
		}
	}
	return s.settleForgotten(ctx, p)
}

// kill ends a node where the round says, and returns which.
func (s *stage) kill(ctx context.Context, r round, t *trap, order []int, delay time.Duration) (killed string, err error) {
	if t == nil {
		victim, kind := order[0], "asked"
		if r.other {
			victim, kind = order[len(order)-1], "other"
		}
		if err := harness.Pause(ctx, delay); err != nil {
			return "", err
		}
		node := s.fleet.Nodes[victim]
		if node.Process().Kill() {
			s.count(func(r *report) { r.Kills, r.Random[kind] = r.Kills+1, r.Random[kind]+1 })
		}
		return node.Name, nil
	}
	timer := time.NewTimer(trapLimit)
	defer timer.Stop()
	select {
	case killed = <-t.closed:
		s.count(func(r *report) { r.Kills, r.Steps[t.String()] = r.Kills+1, r.Steps[t.String()]+1 })
		return killed, nil
	case <-timer.C:
		// It may close at this very moment.
		if s.traps.claim(t) {
			return "", nil
		}
		return <-t.closed, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// ask has nodes asked at the same time, each until it has a receipt, and tells when all have.
func (s *stage) ask(ctx context.Context, r round, p *person, nodes []int) <-chan error {
	same := uuid.New()
	if len(nodes) > 1 {
		s.count(func(r *report) { r.AtOnce++ })
	}
	var group sync.WaitGroup
	errs := make([]error, len(nodes))
	for i, n := range nodes {
		request := privacy.Request{Subject: p.id, By: "trial", Why: "asked for it"}
		switch r.ids {
		case oneID:
			request.ID = same
		case ownIDs:
			request.ID = uuid.New()
		case noIDs, idKinds:
		}
		group.Go(func() { errs[i] = s.insist(ctx, n, request) })
	}
	done := make(chan error, 1)
	go func() {
		group.Wait()
		done <- errors.Join(errs...)
	}()
	return done
}

// insist asks a node, or who answers for it, until there is a receipt.
func (s *stage) insist(ctx context.Context, node int, request privacy.Request) error {
	times := 0
	err := harness.Until(ctx, receiptLimit, "receipt of "+request.Subject, func() error {
		times++
		s.count(func(r *report) { r.Asked++ })
		waiting, cancel := context.WithTimeout(ctx, onceLimit)
		defer cancel()
		receipt, err := s.asks[node].Forget(waiting, request)
		if err == nil && (!receipt.Done || receipt.Subject != request.Subject) {
			err = fmt.Errorf("the receipt is %+v", receipt)
		}
		return err
	})
	if times > 1 && err == nil {
		s.count(func(r *report) { r.Continued++ })
	}
	return err
}

// seeBefore makes sure that the reader can see who is to be forgotten.
func (s *stage) seeBefore(ctx context.Context, p *person) error {
	if p.hurt { // the view tries for seconds; where it has not come so far the verdict counts none
		_ = harness.Until(ctx, letterLimit, "dead letter of "+p.id, func() error {
			all, err := deadLetters(ctx, s.asks[0], p)
			if err == nil && len(all) == 0 {
				err = errors.New("there is none")
			}
			return err
		})
	}
	found, err := s.look(ctx, p)
	if err != nil {
		return err
	}
	for _, name := range []string{"state", "history", "people", "log"} {
		if found.alive[name] == 0 {
			s.say("the reader sees nothing of %s in %s before it is forgotten", p.id, name)
			return nil
		}
	}
	s.count(func(r *report) {
		r.SeenBefore++
		if found.alive["dead letter"] > 0 {
			r.Letters++
		}
	})
	subject, err := s.subject(ctx, p)
	p.key = subject.Key
	return err
}

// look reads all about a person, and counts what must not be readable.
func (s *stage) look(ctx context.Context, p *person) (seen, error) {
	found, err := s.reader.look(ctx, p)
	for source, texts := range found.dead {
		slices.Sort(texts)
		s.say("READABLE: %s has %d texts of %s: %v", source, len(texts), p.id, texts[:min(3, len(texts))])
	}
	s.count(func(r *report) {
		r.Looks++
		for _, texts := range found.dead {
			r.Readable += len(texts)
		}
	})
	return found, err
}
