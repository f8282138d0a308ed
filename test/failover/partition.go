//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/test/fleet"
)

func runPartition(ctx context.Context, o options, out, tell io.Writer) (err error) {
	if lacks := missing(); len(lacks) > 0 {
		return fmt.Errorf("SKIPPED, NOT PASSED: this machine lacks %s", strings.Join(lacks, "; "))
	}
	began := time.Now()
	n, err := newNetwork(ctx, 3)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	r := partitionReport{Margin: 1 << 40, FirstHeir: 1 << 40, Seed: o.Seed}
	return setUp(ctx, o, fleet.Config{Places: n.places(), OwnServer: true}, tell, func(ctx context.Context, s *stage) error {
		lists := [][]*fleet.Server{s.fleet.Servers[0:1], s.fleet.Servers[1:2], s.fleet.Servers[2:3]}
		load := fleet.LoadConfig{Applications: 150, Rate: 60, Deadline: patience}
		err := s.underLoad(ctx, lists, load, func(ctx context.Context) error { return s.makeCuts(ctx, n, o.cuts, &r) })
		if err != nil {
			return err
		}
		v, err := s.judge(ctx)
		if err != nil {
			return err
		}
		r.add(v)
		r.Seconds = time.Since(began).Seconds()
		if err := printLine(out, r); err != nil {
			return err
		}
		return r.verdict()
	})
}

// makeCuts cuts off the place of the log's leader, then one of the others, and
// so on in turn.
func (s *stage) makeCuts(ctx context.Context, n *network, cuts int, r *partitionReport) error {
	random := rand.New(rand.NewPCG(s.seed, 1<<35))
	for c := range cuts {
		if err := s.healthy(ctx); err != nil {
			return err
		}
		leader, err := s.fleet.Leader(ctx)
		if err != nil {
			return err
		}
		victim := random.IntN(len(s.fleet.Servers))
		for (s.fleet.Servers[victim] == leader) != (c%2 == 0) {
			victim = (victim + 1) % len(s.fleet.Servers)
		}
		if err := s.cutOff(ctx, n, victim, r); err != nil {
			return fmt.Errorf("cut %d, of %s and node %s: %w", c+1, s.fleet.Servers[victim].Name, s.fleet.Nodes[victim].Name, err)
		}
		if s.fleet.Servers[victim] == leader {
			r.Leader++
		}
	}
	return s.healthy(ctx)
}

// probed is how many of the victim's applications are probed for answers from
// memory, and how many for commits.
const probed = 4

