package jetstream

import (
	"context"
	"sync/atomic"
)

// durability knows how much of the log has reached the disk.
//
// A server acknowledges a commit, and shows it to readers, before it is synced.
// Whoever rests something on a commit first waits here, and shares the wait:
// the watermark synced is the highest sequence known to be on disk, seen the
// highest known to be in the log. seen is taken before a barrier begins, and
// synced is raised to it after the barrier ends. That order is what makes the
// mark true: sequences are given in the order in which the server writes, so
// all up to seen were written before the barrier began. (Taking seen afterwards
// would count a commit that was written while the barrier ran and that it did
// not sync.)
type durability struct {
	barrier func(context.Context) error
	seen    atomic.Uint64
	synced  atomic.Uint64
}

// see notes that the log holds the sequence.
func (d *durability) see(sequence uint64) { raise(&d.seen, sequence) }

// wait returns when everything up to the sequence, which is in the log, is
// durable.
func (d *durability) wait(ctx context.Context, sequence uint64) error {
	if d.barrier == nil || sequence <= d.synced.Load() {
		return nil
	}
	d.see(sequence)
	seen := d.seen.Load()
	if err := d.barrier(ctx); err != nil {
		return err
	}
	raise(&d.synced, seen)
	return nil
}

func raise(mark *atomic.Uint64, to uint64) {
	for {
		now := mark.Load()
		if to <= now || mark.CompareAndSwap(now, to) {
			return
		}
	}
}
