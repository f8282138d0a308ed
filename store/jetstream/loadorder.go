package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// sourcingPatience is how long a loader waits until the order has what a log stream
// has: longer than it takes after the leaders of both have died.
const sourcingPatience = time.Minute

// findPatience is how long a loader looks where a namespace ends while commits arrive. What
// an interrupted loader had sent is at most a window, which takes less; whoever goes on
// for longer is somebody else. A look may take longer itself, after leaders have died: so it
// looks at least findLooks times.
const (
	findPatience = 10 * time.Second
	findLooks    = 3
)

// find looks where the log streams end, and waits until the order has all of it: one
// log stream may have been ahead when a loader was interrupted. That the order has more
// is damage only if no log stream has grown meanwhile.
func (d *Loader) find(ctx context.Context) error {
	for began, looks := time.Now(), 0; looks < findLooks || time.Since(began) < findPatience; looks++ {
		if err := d.ends(ctx); err != nil {
			return err
		}
		damage := d.complete(ctx)
		if !errors.Is(damage, store.ErrDamaged) {
			return damage
		}
		if grown, err := d.grown(ctx); err != nil || !grown {
			return cmp.Or(err, damage)
		}
		if err := pause(ctx, looks); err != nil {
			return unavailable(err)
		}
	}
	return fmt.Errorf("%w: somebody else writes to the namespace", store.ErrConflict)
}

// grown reports whether a log stream has more than when it was looked at.
func (d *Loader) grown(ctx context.Context) (bool, error) {
	for i := range d.lanes {
		state, err := d.log.state(ctx, &d.log.names.streams[i], nil)
		if err != nil || state.LastSequence > d.lanes[i].end {
			return err == nil, err
		}
	}
	return false, nil
}

// ends looks at each log stream once.
func (d *Loader) ends(ctx context.Context) error {
	d.end = 0
	for i := range d.lanes {
		stream := &d.log.names.streams[i]
		state, err := d.log.state(ctx, stream, nil)
		if err != nil {
			return err
		}
		d.lanes[i].end = state.LastSequence
		d.end += state.LastSequence
		if d.log.order == nil || state.LastSequence == 0 {
			continue
		}
		last, err := d.log.fetchFirmly(ctx, stream.leaderGet, at(state.LastSequence))
		if err != nil {
			return unavailable(err)
		}
		if _, err := d.sourced(ctx, spot{i, last.subject, state.LastSequence}); err != nil {
			return err
		}
	}
	return nil
}

// complete checks that the order has what the log streams have, and nothing else.
func (d *Loader) complete(ctx context.Context) error {
	if d.log.order == nil {
		return nil
	}
	end, err := d.log.lastSequence(ctx)
	if err == nil && end != d.end {
		err = fmt.Errorf("%w: the order has %d commits, the log streams have %d", store.ErrDamaged, end, d.end)
	}
	return err
}

// arrive returns when all that was given is stored and where it was given to.
func (d *Loader) arrive(ctx context.Context) error {
	for d.failure == nil && len(d.window) > 0 {
		d.settle(ctx)
	}
	if d.failure != nil || d.log.order == nil || d.last.local == 0 {
		return d.failure
	}
	place, err := d.sourced(ctx, d.last)
	if err == nil && place == 0 {
		place, err = d.end, d.complete(ctx)
	}
	switch {
	case err != nil:
		return d.fail(err)
	case place > d.end:
		d.conflict(place)
	case place < d.end:
		return d.fail(fmt.Errorf("%w: the order has at %d what was given for %d", store.ErrDamaged, place, d.end))
	}
	d.last = spot{}
	return d.failure
}

// sourced waits until the order has the commit at a spot, and returns where; 0 if
// that was so long ago that it is forgotten.
func (d *Loader) sourced(ctx context.Context, s spot) (uint64, error) {
	patience, cancel := context.WithTimeout(ctx, sourcingPatience)
	defer cancel()
	place, err := d.log.place(patience, s)
	switch {
	case errors.Is(err, errForgotten):
		return 0, nil
	case err != nil && !errors.Is(err, store.ErrDamaged) && ctx.Err() == nil:
		err = unavailable(fmt.Errorf("wait for the total order: %w", err))
	}
	return place, err
}
