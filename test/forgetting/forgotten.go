//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/canary/people"
	"github.com/annals-go/annals/test/harness"
)

// subject asks what is kept of a person's keys.
func (s *stage) subject(ctx context.Context, p *person) (found gateway.Subject, err error) {
	err = harness.Until(ctx, askLimit, "keys of "+p.id, func() (err error) {
		found, err = s.asks[p.nth%len(s.asks)].Subject(ctx, p.id)
		return err
	})
	return found, err
}

// settleForgotten looks at somebody for whom there is a receipt. A request without an id that is sent
// again may have begun a second forgetting, if something was sealed between the two: then the first is
// open still, which is reported.
func (s *stage) settleForgotten(ctx context.Context, p *person) (open bool, err error) {
	found, err := s.subject(ctx, p)
	if err != nil {
		return false, err
	}
	done := 0
	for _, e := range found.Erased {
		if e.Done {
			done++
		}
	}
	if found.Key == p.key || done <= p.erased || !slices.ContainsFunc(found.Erased, func(e privacy.Receipt) bool { return e.Key == p.key }) {
		s.stuck("the record of %s, which had key %s and was forgotten %d times before, is %+v", p.id, p.key, p.erased, found)
		return true, nil
	}
	p.die(len(found.Erased))
	s.count(func(r *report) { r.Forgets++ })
	_, err = s.look(ctx, p)
	return done < len(found.Erased), err
}

// tellAgain tells of somebody who was forgotten: another key, and what was stays dead.
func (s *stage) tellAgain(ctx context.Context, p *person) error {
	old := p.key
	if err := s.introduce(ctx, p); err != nil {
		return err
	}
	found, err := s.subject(ctx, p)
	if err != nil {
		return err
	}
	if err := s.awaitDocument(ctx, p); err != nil {
		return err
	}
	again, err := s.look(ctx, p)
	if err != nil {
		return err
	}
	if found.Key == "" || found.Key == old || again.alive["state"] == 0 || again.alive["log"] == 0 || again.alive["people"] == 0 {
		s.stuck("%s came back with key %q (before: %q) and is seen as %v", p.id, found.Key, old, again.alive)
		return nil
	}
	s.count(func(r *report) { r.SeenAgain++ })
	return nil
}

// awaitDocument waits until the views have what was told last.
func (s *stage) awaitDocument(ctx context.Context, p *person) error {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	return harness.Until(ctx, askLimit, "document of "+p.id, func() error {
		_, err := s.asks[p.nth%len(s.asks)].Get(ctx, people.People.Name, p.id, last)
		return err
	})
}

// awaitPending waits for the forgettings that are left to the nodes.
func (s *stage) awaitPending(ctx context.Context) error {
	for _, p := range s.pending {
		s.say("waiting for the nodes to finish %s", p.id)
		err := harness.Until(ctx, leftLimit, "the nodes finish "+p.id, func() error {
			found, err := s.subject(ctx, p)
			if err != nil {
				return err
			}
			if len(found.Erased) == 0 || slices.ContainsFunc(found.Erased, func(e privacy.Receipt) bool { return !e.Done }) {
				return fmt.Errorf("its erasures are %+v", found.Erased)
			}
			return nil
		})
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			s.stuck("%v", err)
			continue
		}
		s.count(func(r *report) { r.Resumed++ })
		if p.nobody() {
			continue // there was a receipt before
		}
		if _, err := s.settleForgotten(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
