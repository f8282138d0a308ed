package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowSync is a sync that takes a second of fake time and remembers when each
// began.
type slowSync struct {
	mu      sync.Mutex
	begins  []time.Time
	running int
	most    int
	fail    map[int]error // by number of the sync, from 1
}

func (s *slowSync) sync() error {
	s.mu.Lock()
	s.begins = append(s.begins, time.Now())
	n := len(s.begins)
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	return s.fail[n]
}

func TestLoneCallerWaitsForOneSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowSync{}
		b := newBarrier(s.sync)
		for range 3 {
			if err := b.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(s.begins) != 3 {
			t.Errorf("%d syncs for 3 callers one after the other", len(s.begins))
		}
	})
}

func TestCallersDuringASyncShareTheNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowSync{}
		b := newBarrier(s.sync)
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() { _ = b.wait(t.Context()) })
		synctest.Wait() // the first sync runs
		for range 1000 {
			all.Go(func() {
				if err := b.wait(t.Context()); err != nil {
					t.Error(err)
				}
				if waited := time.Since(began); waited != 2*time.Second {
					t.Errorf("returned after %s, want the end of the second sync", waited)
				}
			})
		}
		all.Wait()
		if len(s.begins) != 2 || s.most != 1 {
			t.Errorf("%d syncs, %d at once; want 2, 1 at once", len(s.begins), s.most)
		}
	})
}

func TestSyncBeganAfterEachCallItServes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { callAtRandom(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

// callAtRandom has 50 callers come at random moments, and checks for each
// return that a sync began no earlier than the call and ended by the return.
func callAtRandom(t *testing.T, random *rand.Rand) {
	s := &slowSync{}
	b := newBarrier(s.sync)
	var all sync.WaitGroup
	for range 50 {
		pauses := make([]time.Duration, 5)
		for i := range pauses {
			pauses[i] = time.Duration(random.IntN(4000)) * time.Millisecond
		}
		all.Go(func() {
			for _, pause := range pauses {
				time.Sleep(pause)
				called := time.Now()
				if err := b.wait(t.Context()); err != nil {
					t.Error(err)
				}
				if !s.servedBetween(called, time.Now()) {
					t.Errorf("no sync began after %s and ended by %s", called, time.Now())
				}
			}
		})
	}
	all.Wait()
	if s.most != 1 {
		t.Errorf("%d syncs at once", s.most)
	}
}

func (s *slowSync) servedBetween(from, to time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, begin := range s.begins {
		if !begin.Before(from) && !begin.Add(time.Second).After(to) {
			return true
		}
	}
	return false
}

func TestFailedSyncFailsEverybodyForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("input/output error")
		s := &slowSync{fail: map[int]error{2: broken}}
		b := newBarrier(s.sync)
		if err := b.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		fails := func() {
			if err := b.wait(t.Context()); !errors.Is(err, ErrNotDurable) || !errors.Is(err, broken) {
				t.Errorf("error %v, want ErrNotDurable and its reason", err)
			}
		}
		var all sync.WaitGroup
		all.Go(fails) // by the sync that fails
		synctest.Wait()
		all.Go(fails) // waits for the one after it
		all.Wait()
		fails() // comes later
		if len(s.begins) != 2 {
			t.Errorf("%d syncs, want none after the failed one", len(s.begins))
		}
		select {
		case <-b.failed:
		default:
			t.Error("the failure was not told")
		}
	})
}

func TestContextBoundsTheWaitOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowSync{}
		b := newBarrier(s.sync)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		called := time.Now()
		if err := b.wait(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNotDurable) {
			t.Errorf("error %v, want the deadline alone", err)
		}
		if waited := time.Since(called); waited != 100*time.Millisecond {
			t.Errorf("waited %s", waited)
		}
		if err := b.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v with a context that is over", err)
		}
		// The sync that nobody waits for any more must not serve a later caller.
		if err := b.wait(t.Context()); err != nil {
			t.Error(err)
		}
		if waited := time.Since(called); waited != 2*time.Second {
			t.Errorf("the later caller returned after %s, want the end of the second sync", waited)
		}
	})
}

func TestIdleBarrierHasNoGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBarrier((&slowSync{}).sync)
		if err := b.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if b.idle != nil {
			t.Error("it still runs")
		}
	}) // synctest fails the test if a goroutine is left blocked
}

func TestCloseWaitsForTheSyncThatRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowSync{}
		b := newBarrier(s.sync)
		var all sync.WaitGroup
		all.Go(func() {
			if err := b.wait(t.Context()); err != nil {
				t.Errorf("the sync that ran succeeded, its caller was told %v", err)
			}
		})
		synctest.Wait()
		all.Go(func() {
			if err := b.wait(t.Context()); !errors.Is(err, ErrNotDurable) {
				t.Errorf("error %v for a sync that never began", err)
			}
		})
		synctest.Wait()
		b.close()
		if s.running != 0 {
			t.Error("closed while a sync runs")
		}
		all.Wait()
	})
}

// Many callers on real threads: each is served, none for ever asleep.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	var syncs atomic.Int64
	b := newBarrier(func() error { syncs.Add(1); return nil })
	ctx := within(t, time.Minute)
	var all sync.WaitGroup
	const callers, calls = 32, 2000
	for range callers {
		all.Go(func() {
			for range calls {
				before := syncs.Load()
				if err := b.wait(ctx); err != nil {
					t.Error(err)
					return
				}
				if syncs.Load() == before {
					t.Error("returned without a sync")
				}
			}
		})
	}
	all.Wait()
	if n := syncs.Load(); n < calls || n > callers*calls {
		t.Errorf("%d syncs for %d callers with %d calls each", n, callers, calls)
	}
}
