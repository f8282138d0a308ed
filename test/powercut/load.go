//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/test/harness"
)

// load is many clients at work on one running system, until the time is up or
// the system is gone.
type load struct {
	url     string
	name    string // tells the ids of one cut from those of another
	seed    uint64
	clients int
	journal *journal
}

const (
	// sharedApplications are sent to by all clients, so that an actor has many
	// commands to put into one commit.
	sharedApplications = 4
	// askers do nothing but query.
	askers = 8
	// connections are shared by the clients.
	connections = 4
)

const aggregateType = "application"

// run sends commands until sending ends and queries until ctx ends.
func (l *load) run(ctx, sending context.Context, began func()) error {
	pool, err := l.connect()
	defer func() {
		for _, c := range pool {
			c.conn.Close()
		}
	}()
	if err != nil {
		return err
	}
	if sending.Err() == nil {
		if err := l.openShared(ctx, pool[0]); err != nil {
			return err
		}
	}
	began()
	var all sync.WaitGroup
	for i := range l.clients {
		all.Go(func() { l.sendStories(sending, pool[i%len(pool)], i) })
	}
	for i := range askers {
		all.Go(func() { l.askAround(ctx, pool[i%len(pool)], i) })
	}
	all.Wait()
	return nil
}

func (l *load) connect() ([]client, error) {
	var pool []client
	for range connections {
		nc, err := nats.Connect(l.url, nats.NoReconnect(), nats.Name("powercut"), nats.ErrorHandler(nothing))
		if err != nil {
			return pool, err
		}
		pool = append(pool, client{nc})
	}
	return pool, nil
}

// nothing is done about errors of a connection that will be cut: each request
// tells its own.
func nothing(*nats.Conn, *nats.Subscription, error) {}

func (l *load) openShared(ctx context.Context, c client) error {
	for i := range sharedApplications {
		o := order{id: fmt.Sprintf("%s/shared/%d", l.name, i), stream: l.shared(i), name: "submit", body: []byte(`{"amount":1000}`)}
		if !l.deliver(ctx, c, o) {
			return fmt.Errorf("the system does not take the first commands: %s", l.journal.why(o.id))
		}
	}
	return nil
}

func (l *load) shared(i int) store.StreamID {
	return store.StreamID{Type: aggregateType, ID: fmt.Sprintf("%s-shared-%d", l.name, i)}
}

// openStories is how many applications each client has under way: with many,
// the views have many documents to change.
const openStories = 32

// life is an application that a client has under way.
type life struct {
	stream store.StreamID
	left   []step
}

// sendStories takes many applications through their lives, side by side; now
// and then it sends a command to a shared application, or reads its own writes.
func (l *load) sendStories(ctx context.Context, c client, number int) {
	random := rand.New(rand.NewPCG(l.seed, uint64(number)))
	open := make([]life, openStories)
	send := func(n int, stream store.StreamID, s step) bool {
		return l.deliver(ctx, c, order{id: fmt.Sprintf("%s/%d/%d", l.name, number, n), stream: stream, name: s.name, body: []byte(s.body)})
	}
	for n := 0; l.on(ctx, c); n++ {
		if random.IntN(8) == 0 {
			send(n, l.shared(random.IntN(sharedApplications)), rush(random))
			continue
		}
		at := &open[random.IntN(len(open))]
		if len(at.left) == 0 {
			*at = life{store.StreamID{Type: aggregateType, ID: fmt.Sprintf("%s-%d-%d", l.name, number, n)}, story(random)}
		}
		next := at.left[0]
		at.left = at.left[1:]
		if !send(n, at.stream, next) {
			at.left = nil
		} else if random.IntN(16) == 0 {
			l.readOwn(ctx, c, at.stream)
		}
	}
}

func (l *load) on(ctx context.Context, c client) bool { return ctx.Err() == nil && !c.conn.IsClosed() }

// pauseBetween is how long a client waits before it sends the same again.
const pauseBetween = 5 * time.Millisecond

// deliver sends an order, again and again, until it is acknowledged, which it
// reports, or denied, or the load ends with its outcome unknown.
func (l *load) deliver(ctx context.Context, c client, o order) bool {
	l.journal.send(o)
	unknown := false
	for l.on(ctx, c) {
		r, err := c.execute(ctx, o)
		if err == nil {
			l.journal.acknowledge(o, r)
			return true
		}
		refused, answered := errors.AsType[*refusal](err)
		if answered && !refused.mayTryAgain() && !refused.isUnknown() {
			l.judge(o, refused, unknown)
			return false
		}
		unknown = unknown || !answered || refused.isUnknown()
		_ = harness.Pause(ctx, pauseBetween)
	}
	return false
}

// judge notes a definite no. The domain has no reason to say no to a story.
func (l *load) judge(o order, r *refusal, unknown bool) {
	switch r.code {
	case "REFUSED", "INTERNAL": // what a system without power may say
	default:
		l.journal.odd("command %s (%s of %s) was refused: %v", o.id, o.name, o.stream, r)
	}
	if !unknown {
		l.journal.deny(o, r.Error())
	}
}

// readOwn asks for a document as new as what this client was last told about
// its application.
func (l *load) readOwn(ctx context.Context, c client, stream store.StreamID) {
	last := l.journal.last(stream)
	d, err := c.document(ctx, "applications", stream.ID, last)
	if err != nil {
		return // time-outs are allowed; what is answered must be right
	}
	l.journal.read(d.Position, "document "+stream.ID+" of view applications")
	if d.Position < last {
		l.journal.odd("document %s was asked for at position %d or later and came with %d", stream.ID, last, d.Position)
	}
}

// askAround queries what changes most.
func (l *load) askAround(ctx context.Context, c client, number int) {
	random := rand.New(rand.NewPCG(l.seed, 1<<32+uint64(number)))
	hot := [][2]string{
		{"activities", "A_SUBMITTED/COMPLETE"},
		{"outcomes", "open"},
		{"outcomes", "activated"},
		{"workload", "employee-1"},
		{"applications", l.shared(0).ID},
	}
	for l.on(ctx, c) {
		if random.IntN(3) == 0 {
			if p, err := c.state(ctx, l.shared(random.IntN(sharedApplications))); err == nil {
				l.journal.read(p, "a state")
			}
			continue
		}
		h := hot[random.IntN(len(hot))]
		d, err := c.document(ctx, h[0], h[1], 0)
		if err != nil {
			_ = harness.Pause(ctx, pauseBetween)
			continue
		}
		l.journal.read(d.Position, "document "+h[1]+" of view "+h[0])
	}
}
