package privacy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Rewrapped counts what [Rewrap] has done.
type Rewrapped struct {
	// Seen is how many subjects have a key, Changed how many of these were wrapped by
	// another key before.
	Seen, Changed int
}

// rewraps is how many keys are wrapped anew side by side.
const rewraps = 16

// Rewrap makes the wrapper's current key the one that all nodes wrap new keys by, has
// every subject's key wrapped by it, and the bytes of older revisions erased, so that
// nothing in the key store needs another wrapping key any more. A node that is just
// making a key may still store one that is wrapped by the key before: for [WrapSettled]. Every node must
// have the new wrapping key before; one that has not makes no keys any more. It calls
// progress, unless that is nil, after each subject, from one goroutine at a time. It may
// be called again at any time; keys stay usable meanwhile. The error matches
// [store.ErrUnavailable] if key store or wrapper could not be asked, and is a [*WrappingError] if
// the wrapper does not have the wrapping key that was current before.
func Rewrap(ctx context.Context, keys Keys, wrapper Wrapper, progress func(Rewrapped)) (Rewrapped, error) {
	wrapper = Pin(wrapper)
	if err := moveWrapping(ctx, keys, wrapper); err != nil {
		return Rewrapped{}, fmt.Errorf("rewrap keys: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu    sync.Mutex
		count Rewrapped
		wg    sync.WaitGroup
		slots = make(chan struct{}, rewraps)
	)
	one := func(r Record) {
		changed, err := rewrapOne(ctx, keys, wrapper, r)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			cancel(err)
			return
		}
		count.Seen++
		if changed {
			count.Changed++
		}
		if progress != nil {
			progress(count)
		}
	}
	for r, err := range keys.All(ctx) {
		if err != nil {
			cancel(err)
		}
		if ctx.Err() != nil {
			break
		}
		if r.Key == (store.KeyID{}) || r.IsWrapping() {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one(r)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return count, fmt.Errorf("rewrap keys: %w", context.Cause(ctx))
	}
	return count, nil
}

// moveWrapping makes the wrapper's current key the one of the namespace.
func moveWrapping(ctx context.Context, keys Keys, wrapper Wrapper) error {
	r, err := currentWrapping(ctx, keys, wrapper)
	if err == nil {
		err = prove(ctx, wrapper, keys.Realm(), r)
	}
	if err == nil {
		_, err = rewrapOne(ctx, keys, wrapper, r)
	}
	return err
}

// Pin returns a wrapper whose current key stays the one that it is now.
func Pin(w Wrapper) Wrapper { return pinned{Wrapper: w, current: w.Current()} }

type pinned struct {
	Wrapper
	current string
}

// Current implements [Wrapper].
func (p pinned) Current() string { return p.current }

// rewrapOne returns whether the key was wrapped by another one.
func rewrapOne(ctx context.Context, keys Keys, wrapper Wrapper, r Record) (changed bool, err error) {
	for r.Key != (store.KeyID{}) {
		next, differs, err := RewrapRecord(ctx, wrapper, keys.Realm(), r)
		if err != nil {
			return false, err
		}
		if !differs { // an earlier call may have been interrupted before it erased
			return changed, keys.Erase(ctx, r.Subject, r.Revision)
		}
		if next.IsWrapping() {
			next.Made = time.Now().UTC() // since when it is current
		}
		_, err = keys.Store(ctx, next)
		switch {
		case err == nil:
			changed = true
		case errors.Is(err, store.ErrConflict):
		case errors.Is(err, store.ErrUnknown) && ctx.Err() == nil:
			changed = true
		default:
			return false, err
		}
		if r, err = keys.Load(ctx, r.Subject); err != nil {
			return false, err
		}
	}
	return changed, nil // forgotten meanwhile
}

// RewrapRecord returns the record with its key wrapped by the wrapper's current key, and
// whether that is another one than before. A record without a key stays as it is.
func RewrapRecord(ctx context.Context, wrapper Wrapper, realm uuid.UUID, r Record) (Record, bool, error) {
	by := wrapper.Current()
	if r.Key == (store.KeyID{}) || r.WrappedBy == by {
		return r, false, nil
	}
	ref := store.KeyRef{Subject: r.Subject, ID: r.Key}
	bound := keyBinding(realm, ref)
	key, err := wrapper.Unwrap(ctx, r.WrappedBy, r.Wrapped, bound)
	if err != nil {
		return r, false, unwrapError(ref, r.WrappedBy, err)
	}
	defer clear(key)
	wrapped, err := wrapper.Wrap(ctx, by, key, bound)
	if err != nil {
		return r, false, unavailable(fmt.Sprintf("wrap key %s by %q", ref.ID, by), err)
	}
	r.Wrapped, r.WrappedBy = wrapped, by
	return r, true, nil
}
