package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/cmd/loans/history"
	"github.com/annals-go/annals/gateway"
)

// importer sends histories. The commands of one application go one after the
// other, each after the answer to the one before: an answer lost and a command
// sent again then cannot change their order.
type importer struct {
	sender     gateway.Sender[application.Command]
	inFlight   int
	rejections rejections

	applications, events, stored, duplicate, rejected atomic.Int64
}

// lastAnswers is how long an import that is told to stop waits for the answers
// to what it has sent.
const lastAnswers = 5 * time.Second

// run sends all traces, or stops at the first error that is not a rejection.
// When ctx ends it sends no more, waits a little for the last answers, and
// returns the error of ctx.
func (i *importer) run(ctx context.Context, traces iter.Seq2[*history.Trace, error]) error {
	applications, ctx := errgroup.WithContext(ctx)
	applications.SetLimit(i.inFlight)
	sending, cancel := afterwards(ctx, lastAnswers)
	defer cancel()
	var bad error
	for trace, err := range traces {
		if err != nil {
			bad = fmt.Errorf("read history: %w", err)
			break
		}
		if ctx.Err() != nil {
			bad = ctx.Err()
			break
		}
		i.applications.Add(1)
		i.events.Add(int64(len(trace.Events)))
		applications.Go(func() error { return i.application(ctx, sending, trace) })
	}
	if err := applications.Wait(); err != nil {
		return err
	}
	return bad
}

// application sends one history. Between two commands it looks whether ctx has
// ended; a command under way has until the end of sending.
func (i *importer) application(ctx, sending context.Context, trace *history.Trace) error {
	for n, e := range trace.Events {
		if err := ctx.Err(); err != nil {
			return err
		}
		command, err := trace.Command(n)
		if err != nil {
			return err
		}
		result, err := i.sender.SendWith(sending, trace.Application, command, gateway.Options{ID: trace.CommandID(n)})
		switch {
		case err == nil && result.Duplicate:
			i.duplicate.Add(1)
		case err == nil:
			i.stored.Add(1)
		case errors.Is(err, actor.ErrRejected), errors.Is(err, actor.ErrDuplicateBody):
			i.rejected.Add(1)
			i.rejections.note(trace, e, err)
		case ctx.Err() != nil:
			return ctx.Err() // told to stop: that the answer was not waited for is no news
		default:
			return fmt.Errorf("import application %s, line %d, %s: %w", trace.Application, e.Line, e.Key(), err)
		}
	}
	return nil
}

func (i *importer) totals(took time.Duration) totals {
	t := totals{
		Applications: i.applications.Load(),
		Events:       i.events.Load(),
		Stored:       i.stored.Load(),
		Duplicate:    i.duplicate.Load(),
		Rejected:     i.rejected.Load(),
		Seconds:      math.Round(took.Seconds()*1000) / 1000,
	}
	t.Sent = t.Stored + t.Duplicate + t.Rejected
	return t
}

// afterwards returns a context that ends some time after ctx does.
func afterwards(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(grace):
			cancel()
		case <-later.Done():
		}
	})
	return later, func() {
		stop()
		cancel()
	}
}

// rejections tells about the first few rejections and counts on.
type rejections struct {
	out io.Writer
	mu  sync.Mutex
	n   int
}

// shownRejections is how many are told one by one.
const shownRejections = 5

func (r *rejections) note(trace *history.Trace, e history.Event, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n++; r.n <= shownRejections {
		fmt.Fprintf(r.out, "rejected: application %s, line %d, %q: %v\n", trace.Application, e.Line, e.Key(), err)
	}
}

// close tells how many were not told.
func (r *rejections) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if more := r.n - shownRejections; more > 0 {
		fmt.Fprintf(r.out, "rejected: %d more\n", more)
	}
}
