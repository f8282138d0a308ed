package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// unsteady is a log that stores what it is told to, gives no answer if it is told so, and of which some
// reads of data come from a server that leads no more.
type unsteady struct {
	store.Log
	lost, silent bool
	stale        int
}

func (u *unsteady) Append(ctx context.Context, c *store.Commit) (head store.Head, err error) {
	if !u.lost {
		head, err = u.Log.Append(ctx, c)
	}
	if err == nil && u.silent {
		return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: errors.New("no answer")}
	}
	return head, err
}

func (u *unsteady) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	if id.Type == privacy.SubjectAggregate || u.stale == 0 {
		return u.Log.Read(ctx, id, after)
	}
	u.stale--
	return func(func(*store.Commit, error) bool) {}
}

// sealingEnds are the reasons for which a commit that could be sealed before cannot be any more.
var sealingEnds = map[string]struct {
	end  func(t *testing.T, c *store.Commit, keys *faulty, k *privacy.Keyring)
	want error
}{
	"erased": {func(t *testing.T, c *store.Commit, keys *faulty, k *privacy.Keyring) {
		mustForget(t, forgetter(t, keys, k), "ann")
		c.Rests = []store.KeyRef{{Subject: "ann", ID: mustKeys(t, keys, "ann")[0]}}
	}, store.ErrErased},
	"lost": {func(_ *testing.T, c *store.Commit, _ *faulty, _ *privacy.Keyring) {
		c.Rests = []store.KeyRef{{Subject: "bob", ID: store.KeyID{1}}}
	}, store.ErrRefused},
	"unavailable": {func(_ *testing.T, c *store.Commit, keys *faulty, _ *privacy.Keyring) {
		c.Rests = []store.KeyRef{{Subject: "bob", ID: store.KeyID{1}}}
		keys.set(func(string) error { return store.ErrUnavailable }, nil)
	}, store.ErrRefused},
}

// forEachEnd runs a test with a commit whose first try had no answer, in each case in which
// the second cannot be sealed.
func forEachEnd(t *testing.T, lost bool, test func(t *testing.T, u *unsteady, again func() (store.Head, error), want error)) {
	t.Helper()
	for name, how := range sealingEnds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				u := &unsteady{Log: store.NewMemory(store.MemoryConfig{}), lost: lost, silent: true}
				keys := &faulty{Keys: privacy.NewMemory()}
				k := ringOf(t, keys, wrapper(t))
				log := privacy.NewLog(u, k)
				c := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"})
				_, err := log.Append(t.Context(), c)
				wantError(t, "append without an answer", err, store.ErrUnknown)
				how.end(t, c, keys, k)
				test(t, u, func() (store.Head, error) {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // without one it waits for keys as long as there are none
					defer cancel()
					return log.Append(ctx, c)
				}, how.want)
			})
		})
	}
}

// A commit whose first try had no answer is not said to be refused because it cannot be sealed any more, and
// servers that lead no more do not know it for a while.
func TestRefusalOfACommitThatMayBeStored(t *testing.T) {
	t.Parallel()
	forEachEnd(t, false, func(t *testing.T, u *unsteady, again func() (store.Head, error), _ error) {
		u.stale = 1000
		for range 2 {
			_, err := again()
			if !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrErased) {
				t.Fatalf("again: %v", err)
			}
		}
		u.stale = 5
		if head, err := again(); err != nil || head.Version != 1 {
			t.Errorf("once it is found: %+v, %v", head, err)
		}
	})
}

// That it was not stored is certain once another is in its place.
func TestRefusalIsCertainOnceAnotherFollows(t *testing.T) {
	t.Parallel()
	forEachEnd(t, true, func(t *testing.T, u *unsteady, again func() (store.Head, error), want error) {
		_, err := again()
		wantError(t, "again, with nothing in its place", err, store.ErrUnknown)
		u.lost, u.silent = false, false
		mustAppend(t, u, commitOf(t, store.MsgPack, application, store.Head{}))
		_, err = again()
		if !errors.Is(err, want) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("again, with another in its place: %v, want %v", err, want)
		}
	})
}

// What is remembered of commits without an answer is bounded: the oldest go.
func TestUnsettledCommitsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		u := &unsteady{Log: store.NewMemory(store.MemoryConfig{}), lost: true, silent: true}
		k, _ := newRing(t)
		log := privacy.NewLog(u, k)
		commits := make([]*store.Commit, 1025)
		for n := range commits {
			id := store.StreamID{Type: "application", ID: fmt.Sprint(n)}
			commits[n] = commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "ann@example.org", "ann"})
			_, err := log.Append(t.Context(), commits[n])
			wantError(t, "append without an answer", err, store.ErrUnknown)
		}
		for n, want := range map[int]error{0: store.ErrRefused, 1: store.ErrUnknown, 1024: store.ErrUnknown} {
			c := commits[n]
			c.Rests = []store.KeyRef{{Subject: "bob", ID: store.KeyID{1}}}
			if _, err := log.Append(t.Context(), c); !errors.Is(err, want) {
				t.Errorf("commit %d: %v, want %v", n, err, want)
			}
			c.ID = uuid.New() // of which nothing was ever sent
			_, err := log.Append(t.Context(), c)
			wantError(t, "a commit that is new", err, store.ErrRefused)
		}
	})
}
