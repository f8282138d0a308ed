package ledger

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// Ledger appends to the system's own streams. Many processes may do so at the same time:
// each append is conditional, and made again behind what another has appended. All methods may be
// called from many goroutines.
type Ledger struct {
	log store.Log

	turn  chan struct{} // held while something is appended
	tails map[store.StreamID]*tail
}

// New returns a ledger in a log. It asks nobody for anything yet.
func New(log store.Log) *Ledger {
	return &Ledger{log: log, turn: make(chan struct{}, 1), tails: map[store.StreamID]*tail{}}
}

// enter waits for the caller's turn, until leave.
func (l *Ledger) enter(ctx context.Context) (leave func(), err error) {
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
}

// Record writes down an act, in a stream of the month of a.At. Of one ID, its beginning and its end
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
	e := appending{stream: auditStream(a), command: a.ID + "." + step, name: "act", by: a.By, time: a.At, event: encoded.Event(0)}
	leave, err := l.enter(ctx)
	if err != nil {
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	defer leave()
	if _, err := l.append(ctx, l.tail(e.stream), e); err != nil { // what was read until then is kept
		return fmt.Errorf("record %s: %w", a.Action, err)
	}
	return nil
}
