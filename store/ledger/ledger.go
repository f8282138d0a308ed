package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/annals-go/annals/store"
)

// Ledger appends to the system's own streams. Many processes may do so at the same time:
// each append is conditional, and made again behind what another has appended. All methods may be
// called from many goroutines.
type Ledger struct {
	log store.Log

	turn  chan struct{} // held while something is appended
	month tail          // of the acts of the month that was recorded last
}

// tail is what is known of a stream: where it ends, and which commands it has.
type tail struct {
	stream store.StreamID
	head   store.Head
	has    map[string]store.Position
}

// maxKnown is how many commands of a month are remembered. Of a month that has more, some of
// its oldest may be stored again if they are recorded again.
const maxKnown = 1 << 16

func tailOf(stream store.StreamID) tail {
	return tail{stream: stream, has: map[string]store.Position{}}
}

// New returns a ledger in a log. It asks nobody for anything yet.
func New(log store.Log) *Ledger { return &Ledger{log: log, turn: make(chan struct{}, 1)} }

// enter waits for the caller's turn, until leave.
func (l *Ledger) enter(ctx context.Context) (leave func(), err error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
}

// Record writes down an act, in the stream of the month of a.At. Of one ID, its beginning and its end
// are each stored once, however often they are recorded. The errors are those of
// [store.Log].
func (l *Ledger) Record(ctx context.Context, a Act) error {
	a = a.bounded()
	step := "end"
	if a.Outcome == Begun {
		step = "begin"
	}
	encoded, err := entries.Encode(l.log.Codec(), a)
	if err != nil {
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	e := appending{stream: auditStream(a.At), command: a.ID + "." + step, name: "act", by: a.By, time: a.At, event: encoded.Event(0)}
	leave, err := l.enter(ctx)
	if err != nil {
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	defer leave()
	if l.month.stream != e.stream {
		l.month = tailOf(e.stream)
	}
	if len(l.month.has) > maxKnown {
		clear(l.month.has)
	}
	if _, err := l.append(ctx, &l.month, e); err != nil { // what was read until then is kept
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	return nil
}

// append stores an event at the end of a stream, unless there is one of the same command,
// and returns where it is.
func (l *Ledger) append(ctx context.Context, t *tail, e appending) (store.Position, error) {
	for {
		if err := t.catchUp(ctx, l.log); err != nil {
			return 0, err
		}
		if at := t.has[e.command]; at > 0 {
			return at, nil
		}
		c := e.commit(t.head)
		head, err := l.log.Append(ctx, c)
		if err == nil {
			t.head, t.has[e.command] = head, c.Last()
			return c.Last(), nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return 0, err
		}
	}
}

// catchUp reads what others have appended.
func (t *tail) catchUp(ctx context.Context, log store.Log) error {
	for c, err := range log.Read(ctx, t.stream, t.head) {
		if err != nil {
			return err
		}
		t.head = c.Head()
		for i := range c.Commands {
			t.has[strings.Clone(c.Commands[i].ID)] = c.Last()
		}
	}
	return nil
}
