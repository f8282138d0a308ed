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

	asked   bool      // the log was
	told    []Erasure // what it said
	against store.KeyID
}

// try asks the key store, and the log the first time. It returns nothing if the record is to be
// loaded again, because it was changed or may have changed meanwhile.
func (i *intake) try(ctx context.Context) (*holding, error) {
	k, asked := i.keyring, time.Now()
	r, err := k.config.Keys.Load(ctx, i.subject)
	if err != nil {
		return nil, fmt.Errorf("load key: %w", err)
	}
	if !i.asked {
		if i.told, err = k.noticed(ctx, i.subject); err != nil {
			return nil, err
		}
		i.asked = true
	}
	if !r.WasErased(r.Key) && names(i.told, r.Key) {
		if i.against != r.Key { // it may have been erased after the record was loaded
			i.against = r.Key
			return nil, nil
		}
		if r, err = k.eraseAgain(ctx, r, i.told); err != nil && !i.without(err) {
			return nil, i.again(err)
		}
	}
	if r.Key == (store.KeyID{}) && i.wanted {
		return nil, k.issue(ctx, r) // whoever makes it: the record in the store is the truth
	}
	h, err := k.take(ctx, r, i.told, asked, i.round)
	if err != nil || !k.accept(h) {
		return nil, err
	}
	return h, nil
}

// again is nil if it is worth trying again.
func (i *intake) again(err error) error {
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnknown) {
		return nil
	}
	return fmt.Errorf("load key: %w", err)
}

// without reports whether it will do to go without the key, though the record still has it: who
// reads needs no more, and another may be allowed to erase it.
func (i *intake) without(err error) bool {
	return !i.wanted && !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnknown)
}
