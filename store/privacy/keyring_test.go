package privacy_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// sealFor seals a value of a subject, and returns it with its key.
func sealFor(tb testing.TB, k *privacy.Keyring, subject string) ([]byte, store.KeyRef) {
	tb.Helper()
	data, spans := encode(tb, store.MsgPack, field{"email", "someone@example.org", subject})
	sealed, used, err := k.Seal(tb.Context(), eventScope(), store.MsgPack, data, spans)
	if err != nil {
		tb.Fatalf("seal for %s: %v", subject, err)
	}
	return sealed, used[0]
}

// opens reports whether the value that sealFor sealed can be read.
func opens(tb testing.TB, k *privacy.Keyring, sealed []byte) bool {
	tb.Helper()
	_, personal, err := k.Open(tb.Context(), eventScope(), store.MsgPack, sealed)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return len(personal) == 1
}

func TestKeyringNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: privacy.NewMemory()}); err == nil {
		t.Error("a keyring without a wrapper was made")
	}
	if _, err := privacy.NewKeyring(privacy.KeyringConfig{Wrapper: wrapper(t)}); err == nil {
		t.Error("a keyring without a key store was made")
	}
}

// However many want a subject's first key, on however many nodes: there is one.
func TestKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	keys, w := &faulty{Keys: privacy.NewMemory()}, wrapper(t)
	var mu sync.Mutex
	made := map[store.KeyID]bool{}
	var wg sync.WaitGroup
	for range 8 {
		k := ringOf(t, keys, w)
		for range 20 {
			wg.Go(func() {
				data, spans := encode(t, store.MsgPack, field{"email", "x", "ann"})
				_, used, err := k.Seal(t.Context(), eventScope(), store.MsgPack, data, spans)
				if err != nil {
					t.Errorf("seal: %v", err)
					return
				}
				mu.Lock()
				made[used[0].ID] = true
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	if len(made) != 1 {
		t.Errorf("%d keys were used", len(made))
	}
	if n := keys.stores.Load(); n > 8 {
		t.Errorf("%d tries to store a key on 8 nodes: one of them asked more than once", n)
	}
}

// A key whose storing has an unknown outcome is used only when the key store has it.
func TestKeyOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{true, false} {
		t.Run(fmt.Sprint("stored ", stored), func(t *testing.T) {
			t.Parallel()
			keys := &faulty{Keys: privacy.NewMemory()}
			lost := false
			lose := func(what string) error {
				if what == "store" && !lost {
					lost = true
					return fmt.Errorf("lost: %w", store.ErrUnknown)
				}
				return nil
			}
			if stored {
				keys.set(nil, lose)
			} else {
				keys.set(lose, nil)
			}
			_, used := sealFor(t, ringOf(t, keys, wrapper(t)), "ann")
			r, err := keys.Keys.Load(t.Context(), "ann")
			if err != nil || r.Key != used.ID || !lost {
				t.Errorf("sealed under %s, the key store has %s (%v)", used.ID, r.Key, err)
			}
		})
	}
}

func TestKeyringAsksOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, w := privacy.NewMemory(), wrapper(t)
		sealed, _ := sealFor(t, ringOf(t, memory, w), "ann")
		keys := &faulty{Keys: memory}
		keys.set(func(string) error { time.Sleep(time.Second); return nil }, nil)
		k := ringOf(t, keys, w)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { opens(t, k, sealed) })
		}
		wg.Wait()
		opens(t, k, sealed)
		if n := keys.loads.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		time.Sleep(61 * time.Second) // longer than a key is used unasked
		opens(t, k, sealed)
		if n := keys.loads.Load(); n != 2 {
			t.Errorf("asked %d times, want once more after a minute", n)
		}
	})
}

