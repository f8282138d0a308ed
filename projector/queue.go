package projector

import (
	"context"
	"iter"

	"github.com/annals-go/annals/store"
)

// queued is an event of a parked stream, and the head of the stream before the
// commit that holds it.
type queued struct {
	event store.Recorded[[]byte]
	after store.Head
}

// queue reads the events of a parked stream that a worker has passed over, in
// order, from the log.
type queue struct {
	next  func() (*store.Commit, error, bool)
	stop  func()
	from  uint64         // version of the first
	upTo  store.Position // of the last, at most
	wants func(*store.Recorded[[]byte]) bool
	ahead []queued // what is read and not dropped
	ended bool
}

func (w *worker) queue(ctx context.Context, l *letter, upTo store.Position) *queue {
	next, stop := iter.Pull2(w.p.cfg.Log.Read(ctx, l.Stream, l.After))
	return &queue{next: next, stop: stop, from: l.At, upTo: upTo, wants: w.p.desc.wants}
}

// peek returns the next events, at most limit, and the one after them, nil if
// there is none.
func (q *queue) peek(limit int) (next []queued, then *queued, err error) {
	for len(q.ahead) <= limit && !q.ended {
		c, err, ok := q.next()
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			q.ended = true
			break
		}
		q.add(c)
	}
	if len(q.ahead) > limit {
		return q.ahead[:limit], &q.ahead[limit], nil
	}
	return q.ahead, nil, nil
}

func (q *queue) add(c *store.Commit) {
	for e := range c.Recorded() {
		switch {
		case e.Position > q.upTo:
			q.ended = true
			return
		case e.Version >= q.from && q.wants(&e):
			q.ahead = append(q.ahead, queued{event: e, after: c.After})
		}
	}
}

// drop forgets the first n events: they are dealt with.
func (q *queue) drop(n int) { q.ahead = append([]queued(nil), q.ahead[n:]...) }
