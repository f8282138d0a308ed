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
// error: whoever follows begins anew, in the next epoch.
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
	return fmt.Errorf("follow keys: %w", unavailable(err))
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
			r, last, err = k.readAll(ctx, e)
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

// readAll returns a reader of the last record of each subject, and up to which sequence
// the leader has any.
func (k *Keys) readAll(ctx context.Context, e *keysEpoch) (*keysReader, uint64, error) {
	last, err := k.lastRecord(ctx, e)
	if err != nil {
		return nil, 0, err
	}
	r, err := k.newReader(ctx, e, natsjs.ConsumerConfig{DeliverPolicy: natsjs.DeliverLastPerSubjectPolicy})
	return r, last, err
}

// all yields what the reader has, and closes it. Where it was made from a replica that
// was behind, another reader brings what is missing.
func (r *keysReader) all(ctx context.Context, last uint64, yield func(privacy.Record, error) bool) error {
	yielded := r.epoch.first() - 1
	for try := 0; ; try++ {
		err := r.drain(ctx, func(record privacy.Record) bool {
			if record.Revision <= yielded {
				return true
			}
			yielded = record.Revision
			return yield(record, nil)
		})
		r.close()
		if err != nil || yielded >= last {
			return err
		}
		if try == aheadTries {
			return fmt.Errorf("the last record, at sequence %d, is not delivered", last)
		}
		if err := pause(ctx, try+3); err != nil {
			return err
		}
		if r, last, err = r.keys.readAll(ctx, r.epoch); err != nil {
			return err
		}
	}
}

// drain takes as many records as were there when the reader was made.
func (r *keysReader) drain(ctx context.Context, take func(privacy.Record) bool) error {
	for due := r.pending; r.pending > 0 && r.deliveries < due; {
		record, err := r.next(ctx)
		if err != nil {
			return err
		}
		if record != nil && !take(*record) {
			return errStopped
		}
	}
	return nil
}
