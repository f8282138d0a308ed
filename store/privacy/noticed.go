package privacy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

// lacks reports whether the log tells of a key's erasure that the record does not have.
func lacks(r *Record, told []Erasure) bool {
	return slices.ContainsFunc(told, func(e Erasure) bool { return !r.WasErased(e.Key) })
}

// mending is what a keyring knows of records that were put back.
type mending struct {
	said   sync.Once                 // that one was
	failed atomic.Pointer[time.Time] // when one could not be stored, last
}

const (
	// mendTime bounds how long somebody who does not need it stored waits for a mended record:
	// for one request and a half.
	mendTime = 3 * time.Second
	// mendPause is how long a keyring that could not store one leaves that to others: it
	// hardly will be allowed to soon, and each try makes a reader wait.
	mendPause = 5 * time.Minute
)

// leavesMending reports whether it was lately found that this process cannot mend records.
func (k *Keyring) leavesMending() bool {
	failed := k.mending.failed.Load()
	return failed != nil && time.Since(*failed) < mendPause
}

// leaveMending notes why a record was not mended, if that will be so with others.
func (k *Keyring) leaveMending(err error) {
	if errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) {
		now := time.Now()
		k.mending.failed.Store(&now)
	}
}

// eraseAgain stores a record to which erasures were joined that the log has notices of, and that it
// lacked though it was asked for later: somebody put the record back. The steps of their forgetting are
// open again, for the nodes to take. before is the key that the record had. Errors are those of
// [Keys.Store] and [Keys.Erase].
func (k *Keyring) eraseAgain(ctx context.Context, r *Record, before store.KeyID) error {
	revision, err := k.config.Keys.Store(ctx, *r)
	if errors.Is(err, store.ErrConflict) {
		return err
	}
	k.mending.said.Do(func() {
		if before != r.Key {
			k.config.Logger.Error("the key store has a key that the log says is erased: it was put back, and is not used", "key", before)
			return
		}
		k.config.Logger.Error("the key store lacks an erasure that the log has a notice of: it was set back")
	})
	if err != nil {
		return fmt.Errorf("erase a key again: %w", err)
	}
	r.Revision = revision
	if err := k.config.Keys.Erase(ctx, r.Subject, revision); err != nil {
		return fmt.Errorf("erase a key again: %w", err)
	}
	return nil
}
