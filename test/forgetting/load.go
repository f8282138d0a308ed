//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/canary/people"
	"github.com/annals-go/annals/test/harness"
)

const (
	// loaders is how many send commands and ask questions, each one at a time.
	loaders = 4
	// loadPause leaves the processors to others.
	loadPause = 5 * time.Millisecond
	// introducers is how many persons are told of at once.
	introducers = 8
	// sendLimit bounds a command that has to be carried out.
	sendLimit = time.Minute
)

// send sends a command once.
func (s *stage) send(ctx context.Context, c *gateway.Client, id store.StreamID, command string, name string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r, err := c.Send(ctx, gateway.Request{Stream: id, Name: name, Body: body, Codec: store.JSON, Options: gateway.Options{ID: command}})
	if err != nil {
		return fmt.Errorf("%s %s: %w", name, id, err)
	}
	s.mu.Lock()
	s.last = max(s.last, r.Position)
	s.report.Commands++
	s.mu.Unlock()
	return nil
}

// must sends a command until it is carried out.
func (s *stage) must(ctx context.Context, p *person, id store.StreamID, name string, v any) error {
	command, c := uuid.NewString(), s.asks[p.nth%len(s.asks)]
	return harness.Until(ctx, sendLimit, name+" of "+p.id, func() error { return s.send(ctx, c, id, command, name, v) })
}

func (s *stage) introduceAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(introducers)
	for _, p := range s.persons {
		group.Go(func() error { return s.introduce(ctx, p) })
	}
	return group.Wait()
}

// introduce says everything that can be said of a person.
func (s *stage) introduce(ctx context.Context, p *person) error {
	for _, c := range []struct {
		name    string
		command any
	}{
		{"register", people.Register{Details: p.details()}},
		{"rename", people.Rename{Name: p.text("second name"), Trouble: p.hurt}},
		{"confirm", people.Confirm{}},
		{"touch", people.Touch{}},
	} {
		if err := s.must(ctx, p, p.stream(), c.name, c.command); err != nil {
			return err
		}
	}
	note := people.Note{About: p.id, Text: p.text("note"), Members: []people.Member{{ID: p.id, Name: p.text("member")}}}
	return s.must(ctx, p, p.home(), "note", note)
}

// load sends commands and asks questions until ctx ends. New texts are told only of those who are
// not forgotten; the others are touched, copied and read, also while they are forgotten.
func (s *stage) load(ctx context.Context, nth int) {
	r := rand.New(rand.NewPCG(s.options.Seed, 100+uint64(nth)))
	for harness.Pause(ctx, loadPause) == nil {
		p := s.persons[r.IntN(len(s.persons))]
		err := s.loadOnce(ctx, s.asks[r.IntN(len(s.asks))], r, p)
		if err != nil && ctx.Err() == nil {
			s.count(func(r *report) { r.CommandsFailed++ })
		}
	}
}

func (s *stage) loadOnce(ctx context.Context, c *gateway.Client, r *rand.Rand, p *person) error {
	const ways = 8
	living := s.persons[r.IntN(s.options.controls)]
	switch r.IntN(ways) {
	case 0:
		return s.send(ctx, c, p.stream(), "", "touch", people.Touch{})
	case 1, 2:
		return s.send(ctx, c, p.stream(), "", "confirm", people.Confirm{})
	case 3:
		return s.send(ctx, c, living.stream(), "", "rename", people.Rename{Name: living.text("name")})
	case 4:
		return s.send(ctx, c, p.home(), "", "note", people.Note{About: living.id, Text: living.text("note")})
	case 5:
		_, err := c.State(ctx, p.stream(), actor.At{})
		return err
	case 6:
		_, err := c.Read(ctx, p.home(), true)
		return err
	default:
		_, err := c.Get(ctx, "people", p.id, 0)
		return err
	}
}