// One caller who gives up does not take the others with it.
func TestLoadOutlivesWhoBeganIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, w := privacy.NewMemory(), wrapper(t)
		sealed, _ := sealFor(t, ringOf(t, memory, w), "ann")
		keys := &faulty{Keys: memory}
		first := true
		keys.set(func(string) error {
			if first {
				first = false
				time.Sleep(time.Second)
				return fmt.Errorf("%w: no time", store.ErrUnavailable)
			}
			return nil
		}, nil)
		k := ringOf(t, keys, w)
		go func() { _, _, _ = k.Open(t.Context(), eventScope(), store.MsgPack, sealed) }()
		synctest.Wait()
		if !opens(t, k, sealed) {
			t.Error("forgotten")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		keys.set(func(string) error { return nil }, nil)
		_, _, err := ringOf(t, memory, w).Open(ctx, eventScope(), store.MsgPack, sealed)
		wantError(t, "open without time", err, store.ErrUnavailable)
	})
}

func TestKeyringIsBounded(t *testing.T) {
	t.Parallel()
	keys, w := privacy.NewMemory(), wrapper(t)
	k := ringWith(t, privacy.KeyringConfig{Keys: keys, Wrapper: w, Capacity: 10})
	var sealed [][]byte
	for i := range 50 {
		data, _ := sealFor(t, k, fmt.Sprint("subject ", i))
		sealed = append(sealed, data)
	}
	if k.Held() != 10 {
		t.Errorf("holds %d keys, want 10", k.Held())
	}
	for _, data := range sealed {
		if !opens(t, k, data) {
			t.Error("what was dropped from memory is gone")
		}
	}
}

// A node that nobody tells anything stops reading after MaxAge; one that follows the key
// store at once, and without asking.
func TestErasureIsHeardOf(t *testing.T) {
	t.Parallel()
	for _, follows := range []bool{true, false} {
		t.Run(fmt.Sprint("follows ", follows), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				memory, w := privacy.NewMemory(), wrapper(t)
				keys := &faulty{Keys: memory}
				k := ringOf(t, keys, w)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ran := make(chan error, 1)
				if follows {
					go func() { ran <- k.Run(ctx) }()
					synctest.Wait()
				}
				sealed, ref := sealFor(t, k, "ann")
				synctest.Wait() // it has heard which wrapping key is current
				loads, generation := keys.loads.Load(), k.Generation()
				if follows {
					time.Sleep(time.Hour)
					if !opens(t, k, sealed) || keys.loads.Load() != loads || k.Generation() != generation {
						t.Error("a node that follows asks again, or doubts, though nothing happened")
					}
				}
				// Another node forgets, and does not tell this one.
				mustForget(t, forgetter(t, memory), "ann")
				synctest.Wait()
				if follows != k.AnyErased([]store.KeyRef{ref}) || follows == opens(t, k, sealed) || follows != (k.Generation() > generation) {
					t.Error("not what a node knows at this moment")
				}
				time.Sleep(61 * time.Second)
				if opens(t, k, sealed) || !k.AnyErased([]store.KeyRef{ref}) || k.Generation() == generation {
					t.Error("a minute later it can be read still")
				}
				cancel()
				if follows {
					if err := <-ran; err != nil {
						t.Errorf("run: %v", err)
					}
				}
			})
		})
	}
}

// cut is a key store that cannot be followed while it is down.
type cut struct {
	privacy.Keys
	mu   sync.Mutex
	down chan struct{}
}

func (c *cut) Follow(ctx context.Context, each func(privacy.Record), alive func()) error {
	c.mu.Lock()
	down := c.down
	c.mu.Unlock()
	select {
	case <-down:
		return errGone
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-down:
			cancel()
		case <-ctx.Done():
		}
	}()
	err := c.Keys.Follow(ctx, each, alive)
	select {
	case <-down:
		return errGone
	default:
		return err
	}
}

