package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// errand is a command or a get on its way to the node that serves its
// partition. It holds a place among those under way, and the bytes of its
// payload, until it is answered, refused, or has arrived elsewhere.
type errand struct {
	request   *request
	command   actor.Command // of a get only Stream is set
	meter     *commandMeter // nil: it is a get
	views     []string      // that the answer to the command waits for
	deadline  time.Time
	parkedAt  time.Time // zero: it is not parked
	partition int
	size      int // of the payload
	hops      int
	// linearizable is of a get.
	linearizable bool
}

// takeCommand takes in a command for whichever partition. Like all handlers it
// runs on the subscription's goroutine and waits for nothing: the answer comes
// from the actor, here or elsewhere.
//
// A command without a reply subject is carried out: who asks for no answer
// gets none, but the command is not lost.
func (g *Gateway) takeCommand(r *request, err error) { g.take(r, g.readCommand, err) }

// takeErrand takes in a command or a get, as the path says.
func (g *Gateway) takeErrand(r *request, err error) {
	if r.isGet() {
		g.take(r, g.readGet, err)
		return
	}
	g.take(r, g.readCommand, err)
}

// take checks a request with read and sends it on its way; err is what was
// already found wrong with it.
func (g *Gateway) take(r *request, read func(*request) (errand, error), err error) {
	found, readErr := read(r)
	e := &found
	if err == nil {
		err = readErr
	}
	if err == nil {
		err = g.admit(e.size)
	}
	if err != nil {
		e.fail(err)
		return
	}
	if g.config.Placement != nil {
		e.partition = e.command.Stream.Partition(g.config.Partitions)
	}
	g.route(e)
}

// admit takes a place for an errand of so many bytes, until release.
func (g *Gateway) admit(size int) error {
	if !g.commands.TryAcquire(1) {
		return fmt.Errorf("%w: %d commands are under way on node %s", actor.ErrBusy, g.config.MaxInFlight, g.config.Node)
	}
	if !g.payloads.TryAcquire(int64(size)) {
		g.commands.Release(1)
		return fmt.Errorf("%w: %d bytes of commands are under way on node %s", actor.ErrBusy, g.config.MaxInFlightBytes, g.config.Node)
	}
	g.metrics.inFlight.Inc()
	return nil
}

func (g *Gateway) release(size int) {
	g.metrics.inFlight.Dec()
	g.payloads.Release(int64(size))
	g.commands.Release(1)
}

// execute has the errand done here.
func (g *Gateway) execute(e *errand) {
	if e.meter == nil {
		g.read(e)
		return
	}
	if err := g.mayCreate(e); err != nil {
		g.refuse(e, err)
		return
	}
	if !g.admitWait(e) {
		g.refuse(e, g.errNoPlace())
		return
	}
	c := e.command
	if !g.config.Partitioned {
		// The command has the payload, until it is decoded. Where partitions come
		// and go it is kept: the actors may answer that they went.
		e.command.Body, e.request.msg.Data = nil, nil
	}
	g.config.Actors.Submit(until{context.Background(), e.deadline}, c, func(result actor.Result, err error) {
		if err == nil {
			g.noteCreated(e, result)
		}
		if err == nil && len(e.views) > 0 {
			go g.replyWhenSeen(e, result)
			return
		}
		g.endWait(e)
		if g.comesBack(e, err) {
			return
		}
		defer g.release(e.size)
		if err != nil {
			e.fail(stored(err))
			return
		}
		e.meter.done(e.request, e.answer(result, nil), result.Duplicate)
	})
}

// comesBack reports whether the errand was not carried out because its
// partition went elsewhere, and has then sent it on its way again.
func (g *Gateway) comesBack(e *errand, err error) bool {
	if err == nil || !g.config.Partitioned || !errors.Is(err, actor.ErrMoved) || errors.Is(err, store.ErrUnknown) {
		return false
	}
	g.metrics.moved.Inc()
	g.parkAgain(e, "")
	return true
}

// refuse ends an errand that has its place.
func (g *Gateway) refuse(e *errand, err error) {
	defer g.release(e.size)
	e.fail(err)
}

// fail answers an errand that has no place, or whose place somebody else gives
// back.
func (e *errand) fail(err error) {
	code := e.request.fail(err)
	if e.meter != nil {
		e.meter.done(e.request, code, false)
	}
}

// answer answers a command that took effect.
func (e *errand) answer(result actor.Result, views []ViewWait) Code {
	stream := e.command.Stream
	return e.request.answer(commandResponse{
		Type: typeCommand, Aggregate: stream.Type, ID: stream.ID,
		Version: result.Version, Position: result.Position, Events: nonNil(result.Events), Duplicate: result.Duplicate,
		Views: views,
	})
}

// until is a context that carries a deadline and no timer: [Actors.Submit]
// reads the time and nothing else, and a timer for each command is not free.
type until struct {
	context.Context
	at time.Time
}

// Deadline implements [context.Context].
func (u until) Deadline() (time.Time, bool) { return u.at, true }
