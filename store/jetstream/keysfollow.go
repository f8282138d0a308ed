package jetstream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// keysBehind is how long a follower may lack what the leader has.
const keysBehind = 10 * time.Second

// Follow implements [privacy.Keys]. Every two seconds the stream's leader is asked what
// was changed last, for what delivers may be behind it. After a rotation it returns an
// error that matches [privacy.ErrMoved]: whoever follows begins anew, in the next epoch.
func (k *Keys) Follow(ctx context.Context, each func(privacy.Record), alive func()) error {
	f := &keysFollowing{keys: k, each: each, alive: alive}
	err := k.firmly(ctx, f.begin)
	if err == nil {
		defer f.reader.close()
		err = f.run(ctx)
	}
	if ctx.Err() != nil {
		return nil
	}
	if f.movedOn(ctx) {
		return fmt.Errorf("follow keys: %w: %w", privacy.ErrMoved, unavailable(err))
	}
	return fmt.Errorf("follow keys: %w", unavailable(err))
}

// movedOn reports whether the keys are in a later epoch than the one that was followed.
// Servers that have not heard of that yet are asked again for a moment.
func (f *keysFollowing) movedOn(ctx context.Context) bool {
	if f.reader == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	for try := range aheadTries {
		f.keys.leave(f.reader.epoch)
		e, err := f.keys.current(ctx)
		if err == nil && e.number > f.reader.epoch.number {
			return true
		}
		if err != nil || pause(ctx, try) != nil {
			return false
		}
	}
	return false
}

type keysFollowing struct {
	keys   *Keys
	each   func(privacy.Record)
	alive  func()
	reader *keysReader

	due   uint64    // what the leader had when it was asked last
	since time.Time // from when on that was not there
}

func (f *keysFollowing) begin(ctx context.Context, e *keysEpoch) error {
	last, err := f.keys.lastRecord(ctx, e)
	if err != nil {
		return err
	}
	f.reader, err = f.keys.newReader(ctx, e, natsjs.ConsumerConfig{DeliverPolicy: natsjs.DeliverByStartSequencePolicy, OptStartSeq: last + 1})
	if err == nil {
		f.reader.sequence, f.due = last, last
	}
	return err
}

func (f *keysFollowing) run(ctx context.Context) error {
	f.alive()
	look := time.NewTimer(keysBeat)
	defer look.Stop()
	for {
		r, err := f.reader.next(ctx)
		if err != nil {
			return err
		}
		if r != nil {
			f.each(r.Bare())
		}
		select {
		case <-look.C:
			if err := f.look(ctx); err != nil {
				return err
			}
			look.Reset(keysBeat)
		default:
		}
	}
}

// look compares with the leader what has come. Only what the leader had when it was
// asked before is expected to be here by now.
func (f *keysFollowing) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestWait)
	defer cancel()
	if f.reader.sequence < f.due {
		if time.Since(f.since) > keysBehind {
			return fmt.Errorf("what was changed at sequence %d does not come", f.due)
		}
		return nil
	}
	last, err := f.keys.lastRecord(ctx, f.reader.epoch)
	if err != nil {
		return err
	}
	switch {
	case last < f.due: // the server has an older copy of its files, or is led by who was cut off
		return fmt.Errorf("the last change was at sequence %d, and is at %d now", f.due, last)
	case last <= f.reader.sequence:
		f.alive()
	}
	f.due, f.since = last, time.Now()
	return nil
}

// All implements [privacy.Keys]. A record that changes meanwhile may come again. It ends
// with an error if the keys are moved to the next epoch meanwhile.
func (k *Keys) All(ctx context.Context) iter.Seq2[privacy.Record, error] {
	return func(yield func(privacy.Record, error) bool) {
		var r *keysReader
		var last uint64
		err := k.firmly(ctx, func(ctx context.Context, e *keysEpoch) (err error) {
			r, last, err = k.readAll(ctx, e, e.first()-1)
			return err
		})
		if err == nil {
			err = r.all(ctx, last, yield)
		}
		if err != nil && !errors.Is(err, errStopped) {
			if !errors.Is(err, store.ErrDamaged) {
				err = unavailable(err)
			}
			yield(privacy.Record{}, fmt.Errorf("list keys: %w", err))
		}
	}
}

// readAll returns a reader of the last record of each subject, or of all that were stored
// after a sequence; and up to which the leader has any.
func (k *Keys) readAll(ctx context.Context, e *keysEpoch, after uint64) (*keysReader, uint64, error) {
	last, err := k.lastRecord(ctx, e)
	if err != nil {
		return nil, 0, err
	}
	config := natsjs.ConsumerConfig{DeliverPolicy: natsjs.DeliverLastPerSubjectPolicy}
	if after >= e.first() {
		config = natsjs.ConsumerConfig{DeliverPolicy: natsjs.DeliverByStartSequencePolicy, OptStartSeq: after + 1}
	}
	r, err := k.newReader(ctx, e, config)
	return r, last, err
}

// keysPasses bounds how often a list goes on because records were erased before their
// turn. One would have to change in each pass, just before its turn, to be missed, and
// each pass reads only what was stored during the one before. It takes many where records
// are stored nearly as fast as they are read.
const keysPasses = 64

// all yields what the reader has, and closes it. Other readers bring what it lacks: it
// was made from a replica that was behind, or records were erased before their turn, and
// what was stored in their place came later.
func (r *keysReader) all(ctx context.Context, last uint64, yield func(privacy.Record, error) bool) error {
	yielded := r.epoch.first() - 1 // all that is there up to it
	for try := 0; ; try++ {
		whole, err := r.drain(ctx, last, func(record privacy.Record) bool {
			yielded = record.Revision
			return yield(record, nil)
		})
		r.close()
		switch {
		case err != nil:
			return err
		case yielded >= last && (whole || try >= keysPasses):
			return nil
		case yielded < last && try >= aheadTries:
			return fmt.Errorf("the last record, at sequence %d, is not delivered", last)
		case yielded < last:
			err = pause(ctx, try+3)
		}
		if err != nil {
			return err
		}
		before := last
		if r, last, err = r.keys.readAll(ctx, r.epoch, yielded); err != nil {
			return err
		}
		if yielded >= before && yielded == last { // each subject's last record is no later, and was there at its turn
			r.close()
			return nil
		}
	}
}

// drain takes as many records as were there when the reader was made, after last was
// asked for. They are not all of these if one of them came later than last, or fewer
// came: what the server says of how many are to come is too low while some are erased.
func (r *keysReader) drain(ctx context.Context, last uint64, take func(privacy.Record) bool) (whole bool, err error) {
	due := r.pending
	for r.pending > 0 && r.deliveries < due {
		record, err := r.next(ctx)
		if err != nil {
			return false, err
		}
		if record != nil && !take(*record) {
			return false, errStopped
		}
	}
	return r.deliveries == due && r.sequence <= last, nil
}
