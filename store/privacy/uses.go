package privacy

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// use counts the appends under way that rest on a key.
type use struct {
	count int
	idle  chan struct{} // closed when there is none any more; nil if nobody waits for that
}

// confirm reports whether all keys hold, as the key store says, asking it where what is
// held is not fresh. gaps is for [Keyring.enter].
func (k *Keyring) confirm(ctx context.Context, refs []store.KeyRef) (gaps uint64, err error) {
	k.mu.Lock()
	gaps = k.erasures.gaps
	subjects := k.missing(refs)
	k.mu.Unlock()
	k.warm(ctx, subjects, false)
	for _, ref := range refs {
		s, known := k.look(ref)
		if !known {
			s, err = k.find(ctx, ref)
		}
		if err != nil {
			return 0, err
		}
		if s == nil {
			return 0, erasedError(ref)
		}
	}
	return gaps, nil
}

// notErased is confirm for keys that may be of another realm, of which nothing is known
// here: only those that were erased here are refused.
func (k *Keyring) notErased(ctx context.Context, refs []store.KeyRef) error {
	for _, ref := range refs {
		h, err := k.get(ctx, ref.Subject, 0, false)
		if err != nil {
			return err
		}
		if !h.holds(ref.ID) && h.knows(ref.ID) {
			return erasedError(ref)
		}
	}
	return nil
}

// missing returns the subjects of which nothing is held that may be used. It is called
// with the lock.
func (k *Keyring) missing(refs []store.KeyRef) []string {
	var subjects []string
	seen := map[string]bool{}
	for _, ref := range refs {
		if !seen[ref.Subject] && k.usable(ref.Subject, 0, false) == nil {
			seen[ref.Subject] = true
			subjects = append(subjects, ref.Subject)
		}
	}
	return subjects
}

func erasedError(ref store.KeyRef) error {
	return fmt.Errorf("key %s: %w", ref.ID, store.ErrErased)
}

// enter begins an append that rests on keys, which were confirmed when there had been so
// many gaps. It matches [store.ErrErased] if one is known to be erased by now. If more
// may have happened meanwhile, again is true, and they are to be confirmed again.
//
// Whoever entered is waited for by every [Keyring.Purge] of these keys: between the last
// look at a key and the answer of the log there is no moment in which it could be
// erased and all nodes have said that they do not use it.
func (k *Keyring) enter(refs []store.KeyRef, gaps uint64) (again bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, ref := range refs {
		if k.erasures.has(ref.ID) {
			return false, erasedError(ref)
		}
	}
	if gaps != k.erasures.gaps {
		return true, nil
	}
	k.count(refs)
	return false, nil
}

// enterHeld is confirm and enter in one, for keys of which all that is to be known is at
// hand; otherwise nothing is done.
func (k *Keyring) enterHeld(refs []store.KeyRef) (entered bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, err := k.vouched(refs)
	if known && err == nil {
		k.count(refs)
	}
	return known && err == nil, err
}

// still is confirm for whoever does not enter yet.
func (k *Keyring) still(ctx context.Context, refs []store.KeyRef) error {
	if len(refs) == 0 {
		return nil
	}
	k.mu.Lock()
	known, err := k.vouched(refs)
	k.mu.Unlock()
	if err == nil && !known {
		_, err = k.confirm(ctx, refs)
	}
	return err
}

// vouched reports whether all keys are known to hold, without asking anybody. It is called with the
// lock.
func (k *Keyring) vouched(refs []store.KeyRef) (known bool, err error) {
	for _, ref := range refs {
		switch s, known := k.lookup(ref); {
		case !known:
			return false, nil
		case s == nil:
			return false, erasedError(ref)
		}
	}
	return true, nil
}

// count is called with the lock.
func (k *Keyring) count(refs []store.KeyRef) {
	for _, ref := range refs {
		u := k.uses[ref.ID]
		u.count++
		k.uses[ref.ID] = u
	}
}

// leave ends what enter began, with the same keys.
func (k *Keyring) leave(refs []store.KeyRef) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, ref := range refs {
		u := k.uses[ref.ID]
		if u.count--; u.count > 0 {
			k.uses[ref.ID] = u
			continue
		}
		delete(k.uses, ref.ID)
		if u.idle != nil {
			close(u.idle)
		}
	}
}

// settle waits until no append is under way that rests on an erased key.
func (k *Keyring) settle(ctx context.Context, erased []Erasure) error {
	for _, e := range erased {
		idle := k.idle(e.Key)
		if idle == nil {
			continue
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("wait for appends under key %s: %w: %w", e.Key, store.ErrUnavailable, context.Cause(ctx))
		}
	}
	return nil
}

// idle returns what is closed when the last append under way that rests on a key has its
// answer; nil if there is none.
func (k *Keyring) idle(key store.KeyID) <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	u, used := k.uses[key]
	if !used {
		return nil
	}
	if u.idle == nil {
		u.idle = make(chan struct{})
		k.uses[key] = u
	}
	return u.idle
}
