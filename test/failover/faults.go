//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/annals-go/annals/test/fleet"
)

// outage is what a fault did to the commands that it hit.
type outage struct {
	kind  kind
	times []time.Duration
	span  fleet.Interval // on the history's clock, healing included
	// inherited is how long after it the last partition of the node had an heir;
	// 0 where nobody inherits.
	inherited time.Duration
}

func runFaults(ctx context.Context, o options, out, tell io.Writer) error {
	began := time.Now()
	var outages []outage
	return setUp(ctx, o, fleet.Config{}, tell, func(ctx context.Context, s *stage) error {
		err := s.underLoad(ctx, s.fleet.Rotations(clients), fleet.LoadConfig{Rate: o.rate, Deadline: patience}, func(ctx context.Context) (err error) {
			outages, err = s.makeFaults(ctx, planFaults(o.Seed, o.faults, len(s.fleet.Nodes)))
			return err
		})
		if err != nil {
			return err
		}
		v, err := s.judge(ctx)
		if err != nil {
			return err
		}
		r := newReport(outages, v)
		r.Seconds, r.Seed = time.Since(began).Seconds(), o.Seed
		if err := printLine(out, r); err != nil {
			return err
		}
		return r.verdict()
	})
}

// patience is how long a client of the failover run waits for one command: past
// the longest that a session can outlive a paused process.
const patience = 20 * time.Second

// makeFaults makes one fault after the other, each when nothing is left of the
// one before.
func (s *stage) makeFaults(ctx context.Context, plan []fault) ([]outage, error) {
	var all []outage
	for i, f := range plan {
		if err := s.healthy(ctx); err != nil {
			return all, fmt.Errorf("before fault %d: %w", i+1, err)
		}
		_, _ = s.weather.worst() // what was before does not count
		o, target, err := s.make(ctx, f)
		if err != nil {
			return all, fmt.Errorf("fault %d, %s of %s: %w", i+1, f.kind, target, err)
		}
		if err := s.healthy(ctx); err != nil {
			return all, fmt.Errorf("after fault %d, %s of %s: %w", i+1, f.kind, target, err)
		}
		o.span.Done = s.history.Now()
		all = append(all, o)
		s.tellOf(fmt.Sprintf("%3d/%d", i+1, len(plan)), o, target)
	}
	return all, s.everybodyReturns(ctx)
}

// tellOf says what a fault did, and what the machine was like: how late a timer
// was, and how long the disk took for a page, at the worst.
func (s *stage) tellOf(number string, o outage, target string) {
	ms := func(p float64) int64 { return fleet.Percentile(o.times, p).Milliseconds() }
	late, sync := s.weather.worst()
	s.say("%s  %-16s %-3s inherited %5d  p50 %5d  p99 %5d  max %5d ms of %4d, healed after %4.1f s; machine: late %d, disk %d ms",
		number, o.kind, target, o.inherited.Milliseconds(), ms(0.5), ms(0.99), ms(1), len(o.times),
		(o.span.Done - o.span.Sent).Seconds(), late.Milliseconds(), sync.Milliseconds())
}

// acceptLimit is within which time of the last fault every application must
// accept commands.
const acceptLimit = 30 * time.Second

func (s *stage) everybodyReturns(ctx context.Context) error {
	from := s.history.Now()
	s.load.Hurry(set(s.applications), 5*time.Second)
	_, err := s.returns(ctx, s.applications, from, acceptLimit)
	return err
}

func (s *stage) make(ctx context.Context, f fault) (outage, string, error) {
	node := s.fleet.Nodes[f.node]
	switch f.kind {
	case ownerKill:
		o, err := s.killOwner(ctx, node)
		return o, node.Name, err
	case leaderKill:
		return s.killLeader(ctx)
	case drain:
		o, err := s.drain(ctx, node)
		return o, node.Name, err
	case pause:
		o, err := s.pause(ctx, node)
		return o, node.Name, err
	}
	return outage{}, node.Name, fmt.Errorf("no such fault: %s", f.kind)
}
