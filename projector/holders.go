package projector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// errForgotten ends an attempt in whose memory are data of somebody who was forgotten:
// it goes on from what is stored.
var errForgotten = errors.New("data of a forgotten person are in memory")

// holders are all in a group who have opened personal data in memory for longer than
// one answer takes: workers while they run, documents of the past while they are folded, models while
// they are compared.
type holders struct {
	mu  sync.Mutex
	all map[*holder]struct{}
}

// holder is one of them. It looks itself, between two events, whether it has something
// that is to be dropped; only so nobody needs a lock on what it holds.
type holder struct {
	of         *holders
	keys       *privacy.Keyring // nil: nothing is ever forgotten
	generation uint64           // of the keyring, when nothing that was erased was held

	asked   atomic.Int32 // how many requests wait
	waiting []*dropping  // guarded by of.mu
	wake    func()       // ends what the holder waits for, may be nil; guarded by of.mu
}

// dropping is a request to drop what was opened with keys.
type dropping struct {
	keys []store.KeyRef
	done chan struct{}
}

// enter is called before anything is read.
func (h *holders) enter(keys *privacy.Keyring) *holder {
	one := &holder{of: h, keys: keys}
	if keys == nil {
		return one
	}
	one.generation = keys.Generation()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[*holder]struct{}{}
	}
	h.all[one] = struct{}{}
	return one
}

// leave is called when nothing is held any more.
func (h *holder) leave() {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	delete(h.of.all, h)
	h.answer(h.waiting)
}

// answer tells those who wait that it is done. It is called with the lock.
func (h *holder) answer(done []*dropping) {
	for _, d := range done {
		close(d.done)
	}
	h.waiting = slices.DeleteFunc(h.waiting, func(d *dropping) bool { return slices.Contains(done, d) })
	h.asked.Store(int32(len(h.waiting)))
}

// wakeWith says how the holder is woken while it waits; nil when it does not.
func (h *holder) wakeWith(wake func()) {
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.wake = wake
	if wake != nil && len(h.waiting) > 0 {
		wake()
	}
}

// look returns [errForgotten] if something is held under a key that was erased. drop is
// asked, if it may be so: it drops what it can do without, and reports whether that was
// all. It costs next to nothing if nobody was forgotten since it was last called.
func (h *holder) look(drop func(erased func([]store.KeyRef) bool) bool) error {
	if h == nil || h.keys == nil {
		return nil
	}
	now := h.keys.Generation()
	if now == h.generation && h.asked.Load() == 0 {
		return nil
	}
	h.of.mu.Lock()
	waiting := slices.Clone(h.waiting)
	h.of.mu.Unlock()
	erased := func(refs []store.KeyRef) bool {
		return len(refs) > 0 && (h.keys.AnyErased(refs) || anyAsked(waiting, refs))
	}
	if !drop(erased) {
		return errForgotten
	}
	h.generation = now
	h.of.mu.Lock()
	defer h.of.mu.Unlock()
	h.answer(waiting)
	return nil
}

func anyAsked(waiting []*dropping, refs []store.KeyRef) bool {
	for _, d := range waiting {
		if slices.ContainsFunc(refs, func(ref store.KeyRef) bool { return slices.Contains(d.keys, ref) }) {
			return true
		}
	}
	return false
}

// drop has all drop what was opened with the keys, and returns when they have.
func (h *holders) drop(ctx context.Context, keys []store.KeyRef) error {
	h.mu.Lock()
	var all []*dropping
	for one := range h.all {
		d := &dropping{keys: keys, done: make(chan struct{})}
		all = append(all, d)
		one.waiting = append(one.waiting, d)
		one.asked.Store(int32(len(one.waiting)))
		if one.wake != nil {
			one.wake()
		}
	}
	h.mu.Unlock()
	for _, d := range all {
		select {
		case <-d.done:
		case <-ctx.Done():
			return fmt.Errorf("%w: not all views have dropped what was opened with the keys: %w", store.ErrUnavailable, context.Cause(ctx))
		}
	}
	return nil
}

// Forget drops from memory what was opened with the keys, which the group's keyring
// has been told to purge before ([privacy.Keyring.Purge]), and returns nil when nobody in this group
// holds any of it: no worker of whatever model, no document of the past that is being
// folded, no comparison. What was read and not yet written is read again. After that
// nothing that was sealed under the keys is stored or served by this group. An answer
// that is on its way out at this moment is not waited for.
//
// A worker that is amidst a handler answers when that has returned, so it takes as long
// as the slowest; when ctx ends the error matches [store.ErrUnavailable], and it may be called again.
func (g *Group) Forget(ctx context.Context, keys []store.KeyRef) error {
	if err := g.cfg.holders.drop(ctx, keys); err != nil {
		return fmt.Errorf("forget in views: %w", err)
	}
	return nil
}

// refsOf returns the keys that parts of an event's or a document's data were opened
// with; owner is whose those parts are that name nobody.
func refsOf(personal []store.Personal, owner string) []store.KeyRef {
	return addRefs(nil, personal, owner)
}

// addRefs adds them to others, each once.
func addRefs(refs []store.KeyRef, personal []store.Personal, owner string) []store.KeyRef {
	for i := range personal {
		p := &personal[i]
		if p.Key == (store.KeyID{}) {
			continue
		}
		ref := store.KeyRef{Subject: p.Subject, ID: p.Key}
		if ref.Subject == "" {
			ref.Subject = owner
		}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}
