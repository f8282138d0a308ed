package node

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/store"
)

// tail shows a stretch of the log, and what is added to it.
type tail struct {
	log     store.Log
	show    func(store.Recorded[[]byte]) error
	types   []string
	from    store.Position // first event to show, if fromSet
	fromSet bool
	lines   int // with fromSet at most so many, 0 is all; else the last so many
	follow  bool
}

const (
	// tailBatch is how many commits are taken at once.
	tailBatch = 256
	// tailPause is how long to wait before following again after the
	// connection was lost.
	tailPause = time.Second
)

// errEnough ends a walk before the end of the log.
var errEnough = errors.New("enough")

func (t *tail) run(ctx context.Context) error {
	tip, err := t.log.Tip(ctx, t.types...)
	if err != nil {
		return err
	}
	show := t.show
	if t.fromSet {
		show = t.limited()
		err = t.walk(ctx, before(t.from), tip, show)
	} else {
		err = t.last(ctx, tip)
	}
	if err == nil && t.follow {
		err = t.rest(ctx, tip, show)
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// before returns the position that p follows.
func before(p store.Position) store.Position {
	if p == 0 {
		return 0
	}
	return p - 1
}

// limited shows the events from t.from on until there were t.lines of them; 0
// is without end.
func (t *tail) limited() func(store.Recorded[[]byte]) error {
	shown := 0
	return func(e store.Recorded[[]byte]) error {
		if e.Position < t.from {
			return nil
		}
		if err := t.show(e); err != nil {
			return err
		}
		if shown++; shown == t.lines {
			return errEnough
		}
		return nil
	}
}

// last shows the last t.lines events up to tip. Nothing tells how many events
// a stretch of the log holds, so it looks at ever longer ones.
func (t *tail) last(ctx context.Context, tip store.Position) error {
	if t.lines == 0 {
		return nil
	}
	for reach := uint64(t.lines); ; reach *= 8 {
		var after store.Position
		if tip.Sequence() > reach {
			after = store.PositionOf(tip.Sequence()-reach, store.MaxEvents-1)
		}
		kept := ring[store.Recorded[[]byte]]{most: t.lines}
		err := t.walk(ctx, after, tip, func(e store.Recorded[[]byte]) error { kept.add(e); return nil })
		if err != nil {
			return err
		}
		if after > 0 && len(kept.items) < t.lines {
			continue
		}
		for _, e := range kept.sorted() {
			if err := t.show(e); err != nil {
				return err
			}
		}
		return nil
	}
}

// walk passes the events after a position up to tip, which is in the log or 0.
func (t *tail) walk(ctx context.Context, after, tip store.Position, do func(store.Recorded[[]byte]) error) error {
	if after >= tip {
		return nil
	}
	feed, err := t.log.Follow(ctx, store.Follow{After: after, Types: t.types})
	if err != nil {
		return err
	}
	defer func() { _ = feed.Close() }()
	for after < tip {
		if after, err = pass(ctx, feed, after, tip, do); err != nil {
			return err
		}
	}
	return nil
}

// rest passes what comes, until ctx ends, and goes on where it was when the
// connection was lost and is back. To begin beyond the log's end is to wait.
func (t *tail) rest(ctx context.Context, after store.Position, show func(store.Recorded[[]byte]) error) error {
	for {
		feed, err := t.log.Follow(ctx, store.Follow{After: after, Types: t.types})
		for err == nil {
			after, err = pass(ctx, feed, after, 0, show)
		}
		if feed != nil {
			_ = feed.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tailPause):
		}
	}
}

// pass takes the next commits from the feed and passes their events that are
// after a position and, unless tip is 0, not beyond tip. It returns the
// position of the last event that it saw.
func pass(ctx context.Context, feed store.Feed, after, tip store.Position, do func(store.Recorded[[]byte]) error) (store.Position, error) {
	commits, err := feed.Next(ctx, tailBatch)
	if err != nil {
		return after, err
	}
	for _, c := range commits {
		for e := range c.Recorded() {
			if e.Position <= after {
				continue
			}
			if tip > 0 && e.Position > tip {
				return tip, nil
			}
			if err := do(e); err != nil {
				return after, err
			}
			after = e.Position
		}
	}
	return after, nil
}

// ring keeps the last items that were added, at most most of them.
type ring[T any] struct {
	items []T
	most  int
	next  int // where the next goes once the ring is full
}

func (r *ring[T]) add(item T) {
	if len(r.items) < r.most {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % r.most
}

// sorted returns the items, the oldest first.
func (r *ring[T]) sorted() []T {
	return append(r.items[r.next:len(r.items):len(r.items)], r.items[:r.next]...)
}
