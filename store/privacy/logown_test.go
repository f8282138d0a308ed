package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// unread is a log in which the data cannot be read, for one reason or another; notices can.
type unread struct {
	store.Log
	why error
}

func (u unread) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	if id.Type == privacy.SubjectAggregate {
		return u.Log.Read(ctx, id, after)
	}
	return func(yield func(*store.Commit, error) bool) { yield(nil, u.why) }
}

// While it cannot be looked at whether a commit was stored, nobody is told that it was not.
func TestOwnCommitThatCannotBeLookedFor(t *testing.T) {
	t.Parallel()
	for _, why := range []error{store.ErrDamaged, store.ErrInvalid, store.ErrUnavailable, context.Canceled, errors.New("no idea")} {
		t.Run(why.Error(), func(t *testing.T) {
			t.Parallel()
			m := store.NewMemory(store.MemoryConfig{})
			k, keys := newRing(t)
			c := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"})
			_, err := privacy.NewLog(deaf{m}, k).Append(t.Context(), c)
			wantError(t, "append without an answer", err, store.ErrUnknown)
			blind := privacy.NewLog(unread{Log: m, why: why}, k)
			for _, step := range []string{"again", "again, erased"} {
				_, err = blind.Append(t.Context(), c)
				if !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrErased) || errors.Is(err, store.ErrRefused) {
					t.Errorf("%s: %v", step, err)
				}
				mustForget(t, forgetter(t, keys, k), "ann")
				c.Rests = []store.KeyRef{{Subject: "ann", ID: mustKeys(t, keys, "ann")[0]}}
			}
			c.Rests = []store.KeyRef{{Subject: "bob", ID: store.KeyID{1}}} // whose key is lost
			if _, err = blind.Append(t.Context(), c); !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrRefused) {
				t.Errorf("again, on a lost key: %v", err)
			}
			if n := len(mustRead(t, m, application)); n != 1 {
				t.Errorf("%d commits are stored", n)
			}
		})
	}
}

// mustKeys returns the keys of a subject that were erased.
func mustKeys(tb testing.TB, keys privacy.Keys, subject string) (ids []store.KeyID) {
	tb.Helper()
	r, err := keys.Load(tb.Context(), subject)
	if err != nil || len(r.Erased) == 0 {
		tb.Fatalf("record of %s: %+v, %v", subject, r, err)
	}
	for _, e := range r.Erased {
		ids = append(ids, e.Key)
	}
	return ids
}

// stale is a log of which some reads come from a server that leads no more.
type stale struct {
	store.Log
	left *int
	how  iter.Seq2[*store.Commit, error]
}

func (s stale) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	if *s.left > 0 {
		*s.left--
		return s.how
	}
	return s.Log.Read(ctx, id, after)
}

// Of a commit that is stored nobody is told that it was not, because a server that does
// not know it answers the question what follows.
func TestOwnCommitThatAStaleReadMisses(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]iter.Seq2[*store.Commit, error]{
		"nothing follows": func(func(*store.Commit, error) bool) {},
		"ends before":     func(yield func(*store.Commit, error) bool) { yield(nil, store.ErrAhead) },
	} {
		for reads, want := range map[int]error{1: nil, 3: nil, 1000: store.ErrUnknown} {
			t.Run(fmt.Sprint(name, " ", reads), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					m := store.NewMemory(store.MemoryConfig{})
					k, _ := newRing(t)
					c := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"})
					_, err := privacy.NewLog(deaf{m}, k).Append(t.Context(), c)
					wantError(t, "append without an answer", err, store.ErrUnknown)
					head, err := privacy.NewLog(stale{Log: m, left: &reads, how: how}, k).Append(t.Context(), c)
					if !errors.Is(err, want) || errors.Is(err, store.ErrConflict) || err == nil && head.Version != 1 {
						t.Errorf("again: %+v, %v, want %v", head, err, want)
					}
				})
			})
		}
	}
}

// A stale read does not hide a conflict with another's commit either, and where the
// stream does end before, that is no matter of waiting.
func TestConflictsStayCertain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory(store.MemoryConfig{})
		k, _ := newRing(t)
		reads := 1
		log := privacy.NewLog(stale{Log: m, left: &reads, how: func(func(*store.Commit, error) bool) {}}, k)
		first := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"})
		head, err := log.Append(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		other := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "bob@example.org", "bob"})
		_, err = log.Append(t.Context(), other)
		wantError(t, "another commit in its place", err, store.ErrConflict)
		head.Version, head.Sequence = head.Version+5, head.Sequence+5
		other.After = head
		_, err = log.Append(t.Context(), other)
		wantError(t, "a head beyond the end", err, store.ErrConflict)
	})
}
