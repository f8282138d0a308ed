package privacy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/annals-go/annals/store"
)

// intake is one subject's record on its way from the key store into a keyring. The log decides what
// is erased; the record is believed as far as the log does not contradict it.
type intake struct {
	keyring *Keyring
	subject string
	round   uint64
	wanted  bool // a key is made if there is none

	asked bool      // the log was
	told  []Erasure // what it said
}

// try asks the key store, and the log the first time. It returns nothing if the record is to be
// loaded again, because it was changed or may have changed meanwhile.
func (i *intake) try(ctx context.Context) (*holding, error) {
	k, asked := i.keyring, time.Now()
	r, err := i.record(ctx)
	if err != nil || r == nil {
		return nil, err
	}
	if r.Key == (store.KeyID{}) && i.wanted {
		return nil, k.issue(ctx, *r) // whoever makes it: the record in the store is the truth
	}
	h, err := k.take(ctx, *r, i.told, asked, i.round)
	if err != nil || !k.accept(h) {
		return nil, err
	}
	return h, nil
}

// record loads the record, with every erasure that the log tells of. Nil: it is to be loaded again.
func (i *intake) record(ctx context.Context) (*Record, error) {
	r, err := i.keyring.config.Keys.Load(ctx, i.subject)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	first := !i.asked
	if first {
		if i.told, err = i.keyring.noticed(ctx, i.subject); err != nil {
			return nil, err
		}
		i.asked = true
	}
	switch {
	case !lacks(&r, i.told):
		return &r, nil
	case first: // it may have been erased after the record was loaded
		return nil, nil
	}
	return i.mend(ctx, r)
}

// mend stores what the log has told and the record lacks. Who needs no new key goes on with the
// mended record also if it could not be stored: nothing is read otherwise for that, and
// another may be allowed to store it. Nil: it is to be loaded again.
func (i *intake) mend(ctx context.Context, r Record) (*Record, error) {
	k := i.keyring
	before := r.Key
	r.Join(i.told) // which has that key's, also if the erasure is there and of another key
	needed := i.wanted && r.Key == (store.KeyID{})
	if !needed && k.leavesMending() {
		return &r, nil
	}
	storing, cancel := ctx, func() {}
	if !needed {
		storing, cancel = context.WithTimeout(ctx, mendTime)
	}
	defer cancel()
	err := k.eraseAgain(storing, &r, before)
	switch {
	case err == nil:
		return &r, nil
	case errors.Is(err, store.ErrConflict), needed && errors.Is(err, store.ErrUnknown):
		return nil, nil
	case needed:
		return nil, fmt.Errorf("load key: %w", err)
	}
	if !errors.Is(ctx.Err(), context.Canceled) { // which says nothing of the key store
		k.leaveMending(err)
	}
	return &r, nil
}

// Record returns a subject's record as the key store has it, with every erasure that the log
// which the keyring compares it with has a notice of: one that lacks any was put back, and
// is mended, if this process may write keys. It is asked for anew each time. Errors match
// [store.ErrUnavailable] or [store.ErrDamaged].
func (k *Keyring) Record(ctx context.Context, subject string) (Record, error) {
	i := &intake{keyring: k, subject: subject}
	for range loadTries {
		if r, err := i.record(ctx); err != nil {
			return Record{}, err
		} else if r != nil {
			return *r, nil
		}
	}
	return Record{}, errChanging
}

// Forgotten returns when a subject was forgotten last, zero if never, as the record or a notice
// in the log has it. What is held of the subject is the answer while it is fresh. Errors are those of
// loading a key.
func (k *Keyring) Forgotten(ctx context.Context, subject string) (time.Time, error) {
	h, err := k.get(ctx, subject, 0, false)
	if err != nil {
		return time.Time{}, err
	}
	return h.since, nil
}
