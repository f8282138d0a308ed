package projector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// errSettling: a switch is not over yet. Who asks again later is answered.
var errSettling = fmt.Errorf("%w: view is being switched", store.ErrUnavailable)

// changeTries bounds how often a change is repeated because others change the
// same entry.
const changeTries = 20

// change replaces the view's entry by what next makes of it, and takes it in
// here at once, before it returns. It repeats that with the entry as it has become
// if others were faster, and waits if next says [errSettling]. An error matches
// [store.ErrUnknown] if what next made of it may have been stored. Then next may be
// called with an entry that has it, and says [errNothing] if it can tell.
func (f *family) change(ctx context.Context, next func(Entry) (Entry, error)) error {
	unknown, err := f.replace(ctx, next)
	if err == nil || unknown == nil || errors.Is(err, errNothing) {
		return err
	}
	return fmt.Errorf("%w: %w", store.ErrUnknown, err)
}

// replace does that, and returns beside the error what may have been stored, or may
// still be, nil if there is none.
func (f *family) replace(ctx context.Context, next func(Entry) (Entry, error)) (unknown *Entry, err error) {
	for range changeTries {
		e, revision, err := f.current(ctx)
		if err != nil {
			return unknown, err
		}
		if unknown != nil && same(e, *unknown) {
			return nil, nil
		}
		want, err := next(e)
		if errors.Is(err, errSettling) {
			if err := f.changedSince(ctx, revision); err != nil {
				return unknown, err
			}
			continue
		}
		if err != nil {
			return unknown, err
		}
		now, err := f.cfg.Registry.Store(ctx, f.name, want, revision)
		switch {
		case err == nil:
			f.hear(want, now)
			return nil, nil
		case errors.Is(err, store.ErrUnknown):
			unknown = &want
		case !errors.Is(err, ErrChanged):
			return unknown, err
		}
		if e, revision, err = f.cfg.Registry.Load(ctx, f.name); err != nil {
			return unknown, err
		}
		f.hear(e, revision)
	}
	return unknown, fmt.Errorf("%w: view %s is changed by others all the time", store.ErrUnavailable, f.name)
}

// changedSince waits until the entry is another than that of the revision.
func (f *family) changedSince(ctx context.Context, revision uint64) error {
	for {
		f.mu.Lock()
		changed, same := f.changes(), f.revision == revision && !f.away && !f.finished
		f.mu.Unlock()
		if !same {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("view %s: %w: %w", f.name, errSettling, ctx.Err())
		}
	}
}

// same reports whether two entries are stored alike.
func same(a, b Entry) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}
