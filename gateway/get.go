package gateway

import (
	"context"
	"fmt"
	"strings"

	"github.com/annals-go/annals/actor"
)

// isGet reports whether the request asks for a state from memory.
func (r *request) isGet() bool { return strings.HasPrefix(r.path, pathGet) }

// readGet checks everything that can be told without the aggregate.
func (g *Gateway) readGet(r *request) (e errand, err error) {
	e = errand{request: r, size: len(r.msg.Data)}
	h, deadline, err := r.readHead(getHeaders, maxReadBytes, g.config.MaxTimeout)
	if err != nil {
		return e, err
	}
	if err := r.body(&struct{}{}); err != nil {
		return e, err
	}
	stream, err := g.subjects.parseGet(r.path)
	if err != nil {
		return e, err
	}
	e.deadline, e.hops, e.linearizable = deadline, h.hops, h.linearizable
	if e.command.Stream, err = g.stream(stream.Type, stream.ID); err != nil {
		return e, err
	}
	return e, g.permit(r, Ask{Kind: KindInspect, Aggregate: stream.Type, ID: stream.ID, Name: "get"})
}

// read answers a get from the memory of the actor, on a goroutine of its own.
func (g *Gateway) read(e *errand) {
	if !g.reads.TryAcquire(1) {
		g.refuse(e, fmt.Errorf("%w: %d reads are under way on node %s", actor.ErrBusy, g.config.MaxReads, g.config.Node))
		return
	}
	go func() {
		defer g.reads.Release(1)
		ctx, cancel := context.WithDeadline(context.Background(), e.deadline)
		defer cancel()
		v, err := contained(ctx, reading{request: e.request}, func(ctx context.Context, _ reading) (any, error) {
			s, err := g.config.Actors.Read(ctx, e.command.Stream, e.linearizable)
			if err != nil {
				return nil, err
			}
			return stateAnswer(e.command.Stream, s)
		})
		switch {
		case g.comesBack(e, err):
		case err != nil:
			g.refuse(e, stored(err))
		default:
			defer g.release(e.size)
			e.request.answer(v)
		}
	}()
}
