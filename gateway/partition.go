package gateway

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// partition is what the gateway knows of one partition. The zero stance means
// that the placement decides.
type partition struct {
	number int

	mu        sync.Mutex
	stance    stance
	subs      []*nats.Subscription // to its owner's subjects
	leaveAt   time.Time            // when they end; zero: not before its partition is passed on
	left      []*nats.Subscription // those before, which may still be handling
	parked    []*errand
	unloading bool      // somebody takes from parked
	restUntil time.Time // nothing is taken from parked before
	suspect   string    // the node that did not respond
}

// stance is what was said of a partition last, in a gateway that is told.
type stance int

const (
	away stance = iota // neither served nor held
	open               // the actors take its errands
	held               // its errands are parked
)

var (
	errNotPartitioned = errors.New("gateway: partitions are not given to it one by one: Config.Partitioned is false")
	errNotRunning     = fmt.Errorf("gateway: %w: it does not run", store.ErrUnavailable)
)

// Serve hands what is parked for a partition to the actors, which must serve
// it by now, and takes what is sent to its owner. When Serve returns the server
// knows. It fails, and then serves nothing, if the connection does not take it,
// or, matching [store.ErrUnavailable], while Run does not run; the calls for
// one partition come one after the other.
func (g *Gateway) Serve(partition int) error {
	if !g.config.Partitioned {
		return errNotPartitioned
	}
	p := &g.partitions[partition]
	if err := g.serve(p); err != nil {
		g.setStance(p, away)
		return err
	}
	g.unload(p)
	if err := g.config.Conn.FlushTimeout(g.config.DrainTimeout); err != nil {
		g.Pass(partition)
		return fmt.Errorf("gateway: serve partition %d: %w", partition, err)
	}
	return nil
}

func (g *Gateway) serve(p *partition) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !g.taking.Load() {
		return errNotRunning
	}
	p.stance, p.leaveAt, p.restUntil = open, time.Time{}, time.Time{}
	// If it was passed on a moment ago, nothing is left to subscribe to.
	for _, subject := range g.owners.subjects(g.subjects.partition(p.number) + ">")[len(p.subs):] {
		sub, err := g.owners.subscribe(g.config.Conn, subject)
		if err != nil {
			return fmt.Errorf("gateway: serve partition %d: %w", p.number, err)
		}
		p.subs = append(p.subs, sub)
	}
	return nil
}

// Hold parks what comes for a partition from now on. What the actors were given
// before is theirs to answer.
func (g *Gateway) Hold(partition int) {
	if g.config.Partitioned {
		g.setStance(&g.partitions[partition], held)
	}
}

// Pass sends what is parked for a partition, and what still comes, to the
// owner that the placement names, as soon as it names one. The subscription
// ends after Config.Overlap: who sends meanwhile must not find nobody.
func (g *Gateway) Pass(partition int) {
	if !g.config.Partitioned {
		return
	}
	p := &g.partitions[partition]
	g.setStance(p, away)
	g.unload(p)
	g.attend()
}

func (g *Gateway) setStance(p *partition, s stance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stance, p.restUntil = s, time.Time{}
	if s == away && p.subs != nil && p.leaveAt.IsZero() {
		p.leaveAt = time.Now().Add(g.config.Overlap)
	}
}

// leave ends the subscription of a partition that was passed on some time ago.
// What the server had sent is still handled. The caller holds the lock.
func (p *partition) leave(now time.Time) {
	if p.subs != nil && !p.leaveAt.IsZero() && !now.Before(p.leaveAt) {
		for _, sub := range p.subs {
			_ = sub.Drain() // fails only if the connection is closed, which ends it too
		}
		p.left, p.subs, p.leaveAt = p.subs, nil, time.Time{}
	}
}

// subscriptions are those to the subjects of partitions.
func (g *Gateway) subscriptions() (subs []*nats.Subscription) {
	for i := range g.partitions {
		p := &g.partitions[i]
		p.mu.Lock()
		subs = append(append(subs, p.subs...), p.left...)
		p.mu.Unlock()
	}
	return subs
}