// What happened in a gap is doubted: whoever holds data in memory has to look again.
func TestGapIsDoubted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, w := privacy.NewMemory(), wrapper(t)
		keys := &cut{Keys: memory, down: make(chan struct{})}
		k := ringWith(t, privacy.KeyringConfig{Keys: keys, Wrapper: w, Capacity: 1})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = k.Run(ctx) }()
		synctest.Wait()
		_, ann := sealFor(t, k, "ann")
		_, bob := sealFor(t, k, "bob") // for which ann's key is dropped
		if k.AnyErased([]store.KeyRef{ann, bob}) {
			t.Error("a keyring without gaps doubts")
		}
		before := k.Generation()
		close(keys.down)
		synctest.Wait()
		mustForget(t, forgetter(t, memory), "ann")
		keys.mu.Lock()
		keys.down = make(chan struct{})
		keys.mu.Unlock()
		time.Sleep(2 * time.Second) // it follows again
		if k.Generation() == before {
			t.Error("nobody is told that something may have been missed")
		}
		if !k.AnyErased([]store.KeyRef{ann}) {
			t.Error("a key that was erased in a gap is vouched for")
		}
		time.Sleep(time.Minute)
		sealFor(t, k, "bob") // asked for again
		if k.AnyErased([]store.KeyRef{bob}) {
			t.Error("a key that was asked for since is doubted")
		}
		// While nothing is heard for long, doubt comes again and again.
		keys.mu.Lock()
		close(keys.down)
		keys.mu.Unlock()
		before = k.Generation()
		time.Sleep(5 * time.Minute)
		if n := k.Generation() - before; n < 3 {
			t.Errorf("in five minutes without a word the generation grew by %d", n)
		}
		if !k.AnyErased([]store.KeyRef{bob}) {
			t.Error("a key is vouched for without a word for five minutes")
		}
	})
}

// A load that began before an erasure and ends after it is not used.
func TestLoadThatIsOvertaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory, w := privacy.NewMemory(), wrapper(t)
		sealed, ref := sealFor(t, ringOf(t, memory, w), "ann")
		keys := &faulty{Keys: memory}
		k := ringOf(t, keys, w)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = k.Run(ctx) }()
		synctest.Wait()                                                           // it follows
		keys.set(nil, func(string) error { time.Sleep(time.Second); return nil }) // the answer is on its way
		read := make(chan bool)
		go func() { read <- opens(t, k, sealed) }()
		synctest.Wait()
		mustForget(t, forgetter(t, memory), "ann")
		if <-read {
			t.Error("read with a key that was erased before it came")
		}
		if _, next := sealFor(t, k, "ann"); next == ref {
			t.Error("sealed under a key that was erased before it came")
		}
	})
}

func TestPurgeWithoutWrappingKey(t *testing.T) {
	t.Parallel()
	keys, w := privacy.NewMemory(), wrapper(t)
	_, ref := sealFor(t, ringOf(t, keys, w), "ann")
	blind := ringOf(t, keys, brokenWrapper{})
	if err := blind.Purge(t.Context(), "ann"); err != nil {
		t.Errorf("purge: %v", err)
	}
	mustForget(t, forgetter(t, keys, blind), "ann")
	if !blind.AnyErased([]store.KeyRef{ref}) {
		t.Error("the erasure was not learnt")
	}
	down := &faulty{Keys: keys}
	down.set(func(string) error { return store.ErrUnavailable }, nil)
	wantError(t, "purge without a key store", ringOf(t, down, w).Purge(t.Context(), "ann"), store.ErrUnavailable)
}

func TestKeyStoreThatContradictsItself(t *testing.T) {
	t.Parallel()
	memory, w := privacy.NewMemory(), wrapper(t)
	sealed, ref := sealFor(t, ringOf(t, memory, w), "ann")
	_, _, err := ringOf(t, contradictory{memory, ref.ID}, w).Open(t.Context(), eventScope(), store.MsgPack, sealed)
	wantError(t, "open", err, store.ErrDamaged)
}

// contradictory has a key that it says was erased.
type contradictory struct {
	privacy.Keys
	key store.KeyID
}

func (c contradictory) Load(ctx context.Context, subject string) (privacy.Record, error) {
	r, err := c.Keys.Load(ctx, subject)
	r.Erased = append(r.Erased, privacy.Erasure{Key: c.key})
	return r, err
}
