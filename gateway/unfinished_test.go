package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// lostKeys is a key store that is away from its first write on, which is stored, and not heard of.
type lostKeys struct {
	*privacy.Memory
	lost bool
}

func (k *lostKeys) Load(ctx context.Context, subject string) (privacy.Record, error) {
	if k.lost {
		return privacy.Record{}, fmt.Errorf("%w: away", store.ErrUnavailable)
	}
	return k.Memory.Load(ctx, subject)
}

func (k *lostKeys) Store(ctx context.Context, r privacy.Record) (uint64, error) {
	if _, err := k.Memory.Store(ctx, r); err != nil {
		return 0, err
	}
	k.lost = true
	return 0, fmt.Errorf("%w: the answer is lost", store.ErrUnknown)
}

// lostFence is the error of a forgetting that does not know whether the key is given up.
func lostFence(t *testing.T) error {
	t.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys:   &lostKeys{Memory: privacy.NewMemory()},
		Purge:  func(context.Context, string) error { return nil },
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Forget(t.Context(), privacy.Request{Subject: "c-7"})
	return err
}

// A key that may have been given up is not recorded as one that certainly was not, and who asked can ask for the
// same erasure again.
func TestAKeyThatMayBeGivenUpIsNoFailure(t *testing.T) {
	t.Parallel()
	b, _, n, s := office(t)
	s.err = lostFence(t)
	begun, err := b.client(t).Forget(t.Context(), privacy.Request{Subject: "c-7", By: "ann", Why: "asked"})
	if e, ok := errors.AsType[*gateway.Error](err); !ok || e.Code != gateway.CodeUnknownOutcome || !errors.Is(err, store.ErrUnknown) {
		t.Errorf("answered %v", err)
	}
	if asked := s.asked[0]; asked.ID == uuid.Nil || begun.ID != asked.ID {
		t.Errorf("asked for erasure %s, told %s", asked.ID, begun.ID)
	}
	act := "subject.forget|c-7|unverified:ann|asked|"
	want := []string{act + "begun|local", act + ledger.Unknown + "UNKNOWN_OUTCOME|local"}
	if got := n.take(); !slices.Equal(got, want) {
		t.Errorf("recorded %q, want %q", got, want)
	}
}
