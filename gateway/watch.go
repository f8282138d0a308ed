package gateway

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// Watches yields what changes in views: [*projector.Group].
type Watches interface {
	// Watch yields documents as they are and then as they change, and, if
	// w.Progress, a document without key for each position up to which everything has
	// come. The last pair has the error, which matches projector.ErrElsewhere if the
	// view runs on another node.
	Watch(ctx context.Context, view string, w projector.Watch) iter.Seq2[projector.Document, error]
}

// maxWindow is how many changes an asker may have unconfirmed at most.
const maxWindow = 1024

// watcher begins streams of changes, where their view runs. base ends all of
// them. There is no answer but the stream.
func (g *Gateway) watcher(base context.Context) handler {
	return g.reader(base, func(ctx context.Context, r reading) (any, error) {
		view, want, window, err := g.readWatch(r)
		if err != nil {
			return nil, err
		}
		if err := g.permit(r.request, Ask{Kind: KindQuery, View: view, ID: want.Key, Name: "watch"}); err != nil {
			return nil, err
		}
		return g.whereItRuns(ctx, r, view, func() (any, error) {
			return nil, g.beginStream(base, ctx, r.request, window, func(ctx context.Context) iter.Seq2[projector.Document, error] {
				return g.config.Watches.Watch(ctx, view, want)
			})
		})
	})
}

func (g *Gateway) readWatch(r reading) (view string, want projector.Watch, window int, err error) {
	view, key, err := g.subjects.parseWatch(r.request.path)
	if err != nil {
		return "", want, 0, err
	}
	var ask watchRequest
	if err := r.body(&ask); err != nil {
		return "", want, 0, err
	}
	if ask.Window < 0 || ask.Window > maxWindow {
		return "", want, 0, &store.InvalidError{What: "window", Value: strconv.Itoa(ask.Window), Reason: "out of [0, " + strconv.Itoa(maxWindow) + "]"}
	}
	if r.request.reply == "" {
		return "", want, 0, &store.InvalidError{What: "watch", Reason: "without a reply subject there is nobody to tell"}
	}
	want = projector.Watch{Key: key, Prefix: ask.Prefix, After: ask.After, Model: ask.Model, Min: r.headers.minPosition, Progress: true}
	return view, want, ask.Window, nil
}

// parseWatch reads watch.VIEW or watch.VIEW.KEY; key is empty for the former.
func (s subjects) parseWatch(path string) (view, key string, err error) {
	return s.parseQuery(pathQuery + strings.TrimPrefix(path, pathWatch))
}

// errStreaming says of a reading that its answer has begun and goes on.
var errStreaming = fmt.Errorf("%w: answered by a stream", errPassedOn)

// beginStream begins a stream once the view has something to send, at the latest
// when ctx ends, and returns [errStreaming].
func (g *Gateway) beginStream(base, ctx context.Context, r *request, window int, watch func(context.Context) iter.Seq2[projector.Document, error]) error {
	if !g.watches.TryAcquire(1) {
		return fmt.Errorf("%w: %d watches are under way on node %s", actor.ErrBusy, g.config.MaxWatches, g.config.Node)
	}
	running, stop := r.who.within(base)
	s := newStream(r, window, g.config.WatchBeat)
	go s.take(running, watch(running))
	first, err := s.next(ctx)
	if err == nil && running.Err() != nil {
		err = context.Cause(running)
	}
	if err != nil {
		stop()
		g.watches.Release(1)
		return err
	}
	go func() {
		defer g.watches.Release(1)
		defer stop()
		token := g.streams.add(s)
		defer g.streams.remove(token)
		s.end(s.run(running, g.ending, first))
	}()
	return errStreaming
}
