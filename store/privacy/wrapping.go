package privacy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// WrappingSubject is the subject of the one record that is nobody's: what its key is
// wrapped by is the wrapping key that is current for all nodes, and that its key can be
// unwrapped proves that a node has that one and not another of the same name.
const WrappingSubject = "annals-wrapping-key"

// IsWrapping reports whether r says which wrapping key is current. Whoever lists or
// counts data subjects passes it over.
func (r *Record) IsWrapping() bool { return r.Subject == WrappingSubject }

// WrapSettled is how long after [Rewrap] has changed which wrapping key is current a
// node may still store a key that is wrapped by the one before: no wrapping key may be
// thrown away earlier, however few keys it wraps.
const WrapSettled = time.Minute

const (
	// wrapAge is how old a keyring's knowledge of the current wrapping key may be when
	// it wraps a key.
	wrapAge = time.Second
	// issueTime is how long making a key may take after that.
	issueTime = 20 * time.Second
)

// WrappingError says that a node does not have the wrapping key by which the namespace's
// keys are wrapped. Until it does, it makes no keys.
type WrappingError struct {
	// Name is that of the wrapping key.
	Name string
	// Other says that the node has one of that name, with other bytes.
	Other bool
}

func (e *WrappingError) Error() string {
	if e.Other {
		return fmt.Sprintf("wrapping key %q is not the one of that name that wraps the keys of this namespace: give this node the one that others have", e.Name)
	}
	return fmt.Sprintf("wrapping key %q, which wraps the keys of this namespace, is not among those of this node: give it to this node as well", e.Name)
}

// Unwrap makes the error match [store.ErrUnavailable].
func (e *WrappingError) Unwrap() error { return store.ErrUnavailable }

// wrapping is what a keyring knows of the current wrapping key.
type wrapping struct {
	turn chan struct{} // taken by who asks or changes what follows
	name string
	seen uint64 // the revision that was proved

	asked time.Time // under the keyring's lock: when it was asked for; zero if it has changed since
}

// Check reports whether this node has the wrapping key that is current in the key
// store, with the right bytes: a node calls it before it does anything. The error is a
// [*WrappingError], or the key store's or the wrapper's. Where no key was ever made there is nothing
// to compare with.
func (k *Keyring) Check(ctx context.Context) error { return k.check(ctx, k.prove) }

