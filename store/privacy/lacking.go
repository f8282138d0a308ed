package privacy

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// lacking is what a keyring knows of a current wrapping key that its node does not have.
type lacking struct {
	known atomic.Pointer[WrappingError]
	look  chan struct{} // of one: which key is current may have changed
}

// lookForKey is how often a node that lacks the current wrapping key looks whether it was
// given it.
const lookForKey = 2 * time.Second

// Lacking returns what is wrong if the node was last found not to have the current wrapping
// key, and nil otherwise. It asks nobody: while the keyring runs, it looks whenever that key
// changes, and every two seconds while it is lacking.
func (k *Keyring) Lacking() *WrappingError { return k.lacking.known.Load() }

// lookSoon has the current wrapping key looked at, if the keyring runs.
func (k *Keyring) lookSoon() {
	select {
	case k.lacking.look <- struct{}{}:
	default: // it will be
	}
}

// attend looks whether the node has the current wrapping key, until ctx ends. What else
// fails will fail again for whoever needs it.
func (k *Keyring) attend(ctx context.Context) {
	tick := time.NewTicker(lookForKey)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.lacking.look:
		case <-tick.C:
			if k.Lacking() == nil {
				continue
			}
		}
		_ = k.check(ctx, k.proveAndNote)
	}
}

// proveAndNote is prove that takes down, and logs once, whether the node has the key. It is
// called by who has the turn.
func (k *Keyring) proveAndNote(ctx context.Context, r Record) error {
	err := k.prove(ctx, r)
	before := k.Lacking()
	wrong, lacks := errors.AsType[*WrappingError](err)
	switch {
	case lacks && (before == nil || *before != *wrong):
		k.lacking.known.Store(wrong)
		k.config.Logger.ErrorContext(ctx, "current wrapping key is lacking", "name", wrong.Name, "err", wrong)
	case err == nil && before != nil:
		k.lacking.known.Store(nil)
		k.config.Logger.InfoContext(ctx, "current wrapping key is there again", "name", r.WrappedBy)
	}
	return err
}
