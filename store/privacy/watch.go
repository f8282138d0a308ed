package privacy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// watch is what is known of how fresh everything held is.
type watch struct {
	rounds    uint64
	following bool      // without a gap
	since     uint64    // the last load that began before
	alive     time.Time // until when it certainly was
}

// followAgain is the pause before the key store is followed again.
const followAgain = time.Second

// Run follows the key store until ctx ends, so that erasures are heard of and what is
// held need not be asked for again. Then it returns nil. What fails is logged and tried
// again.
func (k *Keyring) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { k.doubt(ctx) })
	wg.Go(func() { k.attend(ctx) })
	for ctx.Err() == nil {
		err := k.config.Keys.Follow(ctx, k.changed, k.isAlive)
		k.lost()
		if ctx.Err() != nil {
			break
		}
		k.config.Logger.Log(ctx, gapLevel(err), "key store cannot be followed", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(followAgain):
		}
	}
	return nil
}

// gapLevel is how loud a gap is.
func gapLevel(err error) slog.Level {
	if errors.Is(err, ErrMoved) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

// doubt makes holders of personal data look again as long as nothing is heard.
func (k *Keyring) doubt(ctx context.Context) {
	tick := time.NewTicker(k.config.MaxAge)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.mu.Lock()
		if !k.heard() && k.watch.rounds > 0 {
			k.missed()
		}
		k.mu.Unlock()
	}
}

// isAlive is called when no change was missed until a moment ago.
func (k *Keyring) isAlive() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.watch.following {
		k.watch.following, k.watch.since = true, k.watch.rounds
		k.lookSoon()
		if k.watch.rounds > 0 { // what was asked for before may have changed unheard
			k.missed()
		}
	}
	k.watch.alive = time.Now()
}

// lost is called when the key store is not followed any more.
func (k *Keyring) lost() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watch.following = false
}

// changed takes note of a record, which may have changed.
func (k *Keyring) changed(r Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.learn(r.Erased)
	if r.IsWrapping() {
		k.wrapping.asked = time.Time{}
		k.lookSoon()
	}
	h := k.peek(r.Subject)
	switch {
	case h == nil || r.Revision <= h.revision:
	case h.secret != nil && h.holds(r.Key): // wrapped anew, or an erasure was done with
		h.revision = r.Revision
	default:
		k.drop(r.Subject)
	}
}

// heard reports whether the key store is followed and was alive lately. It is called
// with the lock.
func (k *Keyring) heard() bool {
	return k.watch.following && time.Since(k.watch.alive) < k.config.MaxAge
}

// fresh reports whether what is held may be used without asking: it was asked for since
// the key store is followed, or, while it is not, less than MaxAge ago. It is called
// with the lock.
func (k *Keyring) fresh(h *holding) bool {
	if k.heard() {
		return h.round > k.watch.since
	}
	return time.Since(h.asked) < k.config.MaxAge
}

// Purge drops what is held of a subject, asks the key store what was erased, and waits
// until no append that rests on an erased key is under way. When it has returned nil,
// nothing that begins afterwards is opened or stored under a key that was erased before it began.
// It is a node's word that a forgetting needs. The error is the key store's, or ctx's.
func (k *Keyring) Purge(ctx context.Context, subject string) error {
	k.mu.Lock()
	k.drop(subject)
	k.mu.Unlock()
	r, err := k.config.Keys.Load(ctx, subject)
	if err != nil {
		return fmt.Errorf("purge key: %w", err)
	}
	k.changed(r)
	return k.settle(ctx, r.Erased)
}
