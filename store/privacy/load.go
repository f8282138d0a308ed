package privacy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/annals-go/annals/store"
)

// loading is a load that is under way: of many that want the same subject, one asks.
type loading struct {
	done chan struct{}
}

// loadTries is how often a load begins again because the record changed meanwhile.
const loadTries = 16

// round counts loads. What was loaded in a round after the one that is current now was
// asked for from now on. It is called with the lock.
func (k *Keyring) round() uint64 { return k.watch.rounds }

// now returns the current round.
func (k *Keyring) now() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.round()
}

// get returns what is known of a subject, from what is held if that is fresh and was
// loaded after a round, or else from the key store. If a key is wanted and the subject has
// none, it is given one.
func (k *Keyring) get(ctx context.Context, subject string, after uint64, wanted bool) (*holding, error) {
	for {
		k.mu.Lock()
		if h := k.usable(subject, after, wanted); h != nil {
			k.mu.Unlock()
			return h, nil
		}
		other := k.loading[subject]
		if other == nil {
			l, round := k.begin(subject)
			k.mu.Unlock()
			return k.load(ctx, subject, l, round, wanted)
		}
		k.mu.Unlock()
		select {
		case <-other.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("load key: %w: %w", store.ErrUnavailable, context.Cause(ctx))
		}
	}
}

// usable returns what is held of a subject if it will do. It is called with the lock.
func (k *Keyring) usable(subject string, after uint64, wanted bool) *holding {
	e, ok := k.held[subject]
	if !ok {
		return nil
	}
	h := e.Value.(*holding)
	if h.round <= after || !k.fresh(h) || wanted && h.secret == nil {
		return nil
	}
	k.recent.MoveToFront(e)
	return h
}

// begin is called with the lock.
func (k *Keyring) begin(subject string) (*loading, uint64) {
	l := &loading{done: make(chan struct{})}
	k.loading[subject] = l
	k.watch.rounds++
	return l, k.watch.rounds
}

// load asks the key store, and makes a key if it is wanted.
func (k *Keyring) load(ctx context.Context, subject string, l *loading, round uint64, wanted bool) (*holding, error) {
	defer func() {
		k.mu.Lock()
		delete(k.loading, subject)
		k.mu.Unlock()
		close(l.done)
	}()
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("load key: %w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	i := &intake{keyring: k, subject: subject, round: round, wanted: wanted}
	for range loadTries {
		if h, err := i.try(ctx); h != nil || err != nil {
			return h, err
		}
	}
	return nil, errChanging
}

var errChanging = fmt.Errorf("load key: %w: it changes all the time", store.ErrUnavailable)

// take makes of a record what is held of it, and of what the log has told. What they say of
// erasures is learnt even if the key cannot be unwrapped now.
func (k *Keyring) take(ctx context.Context, r Record, told []Erasure, asked time.Time, round uint64) (*holding, error) {
	if r.Key != (store.KeyID{}) && r.WasErased(r.Key) {
		return nil, fmt.Errorf("%w: a key record has key %s, which was erased", store.ErrDamaged, r.Key)
	}
	h := &holding{subject: r.Subject, revision: r.Revision, asked: asked, round: round}
	for _, all := range [][]Erasure{r.Erased, told} {
		for _, e := range all {
			h.erased = append(h.erased, e.Key)
			if e.At.After(h.since) {
				h.since = e.At
			}
		}
	}
	k.mu.Lock()
	k.learn(r.Erased)
	k.learn(told)
	k.mu.Unlock()
	if r.Key == (store.KeyID{}) {
		return h, nil
	}
	ref := store.KeyRef{Subject: r.Subject, ID: r.Key}
	key, err := k.config.Wrapper.Unwrap(ctx, r.WrappedBy, r.Wrapped, keyBinding(k.config.Keys.Realm(), ref))
	if err != nil {
		return nil, unwrapError(ref, r.WrappedBy, err)
	}
	h.secret, err = newSecret(ref, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrDamaged, err)
	}
	return h, nil
}

func unwrapError(ref store.KeyRef, by string, err error) error {
	doing := fmt.Sprintf("unwrap key %s by %q", ref.ID, by)
	switch {
	case errors.Is(err, store.ErrDamaged):
		return fmt.Errorf("%s: %w", doing, err)
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%s: %w", doing, &WrappingError{Name: by})
	}
	return unavailable(doing, err)
}

// accept holds what was loaded, unless it has been learnt meanwhile that its key is erased.
func (k *Keyring) accept(h *holding) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h.secret != nil && k.erasures.has(h.secret.ref.ID) {
		h.secret.drop()
		return false
	}
	k.hold(h)
	return true
}

// issue gives a subject a key, wrapped by the wrapping key that is current now. Only what
// Load then returns is used. Who was forgotten as often as a record can say gets none.
func (k *Keyring) issue(ctx context.Context, r Record) error {
	if len(r.Erased) >= maxErasures {
		return fmt.Errorf("make a key: %w", &store.TooLargeError{What: "count of its erasures", Size: len(r.Erased) + 1, Limit: maxErasures})
	}
	by, err := k.wrapBy(ctx)
	if err != nil {
		return err
	}
	return storeKey(ctx, k.config.Keys, k.config.Wrapper, by, r)
}

// find returns the very key that a reference names, nil if it was erased. The error is
// a [*KeyLostError] if it is neither there nor erased.
func (k *Keyring) find(ctx context.Context, ref store.KeyRef) (*secret, error) {
	before := k.now()
	h, err := k.get(ctx, ref.Subject, 0, false)
	if err == nil && !h.knows(ref.ID) && h.round <= before {
		h, err = k.get(ctx, ref.Subject, before, false) // it may be younger than what is held
	}
	switch {
	case k.isErased(ref.ID):
		return nil, nil
	case err != nil:
		return nil, err
	case h.holds(ref.ID):
		return h.secret, nil
	case h.knows(ref.ID):
		return nil, nil
	}
	return nil, &KeyLostError{Subject: ref.Subject, Key: ref.ID}
}

// look is find without asking anybody; known says whether that sufficed.
func (k *Keyring) look(ref store.KeyRef) (s *secret, known bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lookup(ref)
}

// lookup is look, called with the lock.
func (k *Keyring) lookup(ref store.KeyRef) (s *secret, known bool) {
	if k.erasures.has(ref.ID) {
		return nil, true
	}
	h := k.usable(ref.Subject, 0, false)
	switch {
	case h == nil || !h.knows(ref.ID):
		return nil, false
	case h.holds(ref.ID):
		return h.secret, true
	}
	return nil, true
}

func (k *Keyring) isErased(id store.KeyID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.erasures.has(id)
}

// knows reports whether the key is the subject's, now or before.
func (h *holding) knows(id store.KeyID) bool {
	return h.holds(id) || slices.Contains(h.erased, id)
}

// warm loads what is not held of subjects, side by side, and gives keys to those that
// have none if they are wanted. What fails will fail again for whoever needs it.
func (k *Keyring) warm(ctx context.Context, subjects []string, wanted bool) {
	if len(subjects) < 2 {
		return
	}
	todo := make(chan string, len(subjects))
	for _, s := range subjects {
		todo <- s
	}
	close(todo)
	var wg sync.WaitGroup
	for range min(len(subjects), k.config.Loads) {
		wg.Go(func() {
			for s := range todo {
				_, _ = k.get(ctx, s, 0, wanted)
			}
		})
	}
	wg.Wait()
}
