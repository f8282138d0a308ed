//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/annals-go/annals/test/harness"
)

const (
	// serverEvery: one trial in so many kills the server.
	serverEvery = 4
	// missesPerKill bounds how often a command may have ended before its moment.
	missesPerKill = 10
)

// try kills an operation as often as it was asked to, after one time without.
func (s *stage) try(ctx context.Context, op operation) (*outcome, error) {
	o := &outcome{}
	took, err := s.undisturbed(ctx, op)
	if err != nil {
		return o, fmt.Errorf("undisturbed: %w", err)
	}
	o.Undisturbed = took.Round(time.Millisecond).Seconds()
	s.say("%s: undisturbed in %v", op.name, took.Round(time.Millisecond))
	for o.Kills < s.kills {
		if o.Missed > missesPerKill*s.kills {
			return o, fmt.Errorf("it ended before its moment %d times", o.Missed)
		}
		moment := time.Duration(s.random.Int64N(int64(took)))
		atServer := s.random.IntN(serverEvery) == 0
		if err := s.trial(ctx, op, moment, atServer, o); err != nil {
			return o, err
		}
	}
	s.say("%s: %d kills, %d of the server; %d resumed, %d refused, %d wrong", op.name, o.Kills, o.Server, o.Resumed, o.Refused, len(o.Wrong))
	return o, nil
}

// undisturbed runs the operation, checks its result, and returns how long the part
// took that is to be hit.
func (s *stage) undisturbed(ctx context.Context, op operation) (time.Duration, error) {
	on, err := op.prepare(ctx, s)
	if err != nil {
		return 0, err
	}
	c, err := s.start(op.line(s, on))
	if err != nil {
		return 0, err
	}
	if err := s.wait(ctx, op, on, c); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := c.Wait(ctx, patience); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if err := c.Failure(); err != nil {
		return 0, err
	}
	if err := op.whole(ctx, s, on); err != nil {
		return 0, err
	}
	return max(took, time.Millisecond), s.clear(ctx, on)
}

func (s *stage) wait(ctx context.Context, op operation, on subject, c *harness.Process) error {
	if op.begun == nil {
		return nil
	}
	return op.begun(ctx, s, on, c)
}

// trial kills the operation, or its server, at a moment, looks at what is there,
// and runs it again.
func (s *stage) trial(ctx context.Context, op operation, moment time.Duration, atServer bool, o *outcome) error {
	on, err := op.prepare(ctx, s)
	if err != nil {
		return err
	}
	c, err := s.start(op.line(s, on))
	if err != nil {
		return err
	}
	if err := s.wait(ctx, op, on, c); err != nil {
		return err
	}
	if err := harness.Pause(ctx, moment); err != nil {
		return err
	}
	hit, err := s.hit(ctx, c, atServer)
	if err != nil {
		return err
	}
	if !hit {
		o.Missed++
		return s.clear(ctx, on)
	}
	o.Kills++
	if atServer {
		o.Server++
	}
	if wrong := s.aftermath(ctx, op, on, o); wrong != nil {
		wrong = fmt.Errorf("killed after %v (the server: %v): %w", moment, atServer, wrong)
		s.say("%s: WRONG: %v", op.name, wrong)
		o.Wrong = append(o.Wrong, wrong.Error())
		return nil // it stays for whoever wants to look
	}
	return s.clear(ctx, on)
}

// hit kills the command, or the server and starts it again. It reports whether
// the command was still at work.
func (s *stage) hit(ctx context.Context, c *harness.Process, atServer bool) (bool, error) {
	if !atServer {
		return c.Kill(), nil
	}
	if c.Gone() {
		return false, nil
	}
	s.server.Kill()
	if err := s.startServer(ctx); err != nil {
		return false, err
	}
	// The command may go on when it is connected again, or give up: both are well.
	return true, c.Wait(ctx, patience)
}

// aftermath returns what is wrong after a kill.
func (s *stage) aftermath(ctx context.Context, op operation, on subject, o *outcome) error {
	if err := s.is(ctx, namespace, "", s.have); err != nil {
		return fmt.Errorf("the history itself: %w", err)
	}
	if err := op.torn(ctx, s, on); err != nil {
		return fmt.Errorf("what was left: %w", err)
	}
	c, err := s.start(op.line(s, on))
	if err != nil {
		return err
	}
	if err := c.Wait(ctx, patience); err != nil {
		return err
	}
	switch refused := op.refuses && strings.Contains(c.Tail(), "it has events of its own"); {
	case c.Code() == 0:
		o.Resumed++
	case refused:
		o.Refused++
	default:
		return fmt.Errorf("given again: %w", c.Failure())
	}
	if err := op.whole(ctx, s, on); err != nil {
		return fmt.Errorf("given again, it ended well: %w", err)
	}
	return nil
}
