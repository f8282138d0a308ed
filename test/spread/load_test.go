//go:build linux

package spread

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/fleet"
)

const (
	// pace is how long a writer pauses after a command and its queries.
	pace = 50 * time.Millisecond
	// askLimit is how long a command or a query may take: a node that dies takes its
	// worker with it for some seconds.
	askLimit = 30 * time.Second
	// each is how many events an application gets before the next begins.
	each = 12
)

// load is writers who read what they wrote.
type load struct {
	clients  []*gateway.Client
	commands atomic.Int64
	reads    atomic.Int64

	mu       sync.Mutex
	took     []time.Duration // by the reads
	failures []string
	quiet    bool // reads wait for nothing: the view is paused
}

func (l *load) run(ctx context.Context, writers int) {
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { l.write(ctx, w) })
	}
	all.Wait()
}

func (l *load) write(ctx context.Context, writer int) {
	for n := 0; fleet.Pause(ctx, pace) == nil; n++ {
		id := fmt.Sprintf("w%d-%d", writer, n/each)
		var c application.Command = application.Submit{Amount: 1000}
		if n%each > 0 {
			c = application.ScheduleWork{Item: fmt.Sprintf("item-%d", n%5)}
		}
		at, err := send(l.clients[n%len(l.clients)], id, fmt.Sprint(n%each), c)
		if err != nil {
			l.fail("command %d to %s: %v", n%each, id, err)
			return
		}
		l.commands.Add(1)
		if !l.isQuiet() {
			l.read(l.clients[(n+1)%len(l.clients)], id, at, n%each+1)
		}
	}
}

// send sends a command until its outcome is certain.
func send(c *gateway.Client, id, nth string, command application.Command) (store.Position, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	encoded, err := application.Applications.Commands.Encode(store.MsgPack, command)
	if err != nil {
		return 0, err
	}
	result, err := c.Send(ctx, gateway.Request{
		Stream: store.StreamID{Type: application.Applications.Type, ID: id}, Name: encoded.Name, Body: encoded.Data, Codec: store.MsgPack,
		Options: gateway.Options{ID: id + "-" + nth},
	})
	return result.Position, err
}

// read reads a document as it is after what was just written to it.
func (l *load) read(c *gateway.Client, id string, at store.Position, least int) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	began := time.Now()
	d, err := get(ctx, c, id, at)
	took := time.Since(began)
	l.reads.Add(1)
	l.note(took)
	if err != nil {
		l.fail("read of %s at %d, after %s: %v", id, at, took, err)
		return
	}
	if t, err := tallyOf(d.Document); err != nil || t.Events < least {
		l.fail("%s at %d has %d events, its writer knows of %d (%v)", id, at, t.Events, least, err)
	}
}

// get asks again where a node died with the question, or with what it is about.
func get(ctx context.Context, c *gateway.Client, id string, at store.Position) (projector.Document, error) {
	for {
		one, cancel := context.WithTimeout(ctx, 5*time.Second)
		d, err := c.Get(one, tallies.Name, id, at)
		cancel()
		if ctx.Err() != nil || !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, projector.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
			return d, err
		}
	}
}

func tallyOf(doc json.RawMessage) (t tally, err error) {
	return t, json.Unmarshal(doc, &t)
}

func (l *load) note(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, took)
}

// times are the median of what reads took since the last call, and the most.
func (l *load) times() (median, most time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.took) == 0 {
		return 0, 0
	}
	slices.Sort(l.took)
	median, most = l.took[len(l.took)/2], l.took[len(l.took)-1]
	l.took = nil
	return median, most
}

func (l *load) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}

// err is what went wrong so far.
func (l *load) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) == 0 {
		return nil
	}
	return errors.New(l.failures[0])
}

func (l *load) isQuiet() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.quiet
}

func (l *load) setQuiet(quiet bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quiet = quiet
}
