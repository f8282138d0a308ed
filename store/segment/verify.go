package segment

import (
	"context"
	"crypto/sha256"
	"io"
	"reflect"

	"github.com/annals-go/annals/store"
)

// Verify reads all of the file: that its sum is right, that each commit decodes
// and follows the one before in its stream, and that the index says what is
// there. The error is of the first damage: a [*FrameError] or a
// [*store.DamageError] where one place is at fault, otherwise one that matches
// [store.ErrDamaged]; or ctx's, or the file's own.
func (r *Reader) Verify(ctx context.Context) error {
	t := newTally()
	for k := range r.tally.frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.recount(t, k); err != nil {
			return err
		}
	}
	if err := r.compare(t); err != nil {
		return err
	}
	return r.checkSum(ctx)
}

// recount adds the commits of a frame to what was counted of those before.
func (r *Reader) recount(t *tally, k int) (failure error) {
	all := func(rec record) bool {
		t.info.Raw += int64(len(rec.stored))
		return true
	}
	r.frame(k, all, func(c *store.Commit, err error) bool {
		if err == nil {
			err = t.check(c)
		}
		if err == nil {
			t.add(c, k)
		}
		failure = err
		return err == nil
	})
	return failure
}

// compare compares what was counted with the index.
func (r *Reader) compare(t *tally) error {
	has := r.tally.info
	t.info.Size, t.info.Sum = has.Size, has.Sum
	if t.info != has {
		return damaged("its index says %+v, it holds %+v", has, t.info)
	}
	for n := range t.spans {
		if !reflect.DeepEqual(t.spans[n], r.tally.spans[n]) {
			return damaged("its index says of %s what it does not hold", r.tally.spans[n].Stream)
		}
	}
	return nil
}

func (r *Reader) checkSum(ctx context.Context) error {
	sum := sha256.New()
	most := r.tally.info.Size - int64(len(Sum{})+len(endMagic))
	for at := int64(0); at < most; at += MaxBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.Copy(sum, io.NewSectionReader(r.file, at, min(MaxBytes, most-at))); err != nil {
			return err
		}
	}
	var got Sum
	sum.Sum(got[:0])
	if got != r.end.sum {
		return damaged("its check sum is %s, it was %s", got, r.end.sum)
	}
	return nil
}
