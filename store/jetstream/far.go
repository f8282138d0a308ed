package jetstream

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/store"
)

var (
	// errForgotten says that the order has a commit, but where is not remembered.
	errForgotten = errors.New("its place is not remembered")
	errNotThere  = errors.New("the total order does not have it there")
)

// clockSkew is by how much the clocks of two servers may differ before a read
// of the order takes longer than it must.
const clockSkew = 10 * time.Second

// last yields the end if it is all that was added: the order's leader is asked
// where it is. errForgotten: it is not all.
func (r *reading) last(ctx context.Context, end *message) error {
	if !end.attested || end.before != r.head.Sequence {
		return errForgotten
	}
	place, err := r.log.order.ask(ctx, spot{r.stream, r.subject, end.local})
	if place == 0 || err != nil {
		return errForgotten
	}
	end.place = place
	return r.emit(end)
}

// far reads from the order, whose messages say both sequences: what was
// appended before this log began to remember places.
//
// The order has no number for where the head is. Its place is not before its
// sequence in the log stream, and the order stored it after the log stream did;
// the later of the two is tried first, and if the clocks were wrong the other.
func (r *reading) far(ctx context.Context, end *message) error {
	near, low := r.from, r.head.Sequence+1
	r.from = &r.log.names.order
	r.next = low
	if guess := r.placeByTime(ctx, near); guess > low {
		before := r.head
		r.next, r.guessed = guess, true
		switch err := r.forward(ctx, end); {
		case r.head == before && (errors.Is(err, store.ErrDamaged) || errors.Is(err, errNotThere)):
			r.next, r.guessed = low, false
		case !errors.Is(err, errNotThere):
			return err
		}
	}
	for try := 0; ; try++ {
		err := r.forward(ctx, end)
		if !errors.Is(err, errNotThere) || r.log.replicas < 2 || try == aheadTries {
			return err
		}
		// Who was told the place was told by a replica that is ahead of its leader.
		if err := pause(ctx, try+3); err != nil {
			return unavailable(err)
		}
	}
}

// placeByTime returns a place in the order before which the head's successor
// does not stand, if clocks are right; 0 if that cannot be told.
func (r *reading) placeByTime(ctx context.Context, stream *kept) uint64 {
	if r.head.Sequence == 0 {
		return 0
	}
	head, err := r.log.fetchNear(ctx, stream.directGet, at(r.head.Sequence))
	if err != nil || head.stored.IsZero() {
		return 0
	}
	m, err := r.log.fetchNear(ctx, r.from.directGet, since(head.stored.Add(-clockSkew)))
	if err != nil {
		return 0
	}
	return m.sequence
}

// seek returns the place of the commit that follows a head, and that the log
// stream has at a sequence.
func (l *Log) seek(ctx context.Context, c *store.Commit, token string, local uint64) (place uint64, err error) {
	r := l.newReading(c.Stream, token, c.After, func(found *store.Commit, _ error) bool {
		if found.Local == local {
			place = found.Sequence
		}
		return false
	})
	err = r.far(ctx, &message{local: local})
	if errors.Is(err, errNotThere) || place == 0 && errors.Is(err, errStopped) {
		return l.seekArchived(ctx, c, local)
	}
	if !errors.Is(err, errStopped) {
		return 0, err
	}
	return place, nil
}

// seekArchived is seek for a commit that was truncated.
func (l *Log) seekArchived(ctx context.Context, c *store.Commit, local uint64) (uint64, error) {
	if l.cfg.Archive == nil {
		return 0, errNotThere
	}
	for found, err := range l.cfg.Archive.Stream(ctx, c.Stream, c.After) {
		if err != nil {
			return 0, err
		}
		if found.Local == local {
			return found.Sequence, nil
		}
		break
	}
	return 0, errNotThere
}
