//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/canary/people"
)

const (
	// askPatience bounds one command or question.
	askPatience = time.Minute
	// askAtOnce is how many go on side by side in a namespace.
	askAtOnce = 24
	// notes is how many there are about each person.
	notes = 3
)

func personStream(p *person) store.StreamID {
	return store.StreamID{Type: people.Persons.Type, ID: p.id}
}

func householdStream(nth int) store.StreamID {
	return store.StreamID{Type: people.Households.Type, ID: fmt.Sprintf("h%d", nth)}
}

// marked is the highest position of all commands.
type marked struct {
	mu sync.Mutex
	store.Position
}

func (m *marked) note(p store.Position) {
	m.mu.Lock()
	m.Position = max(m.Position, p)
	m.mu.Unlock()
}

// send sends a command.
func (t *site) send(ctx context.Context, id store.StreamID, name string, command any, m *marked) error {
	body, err := json.Marshal(command)
	if err != nil {
		return err
	}
	r, err := t.Send(ctx, gateway.Request{Stream: id, Name: name, Body: body, Codec: store.JSON})
	if err != nil {
		return fmt.Errorf("%s %s: %w", name, id, err)
	}
	m.note(r.Position)
	return nil
}

// fill has all persons known to all namespaces.
func (s *stage) fill(ctx context.Context) error {
	s.say("telling %d namespaces of %d persons", len(s.sites), len(s.persons))
	var sent atomic.Int64
	err := s.onAll(ctx, func(ctx context.Context, t *site) error {
		var m marked
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(askAtOnce)
		for _, p := range s.persons {
			group.Go(func() error {
				n, err := t.introduce(ctx, p, &m)
				sent.Add(int64(n))
				return err
			})
		}
		err := group.Wait()
		t.last = m.Position
		return err
	})
	s.report.Commands = int(sent.Load())
	return err
}

// introduce sends all commands about a person.
func (t *site) introduce(ctx context.Context, p *person, m *marked) (sent int, err error) {
	id := personStream(p)
	rename := people.Rename{Name: p.name, Trouble: p.hurt}
	for _, c := range []struct {
		name    string
		command any
	}{
		{"register", people.Register{Details: p.details}}, {"rename", rename}, {"touch", people.Touch{}}, {"confirm", people.Confirm{}},
	} {
		if c.name == "register" && p.nth%4 == 0 {
			err = t.post(ctx, id, c.name, c.command)
		} else {
			err = t.send(ctx, id, c.name, c.command, m)
		}
		if err != nil {
			return sent, err
		}
		sent++
	}
	if err := t.send(ctx, id, "refuse", people.Refuse{Name: p.refused}, m); err == nil {
		return sent, fmt.Errorf("%s was not refused", id)
	}
	for range notes {
		note := people.Note{About: p.id, Text: fmt.Sprintf("%s, %d", p.note, sent), Members: []people.Member{{ID: p.id, Name: p.member}}}
		if err := t.send(ctx, householdStream(p.household), "note", note, m); err != nil {
			return sent, err
		}
		sent++
	}
	return sent + 1, nil
}

// post sends a command over HTTP.
func (t *site) post(ctx context.Context, id store.StreamID, name string, command any) error {
	body, err := json.Marshal(command)
	if err != nil {
		return err
	}
	url := fmt.Sprintf("http://%s/v1/commands/%s/%s/%s", t.nodes[0].http, id.Type, id.ID, name)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	status, answer, err := answered(request)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("POST %s %s: status %d: %s", name, id, status, answer)
	}
	return err
}
