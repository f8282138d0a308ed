//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
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
	if t.kind == "sqlite" {
		return append(questions[:len(questions):len(questions)], register)
	}
	return questions
}

// paths are what is asked over HTTP.
func paths(p *person) []string {
	stream := "/v1/aggregates/person/" + p.id
	return []string{stream, stream + "?at_version=1", stream + "/history", stream + "/changes", stream + "/diff?from_version=1", "/v1/views/people/" + p.id, "/v1/views/troubled/" + p.id}
}

// answered makes a request and returns status and answer.
func answered(request *http.Request) (int, []byte, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}

func (t *site) overHTTP(ctx context.Context, n *member, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.http+path, nil)
	if err != nil {
		return nil, err
	}
	status, text, err := answered(request)
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		err = fmt.Errorf("GET %s: status %d: %s", path, status, text)
	}
	return text, err
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
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(askAtOnce / 4)
		for _, p := range s.persons {
			group.Go(func() error {
				if p.doomed {
					return t.about(ctx, p, func(what string, text []byte) error {
						return s.keep(fmt.Sprintf("%s %s %s", t.kind, p.id, what), text)
					})
				}
				alive, err := t.alive(ctx, p)
				if alive {
					noting.Lock()
					there[p.nth]++
					noting.Unlock()
				}
				return err
			})
		}
		return group.Wait()
	})
	for _, n := range there {
		if n == len(s.sites) {
			s.report.Alive++
		}
	}
	s.report.Answers = int(s.kept.Load())
	return err
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
				t.stage.say("%s: the %s of %s has no %s: %s", t.kind, q.name, p.id, w, text)
				alive = false
			}
		}
	}
	return alive, nil
}

// askAboutAll writes down what is told of everybody at once: lists and watches of views,
// exports, dead letters, and what is held about some of the forgotten.
func (t *site) askAboutAll(ctx context.Context) error {
	for _, view := range t.views() {
		if view == "register" {
			continue // a table has no lists
		}
		var list bytes.Buffer
		for d, err := range t.List(ctx, view, 0) {
			if err != nil {
				return fmt.Errorf("list %s: %w", view, err)
			}
			if err := json.NewEncoder(&list).Encode(d); err != nil {
				return err
			}
		}
		watched, err := t.watch(ctx, view)
		if err = errors.Join(err, t.stage.keep(t.kind+" list "+view, list.Bytes()), t.stage.keep(t.kind+" watch "+view, watched)); err != nil {
			return err
		}
	}
	commands := [][]string{{"event", "export"}, {"dlq", "ls"}, {"dlq", "export"}, {"subject", "ls", "--forgotten"}, {"projection", "ls"}, {"event", "export", "--cloudevents"}}
	const exported = 5
	for _, p := range t.stage.doomed()[:min(exported, t.stage.options.forget)] {
		commands = append(commands, []string{"subject", "export", p.id}, []string{"aggregate", "get", "person", p.id}, []string{"aggregate", "history", "person", p.id})
	}
	for _, c := range commands {
		text, err := t.run(ctx, c...)
		if err = errors.Join(err, t.stage.keep(t.kind+" "+fmt.Sprint(c), text)); err != nil {
			return err
		}
	}
	return nil
}

// watch returns what a watch of a view tells first.
func (t *site) watch(ctx context.Context, view string) ([]byte, error) {
	const patience = 2 * time.Second // without anything new
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(patience, cancel)
	defer quiet.Stop()
	var all bytes.Buffer
	for d, err := range t.Watch(ctx, view, projector.Watch{}) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", view, err)
		}
		quiet.Reset(patience)
		if err := json.NewEncoder(&all).Encode(d); err != nil {
			return nil, err
		}
	}
	return all.Bytes(), nil
}
