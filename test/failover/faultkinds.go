//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/test/fleet"
)

// returnLimit bounds the wait for an application to come back.
const returnLimit = time.Minute

// spread is within which time after a fault every application that it hit is
// sent a command, unless one is under way: so that none is idle while it is
// measured, and none is measured later than it could be.
const spread = 500 * time.Millisecond

// hit returns the applications that a node serves now.
func (s *stage) hit(ctx context.Context, node *fleet.Node) ([]string, error) {
	h, err := s.fleet.Holdings(ctx)
	if err != nil {
		return nil, err
	}
	ids := s.of(h.Of(node.Name), len(h.Nodes))
	if len(ids) == 0 {
		return nil, fmt.Errorf("node %s serves nothing, so nothing would be shown", node.Name)
	}
	return ids, nil
}

// returns waits until each application has acknowledged a command that was
// under way at a moment or sent later, and tells how long after it.
func (s *stage) returns(ctx context.Context, ids []string, after time.Duration, limit time.Duration) ([]time.Duration, error) {
	err := fleet.Until(ctx, limit, "every application is served again", func() error {
		if _, missing := s.history.Returns(ids, after); len(missing) > 0 {
			return fmt.Errorf("%d of %d are not, such as %s", len(missing), len(ids), missing[0])
		}
		return nil
	})
	took, _ := s.history.Returns(ids, after)
	return took, err
}

// killOwner kills a node. Each application that it served is timed from the
// kill to the first acknowledgement of a command that was under way at the kill
// or sent later.
func (s *stage) killOwner(ctx context.Context, node *fleet.Node) (outage, error) {
	ids, err := s.hit(ctx, node)
	if err != nil {
		return outage{}, err
	}
	o := outage{kind: ownerKill, span: fleet.Interval{Sent: s.history.Now()}}
	node.Process().Kill()
	s.load.Hurry(set(ids), spread)
	if o.inherited, err = s.inherited(ctx, s.fleet.Admin, node, o.span.Sent); err != nil {
		return o, err
	}
	if o.times, err = s.returns(ctx, ids, o.span.Sent, returnLimit); err != nil {
		return o, err
	}
	return o, node.Start()
}

// killLeader kills the server that leads the log. All applications are timed,
// as after the kill of an owner.
func (s *stage) killLeader(ctx context.Context) (outage, string, error) {
	server, err := s.fleet.Leader(ctx)
	if err != nil {
		return outage{}, "?", err
	}
	o := outage{kind: leaderKill, span: fleet.Interval{Sent: s.history.Now()}}
	server.Process().Kill()
	s.load.Hurry(set(s.applications), 2*spread)
	if o.times, err = s.returns(ctx, s.applications, o.span.Sent, returnLimit); err != nil {
		return o, server.Name, err
	}
	return o, server.Name, server.Start()
}

// drain makes a node hand everything over, and then takes everything back.
// Every command to an application of the node that was under way while it was
// drained is timed, from its sending to its answer.
func (s *stage) drain(ctx context.Context, node *fleet.Node) (outage, error) {
	ids, err := s.hit(ctx, node)
	if err != nil {
		return outage{}, err
	}
	o := outage{kind: drain, span: fleet.Interval{Sent: s.history.Now()}}
	if err := s.fleet.Admin.Cordon(ctx, node.Name); err != nil {
		return o, err
	}
	if err := fleet.Until(ctx, returnLimit, "the node is empty", func() error { return s.empty(ctx, node) }); err != nil {
		return o, err
	}
	drained := fleet.Interval{Sent: o.span.Sent, Done: s.history.Now()}
	err = fleet.Until(ctx, returnLimit, "commands are answered", func() error {
		if s.history.Unanswered(set(ids), drained) {
			return errors.New("some that were sent during the drain are not")
		}
		return nil
	})
	if err != nil {
		return o, err
	}
	o.times = s.history.Times(ids, drained)
	return o, s.fleet.Admin.Uncordon(ctx, node.Name)
}

func (s *stage) empty(ctx context.Context, node *fleet.Node) error {
	nodes, err := s.fleet.Admin.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Name == node.Name && n.Partitions > 0 {
			return fmt.Errorf("it serves %d partitions", n.Partitions)
		}
	}
	return nil
}

// pauseLimit bounds a pause in which not every application was served again;
// most must have been, or the pause shows too little.
const pauseLimit = 40 * time.Second

// pause stops a node's process past its lease, until its heirs have committed
// to the applications that it served, and lets it go on. The applications are
// timed as after a kill. What the process does after that is for the audit.
func (s *stage) pause(ctx context.Context, node *fleet.Node) (outage, error) {
	ids, err := s.hit(ctx, node)
	if err != nil {
		return outage{}, err
	}
	o := outage{kind: pause, span: fleet.Interval{Sent: s.history.Now()}}
	if err := node.Process().Pause(); err != nil {
		return o, err
	}
	s.load.Hurry(set(ids), spread)
	o.inherited, err = s.inherited(ctx, s.fleet.Admin, node, o.span.Sent)
	if err == nil {
		_, _ = s.returns(ctx, ids, o.span.Sent, pauseLimit-o.inherited) // the rest may come later
	}
	took, _ := s.history.Returns(ids, o.span.Sent)
	if err := errors.Join(err, node.Process().Resume()); err != nil {
		return o, err
	}
	if len(took) < len(ids)/2 {
		return o, fmt.Errorf("heirs committed to %d of %d applications only", len(took), len(ids))
	}
	s.load.Hurry(set(ids), spread) // into the middle of what the process wakes up to
	o.times, err = s.returns(ctx, ids, o.span.Sent, returnLimit)
	return o, err
}

// inherited waits until nothing is with a node any more, as admin sees it, and
// tells how long after a moment that was.
func (s *stage) inherited(ctx context.Context, admin *cluster.Admin, node *fleet.Node, after time.Duration) (time.Duration, error) {
	err := fleet.Until(ctx, returnLimit, "what node "+node.Name+" served has heirs", func() error {
		partitions, err := admin.Partitions(ctx)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			if p.Node == node.Name || p.Node == "" || p.Orphaned {
				return fmt.Errorf("partition %d has none", p.Partition)
			}
		}
		return nil
	})
	return s.history.Now() - after, err
}