func (k *Keyring) check(ctx context.Context, prove func(context.Context, Record) error) error {
	select {
	case k.wrapping.turn <- struct{}{}:
		defer func() { <-k.wrapping.turn }()
	case <-ctx.Done():
		return fmt.Errorf("check wrapping key: %w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	r, err := k.config.Keys.Load(ctx, WrappingSubject)
	if err == nil && r.Key == (store.KeyID{}) {
		err = proveAny(ctx, k.config.Keys, k.config.Wrapper)
	} else if err == nil {
		err = prove(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("check wrapping key: %w", err)
	}
	return nil
}

// wrapBy names the wrapping key that is current, which this node has. The key store is
// asked if that was a second ago, or it is known to have changed.
func (k *Keyring) wrapBy(ctx context.Context) (string, error) {
	w := &k.wrapping
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return "", unavailable("ask for the current wrapping key", context.Cause(ctx))
	}
	asked := time.Now()
	k.mu.Lock()
	known := w.name != "" && asked.Sub(w.asked) < wrapAge
	if !known {
		w.asked = asked // a change that is heard of from now on takes it back
	}
	k.mu.Unlock()
	if known {
		return w.name, nil
	}
	err := k.askWrapping(ctx)
	if err != nil {
		k.wrappingChanged()
		return "", fmt.Errorf("ask for the current wrapping key: %w", err)
	}
	return w.name, nil
}

// wrappingChanged has the current wrapping key asked for again.
func (k *Keyring) wrappingChanged() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrapping.asked = time.Time{}
}

// askWrapping is called by who has the turn.
func (k *Keyring) askWrapping(ctx context.Context) error {
	r, err := currentWrapping(ctx, k.config.Keys, k.config.Wrapper)
	if err == nil && (r.Revision != k.wrapping.seen || r.WrappedBy != k.wrapping.name) {
		err = k.proveAndNote(ctx, r)
	}
	return err
}

// prove is called by who has the turn.
func (k *Keyring) prove(ctx context.Context, r Record) error {
	k.wrapping.name, k.wrapping.seen = "", 0
	if err := prove(ctx, k.config.Wrapper, k.config.Keys.Realm(), r); err != nil {
		return err
	}
	k.wrapping.name, k.wrapping.seen = r.WrappedBy, r.Revision
	return nil
}

// currentWrapping returns the record that says which wrapping key is current, and makes
// it, of the wrapper's, if there is none.
func currentWrapping(ctx context.Context, keys Keys, wrapper Wrapper) (Record, error) {
	for range loadTries {
		r, err := keys.Load(ctx, WrappingSubject)
		if err != nil || r.Key != (store.KeyID{}) {
			return r, err
		}
		if err := proveAny(ctx, keys, wrapper); err != nil {
			return r, err
		}
		if err := storeKey(ctx, keys, wrapper, wrapper.Current(), r); err != nil {
			return r, err
		}
	}
	return Record{}, fmt.Errorf("%w: it changes all the time", store.ErrUnavailable)
}

// prove reports whether the wrapper can unwrap the key of a record.
func prove(ctx context.Context, wrapper Wrapper, realm uuid.UUID, r Record) error {
	key, err := wrapper.Unwrap(ctx, r.WrappedBy, r.Wrapped, keyBinding(realm, store.KeyRef{Subject: r.Subject, ID: r.Key}))
	clear(key)
	switch {
	case errors.Is(err, store.ErrDamaged):
		return &WrappingError{Name: r.WrappedBy, Other: true}
	case errors.Is(err, store.ErrNotFound):
		return &WrappingError{Name: r.WrappedBy}
	case err != nil:
		return unavailable(fmt.Sprintf("unwrap a key by %q", r.WrappedBy), err)
	}
	return nil
}

// proveAny proves the key of any data subject, if there is one: for key stores that have
// no word yet on which wrapping key is current.
func proveAny(ctx context.Context, keys Keys, wrapper Wrapper) error {
	for r, err := range keys.All(ctx) {
		if err != nil {
			return err
		}
		if r.Key != (store.KeyID{}) {
			return prove(ctx, wrapper, keys.Realm(), r)
		}
	}
	return nil
}

// storeKey gives the subject of a record a key, wrapped by the wrapping key of a name,
// unless somebody else does, or changes the record in another way: load it again.
func storeKey(ctx context.Context, keys Keys, wrapper Wrapper, by string, r Record) error {
	ctx, cancel := context.WithTimeout(ctx, issueTime)
	defer cancel()
	key := make([]byte, keyBytes)
	defer clear(key)
	rand.Read(key) // never fails: the program ends instead
	r.Key, r.Made, r.WrappedBy = store.KeyID(uuid.New()), time.Now().UTC(), by
	ref := store.KeyRef{Subject: r.Subject, ID: r.Key}
	var err error
	if r.Wrapped, err = wrapper.Wrap(ctx, by, key, keyBinding(keys.Realm(), ref)); err != nil {
		return unavailable(fmt.Sprintf("wrap a key by %q", by), err)
	}
	_, err = keys.Store(ctx, r)
	switch {
	case err == nil, errors.Is(err, store.ErrConflict):
		return nil
	case errors.Is(err, store.ErrUnknown) && ctx.Err() == nil:
		return nil
	case errors.Is(err, store.ErrUnknown):
		return unavailable("store a key", err)
	}
	return fmt.Errorf("store a key: %w", err)
}
