package gateway

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// maxReadBytes is the largest body of a query or of a question to control.
const maxReadBytes = 4 << 10

// lane is what one kind of requests that may wait has for itself, so that one
// kind does not keep out another.
type lane struct {
	what    string
	places  *semaphore.Weighted
	most    int           // places
	bytes   int           // the largest body
	longest time.Duration // the latest deadline
}

func (g *Gateway) readLane() lane {
	return lane{what: "reads", places: g.reads, most: g.config.MaxReads, bytes: maxReadBytes, longest: g.config.MaxTimeout}
}

// comparisonLane is for what holds whole states: reads are many because most of them
// are small.
func (g *Gateway) comparisonLane() lane {
	l := g.readLane()
	l.what, l.places, l.most = "comparisons of states", g.comparisons, g.config.MaxComparisons
	return l
}

// reading is a request that may have to wait, on a goroutine of its own.
type reading struct {
	request  *request
	headers  headers
	deadline time.Time
	changes  bool // it is an operation that changes something
}

func (r reading) kind() Kind {
	if r.changes {
		return KindOperate
	}
	return KindInspect
}

// errPassedOn says of a reading that another node answers it.
var errPassedOn = errors.New("passed on to another node")

// reader handles requests by read, which may block until its context ends. base
// ends the context of all.
func (g *Gateway) reader(base context.Context, read func(context.Context, reading) (any, error)) handler {
	return g.in(g.readLane(), base, read)
}

// in is reader for any lane.
func (g *Gateway) in(l lane, base context.Context, read func(context.Context, reading) (any, error)) handler {
	return func(r *request, err error) {
		var h headers
		var deadline time.Time
		if err == nil {
			h, deadline, err = r.readHead(readHeaders, l.bytes, l.longest)
		}
		if err == nil && !l.places.TryAcquire(1) {
			err = fmt.Errorf("%w: %d %s are under way on node %s", actor.ErrBusy, l.most, l.what, g.config.Node)
		}
		if err != nil {
			r.fail(err)
			return
		}
		go func() {
			defer l.places.Release(1)
			ctx, cancel := context.WithDeadline(base, deadline)
			defer cancel()
			v, err := contained(ctx, reading{request: r, headers: h, deadline: deadline}, read)
			switch {
			case errors.Is(err, errPassedOn):
				r.passed()
			case err != nil:
				r.fail(err)
			default:
				r.answer(v)
			}
		}()
	}
}

// contained turns a panic into an error: what is read is encoded by the
// application's own types, and one of them must not end the node.
func contained(ctx context.Context, r reading, read func(context.Context, reading) (any, error)) (v any, err error) {
	defer func() {
		if p := recover(); p != nil {
			v, err = nil, &actor.PanicError{In: "read", Value: p, Stack: debug.Stack()}
		}
	}()
	return read(ctx, r)
}

func (r *request) readHead(known map[string]headerReader, most int, longest time.Duration) (h headers, deadline time.Time, err error) {
	if len(r.msg.Data) > most {
		return h, deadline, &store.TooLargeError{What: "request", Size: len(r.msg.Data), Limit: most}
	}
	if r.codec != store.JSON {
		r.codec = store.JSON
		return h, deadline, &store.InvalidError{What: "header " + HeaderContentType, Value: "msgpack", Reason: "queries and control requests are JSON"}
	}
	if h, err = parseHeaders(r.msg.Header, known, r.endpoint.passed, r.began); err != nil {
		return h, deadline, err
	}
	deadline, err = r.deadline(h.deadline, longest)
	return h, deadline, err
}

// body decodes the request's body into v; an empty one leaves v as it is.
func (r reading) body(v any) error { return r.request.body(v) }

func (r *request) body(v any) error {
	if len(r.msg.Data) == 0 {
		return nil
	}
	return store.JSON.Unmarshal(r.msg.Data, v, true)
}