// quiet submits applications in the partitions of the victim that nobody but
// the probes sends to.
func (s *stage) quiet(ctx context.Context, name string, client fleet.Client, victim int) ([]string, error) {
	h, err := s.fleet.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	own := h.Of(s.fleet.Nodes[victim].Name)
	var ids []string
	for n := 0; len(ids) < probed; n++ {
		id := fmt.Sprintf("%s quiet %d", name, n)
		if !own[partitionOf(id, len(h.Nodes))] {
			continue
		}
		o := &fleet.Op{Stream: id, Command: application.Submit{Amount: 1}, Writer: probers - 1, ID: id}
		if s.history.Do(ctx, client, o, patience); o.Outcome != fleet.OK {
			return nil, fmt.Errorf("submit application %q: %s: %s", id, o.Outcome, o.Text)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// cutOff cuts a place off while clients on both sides probe what its node
// served, until the heirs serve all of it, and mends the cable.
func (s *stage) cutOff(ctx context.Context, n *network, victim int, r *partitionReport) error {
	node := s.fleet.Nodes[victim]
	ids, err := s.hit(ctx, node)
	if err != nil {
		return err
	}
	r.Cuts++
	name, client := fmt.Sprintf("probe %d", r.Cuts), s.clients.All[(victim+1)%3]
	quiet, err := s.quiet(ctx, name, client, victim)
	if err != nil {
		return err
	}
	busy := ids[:min(probed, len(ids))]
	inside := &probe{name: name + " inside", client: s.clients.All[victim], history: s.history, quiet: quiet, busy: busy}
	outside := &probe{name: name + " outside", client: client, history: s.history, quiet: quiet, busy: busy}
	probing, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { inside.run(probing) })
	all.Go(func() { outside.run(probing) })
	span, err := s.isolate(ctx, n, victim, inside)
	stop()
	all.Wait()
	if err != nil {
		return err
	}
	s.measure(r, node.Name, inside, outside, span)
	return nil
}

// span is when a cable was pulled, when it was out, and when it was plugged in
// again.
type span struct{ pulled, out, mended time.Duration }

// afterHeirs is how long the cut lasts on when the heirs serve: long enough for
// commands that wait behind it to run out of time.
const afterHeirs = 3 * time.Second

// isolate pulls the cable until the heirs have committed to all that the
// node served, as the clients outside see it.
func (s *stage) isolate(ctx context.Context, n *network, victim int, inside *probe) (span, error) {
	err := fleet.Until(ctx, returnLimit, "the node answers from memory", func() error {
		inside.mu.Lock()
		defer inside.mu.Unlock()
		if len(inside.memory) < 20 || len(inside.commits) < 20 {
			return fmt.Errorf("%d answers and %d commits so far", len(inside.memory), len(inside.commits))
		}
		return nil
	})
	if err != nil {
		return span{}, err
	}
	at := span{pulled: s.history.Now()}
	if err := n.cut(ctx, victim); err != nil {
		return at, err
	}
	at.out = s.history.Now()
	err = s.taken(ctx, victim, inside.busy, at.out)
	if err == nil {
		err = fleet.Pause(ctx, afterHeirs)
	}
	at.mended = s.history.Now()
	return at, errors.Join(err, n.mend(ctx, victim))
}

// taken waits until other nodes serve what the victim served, and have
// acknowledged something on what is probed.
func (s *stage) taken(ctx context.Context, victim int, ids []string, after time.Duration) error {
	conn, err := s.fleet.Connect(s.fleet.Servers[(victim+1)%3])
	if err != nil {
		return err
	}
	defer conn.Close()
	var admin *cluster.Admin
	err = fleet.Until(ctx, returnLimit, "the directory answers outside", func() (err error) {
		admin, err = cluster.OpenAdmin(ctx, cluster.AdminConfig{Conn: conn, Namespace: fleet.Namespace})
		return err
	})
	if err != nil {
		return err
	}
	if _, err := s.inherited(ctx, admin, s.fleet.Nodes[victim], after); err != nil {
		return err
	}
	_, err = s.returns(ctx, ids, after, returnLimit)
	return err
}

// measure takes down what the probes saw of one cut.
func (s *stage) measure(r *partitionReport, node string, inside, outside *probe, at span) {
	cut := fleet.Interval{Sent: at.out, Done: at.mended}
	_, tried := firstSent(inside.tried, cut)
	_, ok := firstSent(inside.commits, cut)
	last, answers := lastWithin(inside.memory, cut)
	heir, served := firstSent(append(outside.memory, outside.commits...), cut)
	r.CommitsTried, r.CommitsOK, r.MemoryAnswers = r.CommitsTried+tried, r.CommitsOK+ok, r.MemoryAnswers+answers
	last = max(last, at.pulled) // where none came after it
	r.LastMemoryAnswer = max(r.LastMemoryAnswer, (last - at.pulled).Milliseconds())
	r.FirstHeir = min(r.FirstHeir, (heir - at.out).Milliseconds())
	r.Margin = min(r.Margin, (heir - last).Milliseconds())
	s.say("cut off node %s for %.1f s: of %d commits tried there %d were acknowledged; %d answers from memory, the last after %d ms; %d answers of heirs, the first after %d ms",
		node, (at.mended - at.out).Seconds(), tried, ok, answers, (last - at.pulled).Milliseconds(), served, (heir - at.out).Milliseconds())
}
