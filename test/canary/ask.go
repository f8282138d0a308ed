//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
)

// question is one that is asked about a person.
type question struct {
	name string
	ask  func(context.Context, *site, *person) (any, error)
}

// questions are those that are answered over NATS.
var questions = []question{
	{"state", func(ctx context.Context, t *site, p *person) (any, error) {
		return t.State(ctx, personStream(p), actor.At{})
	}},
	{"state at version 1", func(ctx context.Context, t *site, p *person) (any, error) {
		return t.State(ctx, personStream(p), actor.At{Version: 1})
	}},
	{"state of the owner", func(ctx context.Context, t *site, p *person) (any, error) { return t.Read(ctx, personStream(p), true) }},
	{"history", func(ctx context.Context, t *site, p *person) (any, error) {
		events, _, err := t.HistoryPage(ctx, personStream(p), 0)
		return events, err
	}},
	{"changes", func(ctx context.Context, t *site, p *person) (any, error) {
		events, _, err := t.ChangesPage(ctx, personStream(p), 0)
		return events, err
	}},
	{"diff", func(ctx context.Context, t *site, p *person) (any, error) {
		return t.Diff(ctx, personStream(p), actor.At{Version: 1}, actor.At{})
	}},
	{"people", document("people")},
	{"troubled", document("troubled")},
	{"counts", document("counts")},
}

func document(view string) func(context.Context, *site, *person) (any, error) {
	return func(ctx context.Context, t *site, p *person) (any, error) { return t.Get(ctx, view, p.id, 0) }
}

// answer asks one of them. That there is nobody is an answer as well.
func (t *site) answer(ctx context.Context, q question, p *person) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	v, err := q.ask(ctx, t, p)
	if e, ok := errors.AsType[*gateway.Error](err); ok && e.Code == gateway.CodeNotFound {
		return []byte(e.Error()), nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", q.name, p.id, err)
	}
	return json.Marshal(v)
}

// register is asked where there is one.
var register = question{"register", document("register")}

func (t *site) questions() []question {
	if t.tables() {
		return append(questions[:len(questions):len(questions)], register)
	}
	return questions
}

// paths are what is asked over HTTP.
func paths(p *person) []string {
	stream := "/v1/aggregates/person/" + p.id
	return []string{stream, stream + "?at_version=1", stream + "/history", stream + "/changes", stream + "/diff?from_version=1", "/v1/views/people/" + p.id, "/v1/views/troubled/" + p.id}
}

// about passes on all answers about a person: over NATS, and over HTTP from one node after
// the other.
func (t *site) about(ctx context.Context, p *person, each func(what string, text []byte) error) error {
	for _, q := range t.questions() {
		text, err := t.answer(ctx, q, p)
		if err == nil {
			err = each(q.name, text)
		}
		if err != nil {
			return err
		}
	}
	for i, path := range paths(p) {
		text, err := t.overHTTP(ctx, t.nodes[(p.nth+i)%len(t.nodes)], path)
		if err == nil {
			err = each("HTTP "+path, text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask asks about everybody, writes down what is said of the forgotten, and counts the
// others who are there.
func (s *stage) ask(ctx context.Context) error {
	s.say("asking")
	there := map[int]int{}
	err := s.onAll(ctx, func(ctx context.Context, t *site) error {
		if err := t.askAboutAll(ctx); err != nil {
			return err
		}
		return t.askAboutEach(ctx, func(p *person) { there[p.nth]++ })
	})
	for _, n := range there {
		if n == len(s.sites) {
			s.report.Alive++
		}
	}
	s.report.Answers = int(s.kept.Load())
	return err
}

// askAboutEach writes down what is said of each of the forgotten, and calls alive, one
// call at a time, for each of the others who is there.
func (t *site) askAboutEach(ctx context.Context, alive func(*person)) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(askAtOnce / 4)
	for _, p := range t.stage.persons {
		group.Go(func() error {
			if p.doomed {
				return t.about(ctx, p, func(what string, text []byte) error {
					return t.stage.keep(fmt.Sprintf("%s %s %s", t.name, p.id, what), text)
				})
			}
			there, err := t.alive(ctx, p)
			if there {
				noting.Lock()
				alive(p)
				noting.Unlock()
			}
			return err
		})
	}
	return group.Wait()
}

// known are the fields by which a living person is known, in state and document.
var known = []string{"street", "first phone", "second phone", "room", "label", "label's name", "alias", "second name"}

// alive reports whether all that was said of a person is still there.
func (t *site) alive(ctx context.Context, p *person) (bool, error) {
	alive := true
	for _, q := range []question{questions[0], questions[2], {"people", document("people")}} {
		text, err := t.answer(ctx, q, p)
		if err != nil {
			return false, err
		}
		photo, err := json.Marshal(p.details.Photo)
		if err != nil {
			return false, err
		}
		want := [][]byte{bytes.Trim(photo, `"`), fmt.Append(nil, p.details.Number)}
		for _, field := range known {
			want = append(want, p.mark(field))
		}
		for _, w := range want {
			if !bytes.Contains(text, w) {
				t.stage.say("%s: the %s of %s has no %s: %s", t.name, q.name, p.id, w, text)
				alive = false
			}
		}
	}
	return alive, nil
}
