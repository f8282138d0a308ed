//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/fleet"
)

// asker is what the load needs of a [gateway.Client].
type asker interface {
	// Send sends a command until its outcome is certain or ctx ends.
	Send(ctx context.Context, r gateway.Request) (actor.Result, error)
	// Get returns a document of a view that has reached min.
	Get(ctx context.Context, view, key string, min store.Position) (projector.Document, error)
}

// load is writers at work, and what their queries came to.
type load struct {
	name    string
	clients []asker
	writers int
	seed    uint64

	commands, queries, failed, stale atomic.Int64
	// tokenless counts queries without a token right after a command, behind how
	// many of their answers were stale, which nobody promised that they are not.
	tokenless, behind atomic.Int64

	mu    sync.Mutex
	notes []string
}

const (
	// pace is how long a writer pauses after a command and its queries.
	pace = 10 * time.Millisecond
	// askLimit is how long a query may take before it has failed.
	askLimit = 5 * time.Second
	// sendLimit is how long a command may take.
	sendLimit = 20 * time.Second
	// perApplication is how many commands an application gets before the next begins.
	perApplication = 25
	// maxNotes is how many findings are told; all are counted.
	maxNotes = 20
)

// run works until ctx ends, and returns when the last answer is there.
func (l *load) run(ctx context.Context) {
	var all sync.WaitGroup
	for w := range l.writers {
		all.Go(func() { l.write(ctx, w) })
	}
	all.Wait()
}

func (l *load) write(ctx context.Context, writer int) {
	random := rand.New(rand.NewPCG(l.seed, uint64(writer)))
	for n := 0; fleet.Pause(ctx, pace) == nil; n++ {
		id := fmt.Sprintf("%s-%d-%d", l.name, writer, n/perApplication)
		var command application.Command = application.Submit{Amount: 1000}
		if n%perApplication > 0 {
			command = application.ScheduleWork{Item: fmt.Sprintf("item %d", random.IntN(6))}
		}
		result, err := l.send(l.any(random), id, fmt.Sprintf("%s-%d", id, n), command)
		if err != nil {
			l.note("command to %s: %v", id, err)
			continue
		}
		l.commands.Add(1)
		view := []string{viewApplications, viewMarked}[random.IntN(2)]
		if random.IntN(4) == 0 {
			l.askWithout(l.any(random), view, id, result.Position)
		}
		l.ask(l.any(random), view, id, result.Position)
	}
}

func (l *load) any(random *rand.Rand) asker { return l.clients[random.IntN(len(l.clients))] }

// send sends a command. That it is told to stop must not leave its outcome open.
func (l *load) send(c asker, id, command string, what application.Command) (actor.Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), sendLimit)
	defer cancel()
	encoded, err := application.Applications.Commands.Encode(store.MsgPack, what)
	if err != nil {
		return actor.Result{}, err
	}
	return c.Send(ctx, gateway.Request{
		Stream: store.StreamID{Type: application.Applications.Type, ID: id}, Name: encoded.Name, Body: encoded.Data, Codec: store.MsgPack,
		Options: gateway.Options{ID: command},
	})
}

// ask asks for a document as it is after the event at token, which is one of
// its own, and counts what comes.
func (l *load) ask(c asker, view, key string, token store.Position) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	began := time.Now()
	d, err := c.Get(ctx, view, key, token)
	l.queries.Add(1)
	switch {
	case err != nil:
		l.failed.Add(1)
		l.note("query of %s %s at %d failed after %s: %v", view, key, token, time.Since(began).Round(time.Millisecond), err)
	case isStale(d, token):
		l.stale.Add(1)
		l.note("query of %s %s at %d was answered as of %d", view, key, token, d.Position)
	}
}

// askWithout asks the same without the token: the control.
func (l *load) askWithout(c asker, view, key string, token store.Position) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	d, err := c.Get(ctx, view, key, 0)
	l.tokenless.Add(1)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && isStale(d, token):
		l.behind.Add(1)
	case err != nil:
		l.queries.Add(1)
		l.failed.Add(1)
		l.note("query of %s %s failed: %v", view, key, err)
	}
}

// isStale reports whether a document lacks the event at token, which concerns it.
func isStale(d projector.Document, token store.Position) bool { return d.Position < token }

func (l *load) note(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.notes) < maxNotes {
		l.notes = append(l.notes, fmt.Sprintf(format, v...))
	}
}

// versionOf reads which version of the view marked a document is of.
func versionOf(d projector.Document) (int, error) {
	var m mark
	err := json.Unmarshal(d.Document, &m)
	return m.Version, err
}
