package trial

import (
	"context"
	"fmt"
	"strings"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// batch is how many commits are taken from the log at once.
const batch = 500

// visitor is what is done with the commits of a walk.
type visitor interface {
	// commit is called for every commit of the log, in its order, once.
	commit(c *store.Commit)
	// begin is called when a stream begins to be folded; what it returns is kept
	// until the end of the pass. nil: the stream is not folded.
	begin(ctx context.Context, id store.StreamID) (folding, error)
}

// folding is a stream on its way through a pass.
type folding interface {
	// fold takes the stream's next commit. It reports whether the stream is to be
	// folded further.
	fold(c *store.Commit) (bool, error)
	// end is called after the last commit of a stream that was folded to its end.
	end() error
}

// walk reads a log in its order and folds its streams. A pass holds the states
// of so many streams as fit; the streams that begin after those are left to the
// next pass, which begins where the first of them does. So memory is bounded by
// the number of states, not of streams, nothing is spilt, and a log of few
// streams is read once.
type walk struct {
	log      store.Log
	states   int
	progress func(Progress)
	end      store.Position
	visit    visitor

	pass    int
	live    map[store.StreamID]*place
	begun   int            // streams of this pass
	leftOff store.Position // before the first stream that did not fit; 0 if all did
	left    bool
}

// place is where a stream is.
type place struct {
	head store.Head
	of   folding // nil: it is not folded further
}

// run makes the passes.
func (w *walk) run(ctx context.Context) error {
	for w.left = w.end > 0; w.left; {
		w.pass++
		if err := w.once(ctx, w.leftOff); err != nil {
			return err
		}
	}
	return nil
}

// once makes a pass over what follows a position.
func (w *walk) once(ctx context.Context, after store.Position) error {
	w.live, w.begun, w.left = map[store.StreamID]*place{}, 0, false
	feed, err := w.log.Follow(ctx, store.Follow{After: after})
	if err != nil {
		return fmt.Errorf("follow the log: %w", err)
	}
	defer func() { _ = feed.Close() }()
	for at := after; at < w.end; {
		commits, err := feed.Next(ctx, batch)
		if err != nil {
			return fmt.Errorf("read the log after position %d: %w", at, err)
		}
		for _, c := range commits {
			if c.Last() > w.end {
				at = w.end
				break
			}
			if err := w.take(ctx, c); err != nil {
				return err
			}
			at = c.Last()
		}
		w.tell(at)
	}
	return w.finish()
}

func (w *walk) tell(at store.Position) {
	if w.progress != nil {
		w.progress(Progress{Pass: w.pass, At: at, End: w.end})
	}
}

// take passes a commit to the visitor and to its stream, if it is not of this module's
// own.
func (w *walk) take(ctx context.Context, c *store.Commit) error {
	if actor.Reserved(c.Stream.Type) {
		return nil
	}
	if w.pass == 1 {
		w.visit.commit(c)
	}
	p := w.live[c.Stream]
	if p == nil && c.After.Version == 0 {
		var err error
		if p, err = w.admit(ctx, c); err != nil {
			return err
		}
	}
	if p == nil || p.of == nil {
		return nil // of another pass, or done with
	}
	if err := c.Follows(p.head); err != nil {
		return err
	}
	p.head = c.Head()
	on, err := p.of.fold(c)
	if !on {
		p.of = nil
	}
	return err
}

// admit begins a stream if there is room for it.
func (w *walk) admit(ctx context.Context, c *store.Commit) (*place, error) {
	if w.begun == w.states {
		if !w.left {
			w.left, w.leftOff = true, store.PositionOf(c.Sequence-1, store.MaxEvents-1)
		}
		return nil, nil
	}
	w.begun++
	// The names of a commit hold on to all its texts.
	id := store.StreamID{Type: strings.Clone(c.Stream.Type), ID: strings.Clone(c.Stream.ID)}
	of, err := w.visit.begin(ctx, id)
	if err != nil {
		return nil, err
	}
	p := &place{of: of}
	w.live[id] = p
	return p, nil
}

func (w *walk) finish() error {
	for _, p := range w.live {
		if p.of == nil {
			continue
		}
		if err := p.of.end(); err != nil {
			return err
		}
	}
	return nil
}
