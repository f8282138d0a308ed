package privacy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// againWhy is the reason that stands in an erasure that a notice is all that is left of.
const againWhy = "forgotten before, as its notice in the log says; the key store had lost it"

// below is where the notices are that a keyring compares the key store with.
type below struct{ log store.Log }

// compare has what the key store says compared with a log from now on; nil: with none.
func (k *Keyring) compare(log store.Log) { k.below.Store(&below{log}) }

// noticed returns the erasures that the log has notices of, one for each key, as far as a
// notice tells; none if there is no log to ask. What cannot be read now is unavailable: nobody
// can say that a key was not erased.
func (k *Keyring) noticed(ctx context.Context, subject string) ([]Erasure, error) {
	at := k.below.Load()
	if at == nil || at.log == nil {
		return nil, nil
	}
	var told []Erasure
	for c, err := range at.log.Read(ctx, store.StreamID{Type: SubjectAggregate, ID: subject}, store.Head{}) {
		if err == nil {
			err = erasuresIn(at.log.Codec(), c, &told)
		}
		switch {
		case err == nil:
		case errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrInvalid):
			return nil, fmt.Errorf("read what the log says of a subject's erasures: %w", err)
		default:
			return nil, unavailable("read what the log says of a subject's erasures", err)
		}
	}
	return told, nil
}

// erasuresIn adds the erasures that the notices of one commit tell of.
func erasuresIn(codec store.Codec, c *store.Commit, told *[]Erasure) error {
	for i := range c.Events {
		if c.Events[i].Type != ForgottenEvent {
			continue
		}
		n, err := ReadNotice(codec, c.Events[i].Data)
		if err != nil {
			return fmt.Errorf("%w: %w", store.ErrDamaged, err)
		}
		for nth, text := range n.Keys {
			e := Erasure{ID: n.Erasure, At: n.At, By: principalOf(c), Why: againWhy}
			if n, err := hex.Decode(e.Key[:], []byte(text)); err != nil || n != len(e.Key) {
				return fmt.Errorf("%w: a notice names key %q", store.ErrDamaged, text)
			}
			if nth > 0 {
				e.ID = uuid.NewSHA1(n.Erasure, e.Key[:])
			}
			*told = append(*told, e)
		}
	}
	return nil
}

// principalOf is who asked, if the record has room for the name.
func principalOf(c *store.Commit) string {
	if len(c.Commands) == 0 || jsonLength(c.Commands[0].Principal) > maxErasureText-len(againWhy) {
		return ""
	}
	return c.Commands[0].Principal
}

// names reports whether one of the erasures is that of the key.
func names(told []Erasure, key store.KeyID) bool {
	return key != (store.KeyID{}) && slices.ContainsFunc(told, func(e Erasure) bool { return e.Key == key })
}

// eraseAgain erases a key that the record has though the log says that it was erased before
// the record was asked for: somebody put the record back. The steps of its forgetting are
// open again, for the nodes to take. It returns the record without that key, also if it
// could not be stored; the error matches [store.ErrConflict] or [store.ErrUnknown] if it is to
// be loaded again.
func (k *Keyring) eraseAgain(ctx context.Context, r Record, told []Erasure) (Record, error) {
	key := r.Key
	r.Join(told) // which has that key's, also if the erasure is there and of another key
	revision, err := k.config.Keys.Store(ctx, r)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnknown) {
		return r, err
	}
	k.putBack.Do(func() {
		k.config.Logger.Error("the key store has a key that the log says is erased: it was put back, and is not used", "key", key)
	})
	if err != nil {
		return r, fmt.Errorf("erase a key again: %w", err)
	}
	r.Revision = revision
	if err := k.config.Keys.Erase(ctx, r.Subject, revision); err != nil {
		return r, fmt.Errorf("erase a key again: %w", err)
	}
	return r, nil
}
