//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/jetstream"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/test/fleet"
	"github.com/annals-go/annals/test/harness"
)

// reader reads everything there is about a person: what any client is told, and what somebody
// sees who has the servers, the key store and the key that wraps keys.
type reader struct {
	clients []*gateway.Client
	http    []string // of the nodes
	conn    *nats.Conn
	kek     string
}

// source is a place that texts may be in.
type source struct {
	name string
	read func(context.Context, *reader, *person) (string, error)
}

// answer is a source that asks a client, each time another one.
func answer(name string, ask func(context.Context, *gateway.Client, *person) (any, error)) source {
	return source{name, func(ctx context.Context, r *reader, p *person) (string, error) {
		v, err := ask(ctx, r.clients[p.nth%len(r.clients)], p)
		if e, is := errors.AsType[*gateway.Error](err); is && e.Code == gateway.CodeNotFound {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		text, err := json.Marshal(v)
		return string(text), err
	}}
}

func document(view string) source {
	return answer(view, func(ctx context.Context, c *gateway.Client, p *person) (any, error) { return c.Get(ctx, view, p.id, 0) })
}

// sources are all of them.
var sources = []source{
	answer("state", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		return c.State(ctx, p.stream(), actor.At{})
	}),
	answer("past state", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		return c.State(ctx, p.stream(), actor.At{Version: 1})
	}),
	answer("owner's state", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		return c.Read(ctx, p.stream(), true)
	}),
	answer("history", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		events, _, err := c.HistoryPage(ctx, p.stream(), 0)
		return events, err
	}),
	answer("changes", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		events, _, err := c.ChangesPage(ctx, p.stream(), 0)
		return events, err
	}),
	answer("difference", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		return c.Diff(ctx, p.stream(), actor.At{Version: 1}, actor.At{})
	}),
	answer("household", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		return c.Read(ctx, p.home(), true)
	}),
	document("people"), document("troubled"), document("counts"),
	answer("letters", func(ctx context.Context, c *gateway.Client, p *person) (any, error) {
		return c.Get(ctx, "letters", p.household, 0)
	}),
	answer("dead letter", func(ctx context.Context, c *gateway.Client, p *person) (any, error) { return deadLetters(ctx, c, p) }),
	{"http", overHTTP},
	{"log", fromLog},
	{"snapshot", fromSnapshots},
}

// waiting is a dead letter with what waits in it.
type waiting struct {
	Letter projector.DeadLetter
	Events []gateway.LetterEvent
}

// deadLetters are those of the view troubled that the person's stream waits in.
func deadLetters(ctx context.Context, c *gateway.Client, p *person) ([]waiting, error) {
	var all []waiting
	o := c.Operator("troubled")
	for l, err := range o.DeadLetters(ctx) {
		if err != nil {
			return nil, err
		}
		if l.Stream != p.stream() {
			continue
		}
		letter, events, err := o.DeadLetter(ctx, l.ID, 0)
		if errors.Is(err, projector.ErrNoLetter) {
			continue // it was retried meanwhile
		}
		if err != nil {
			return nil, err
		}
		all = append(all, waiting{letter, events})
	}
	return all, nil
}

func overHTTP(ctx context.Context, r *reader, p *person) (string, error) {
	var all strings.Builder
	stream := "/v1/aggregates/" + p.stream().Type + "/" + p.id
	for i, path := range []string{stream, stream + "?at_version=1", stream + "/history", stream + "/changes", "/v1/views/people/" + p.id, "/v1/views/troubled/" + p.id} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.http[(p.nth+i)%len(r.http)]+path, nil)
		if err != nil {
			return "", err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close() // it was read
		if err == nil && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNotFound {
			err = fmt.Errorf("GET %s: status %d: %s", path, response.StatusCode, text)
		}
		if err != nil {
			return "", err
		}
		all.Write(text)
	}
	return all.String(), nil
}

// open returns the log and the snapshots as a node that has just started would have them, with
// a keyring that remembers nothing.
func (r *reader) open(ctx context.Context) (*jetstream.Log, *privacy.Keyring, error) {
	keys, err := jetstream.OpenKeys(ctx, jetstream.KeysConfig{Conn: r.conn, Namespace: fleet.Namespace, Replicas: 3})
	if err != nil {
		return nil, nil, err
	}
	wrapper, err := privacy.OpenFile(r.kek)
	if err != nil {
		return nil, nil, err
	}
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: wrapper, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	config, err := jetstream.Existing(ctx, r.conn, fleet.Namespace)
	if err != nil {
		return nil, nil, err
	}
	log, err := jetstream.Open(ctx, config)
	return log, ring, err
}

func fromLog(ctx context.Context, r *reader, p *person) (string, error) {
	below, ring, err := r.open(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = below.Close() }() // it was read
	log := privacy.NewLog(below, ring)
	var all strings.Builder
	for _, id := range []store.StreamID{p.stream(), p.home()} {
		for c, err := range log.Read(ctx, id, store.Head{}) {
			if err != nil {
				return "", fmt.Errorf("read %s: %w", id, err)
			}
			for _, e := range c.Events {
				all.Write(e.Data)
			}
			for _, k := range c.Commands {
				all.Write(k.Data)
			}
		}
	}
	return all.String(), nil
}

func fromSnapshots(ctx context.Context, r *reader, p *person) (string, error) {
	below, ring, err := r.open(ctx)
	if err != nil {
		return "", err
	}
	defer func() { _ = below.Close() }() // it was read
	snapshots := privacy.NewSnapshots(below.Snapshots().(store.PastSnapshots), ring)
	var all strings.Builder
	for _, id := range []store.StreamID{p.stream(), p.home()} {
		s, err := snapshots.Load(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("snapshot of %s: %w", id, err)
		}
		all.Write(s.State)
	}
	return all.String(), nil
}

// askLimit bounds how long a source may be silent, while nodes come and go.
const askLimit = time.Minute

// seen is what the reader found of a person's texts.
type seen struct {
	alive map[string]int      // how many of the told texts are in a source
	dead  map[string][]string // which of the others are
}

// look reads all sources.
func (r *reader) look(ctx context.Context, p *person) (seen, error) {
	s := seen{alive: map[string]int{}, dead: map[string][]string{}}
	told, dead := p.texts()
	for _, from := range sources {
		var text string
		err := harness.Until(ctx, askLimit, from.name+" of "+p.id, func() (err error) {
			once, cancel := context.WithTimeout(ctx, askLimit/4)
			defer cancel()
			text, err = from.read(once, r, p)
			return err
		})
		if err != nil {
			return s, err
		}
		for _, t := range told {
			if strings.Contains(text, t) {
				s.alive[from.name]++
			}
		}
		for _, t := range dead {
			if strings.Contains(text, t) {
				s.dead[from.name] = append(s.dead[from.name], t)
			}
		}
	}
	return s, nil
}
