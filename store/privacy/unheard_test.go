package privacy_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// deafened has the first write of a record go unheard, stored or not, and from then on every
// call of one kind fail.
func (s *site) deafened(stored bool, fails string) {
	unheard := false
	away := func(what string) error {
		if unheard && what == fails {
			return fmt.Errorf("%w: the key store is away", store.ErrUnavailable)
		}
		return nil
	}
	lost := func(what string) error {
		if what != "store" || unheard {
			return nil
		}
		unheard = true
		return fmt.Errorf("%w: the answer is lost", store.ErrUnknown)
	}
	if stored {
		s.keys.set(away, lost)
		return
	}
	s.keys.set(func(what string) error { return errors.Join(away(what), lost(what)) }, nil)
}

// A key that may have been given up is not said to be there still, whatever else fails after that; and asked
// for again it is the same erasure.
func TestForgetDoesNotDenyWhatMayBeDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stored bool
		fails  string
	}{
		"stored, then nothing can be loaded":     {true, "load"},
		"not stored, then nothing can be loaded": {false, "load"},
		"not stored, then nothing can be stored": {false, "store"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			_, ref := sealFor(t, s.ring, "ann")
			request := privacy.Request{Subject: "ann", ID: uuid.New()}
			s.deafened(c.stored, c.fails)
			_, err := s.forgetter(t).Forget(t.Context(), request)
			var stopped *privacy.StepError
			if !errors.As(err, &stopped) || stopped.Step != privacy.StepFence || !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, store.ErrUnknown) {
				t.Errorf("forget: %v", err)
			}
			s.keys.set(nil, nil)
			if record, err := s.keys.Keys.Load(t.Context(), "ann"); err != nil || record.WasErased(ref.ID) != c.stored {
				t.Errorf("record %+v, %v", record, err)
			}
			if again, err := s.forgetter(t).Forget(t.Context(), request); err != nil || !again.Done || again.ID != request.ID || again.Key != ref.ID.String() {
				t.Errorf("forget again: %+v, %v", again, err)
			}
			if all, err := s.forgetter(t).Receipts(t.Context(), "ann"); err != nil || len(all) != 1 {
				t.Errorf("receipts %+v, %v", all, err)
			}
		})
	}
}

// What was certainly not done is not said to be uncertain.
func TestForgetIsCertainThatNothingWasDone(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"load", "store"} {
		s := newSite(t)
		sealFor(t, s.ring, "ann")
		s.keys.set(func(what string) error {
			if what == at {
				return fmt.Errorf("%w: the key store is away", store.ErrUnavailable)
			}
			return nil
		}, nil)
		if _, err := s.forgetter(t).Forget(t.Context(), privacy.Request{Subject: "ann"}); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s fails: %v", at, err)
		}
	}
}
