package gateway

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Wait returns nil once every one of the views, at most [MaxWaitViews], has
// everything up to p. While nobody runs one of them it asks again, until ctx
// ends. Errors: projector.ErrNoView, projector.ErrTimeout, of which the text
// names the views that are late, [store.ErrInvalid], [store.ErrUnavailable].
func (c *Client) Wait(ctx context.Context, p store.Position, views ...string) error {
	if err := checkViews(views); err != nil {
		return err
	}
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	pause := c.config.MinBackoff
	for {
		err := c.ask(ctx, c.subjects.control("wait"), nats.Header{}, waitRequest{Position: p, Views: views}, &waitResponse{})
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != CodeUnavailable && e.Code != CodeBusy || !rest(ctx, pause) {
			return err
		}
		pause = min(2*pause, c.config.MaxBackoff)
	}
}

// Sent is what became of a command and of the views that its sender wanted to
// see it in.
type Sent struct {
	actor.Result
	// Views tell of each view whether it has what the command did.
	Views []ViewWait
}

// Late returns nil if all of the views have it, and otherwise a [*LateError],
// which names those that do not. The command took effect either way.
func (s Sent) Late() error {
	var late []ViewWait
	for _, v := range s.Views {
		if !v.Reached {
			late = append(late, v)
		}
	}
	if late == nil {
		return nil
	}
	return &LateError{Want: s.Position, Views: late}
}

// SendAndWait sends a command as Send does, and has it answered when the views,
// at most [MaxWaitViews], have what it did, or when ctx is about to end. The error
// is about the command alone, and says what Send's does: a view that is late is
// told by [Sent.Late], because the command took effect. An unknown view is refused
// before the command is carried out, with projector.ErrNoView.
func (c *Client) SendAndWait(ctx context.Context, r Request, views ...string) (Sent, error) {
	if err := checkViews(views); err != nil {
		return Sent{}, err
	}
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	answer, err := c.send(ctx, r, views)
	if err != nil {
		return Sent{}, err
	}
	sent := Sent{Result: answer.result(), Views: answer.Views}
	c.waitOn(ctx, &sent)
	return sent, nil
}

// waitOn goes on waiting for views that the node gave up on, as one does that
// is being stopped.
func (c *Client) waitOn(ctx context.Context, s *Sent) {
	for i, v := range s.Views {
		if v.Code != CodeUnavailable && v.Code != CodeBusy {
			continue
		}
		if c.Wait(ctx, s.Position, v.View) == nil {
			s.Views[i] = ViewWait{View: v.View, Reached: true}
		}
	}
}

// SendAndWait sends a command with options, as [Client.SendAndWait] does.
func (s Sender[C]) SendAndWait(ctx context.Context, id string, command C, o Options, views ...string) (Sent, error) {
	r, err := s.request(id, command, o)
	if err != nil {
		return Sent{}, err
	}
	return s.client.SendAndWait(ctx, r, views...)
}
