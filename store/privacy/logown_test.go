package privacy_test

import (
	"context"
	"errors"
	"iter"
	"testing"

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
