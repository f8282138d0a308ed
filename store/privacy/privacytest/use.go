package privacytest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var useCases = []testCase{
	{"one key each", "however many nodes want a subject's first key at once, one is made, and all read what each has sealed", useOnce},
	{"forgotten everywhere", "what was forgotten on one node is forgotten on every node that follows, without a further word", useForget},
	{"forgetters", "many who forget a subject at once, from two nodes, all come to an end, and to receipts", useForgetters},
}

// hidden is a wrapper for tests: what it wraps can be told only by who knows its mask.
type hidden struct{}

func (hidden) Current() string { return "mask" }

func (hidden) Wrap(_ context.Context, _ string, key, _ []byte) ([]byte, error) {
	return masked(key), nil
}

func (hidden) Unwrap(_ context.Context, _ string, wrapped, _ []byte) ([]byte, error) {
	return masked(wrapped), nil
}

func masked(key []byte) []byte {
	out := make([]byte, len(key))
	for i, b := range key {
		out[i] = b ^ 0x5a
	}
	return out
}

func ring(t *testing.T, keys privacy.Keys) *privacy.Keyring {
	t.Helper()
	k, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: hidden{}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var scope = privacy.Scope{Kind: privacy.KindEvent, Stream: store.StreamID{Type: "application", ID: "1"}, Type: "submitted", Schema: 1}

// seal seals a text of Ann's.
func seal(t *testing.T, k *privacy.Keyring) ([]byte, store.KeyRef, error) {
	t.Helper()
	data, err := store.JSON.Marshal("personal text")
	if err != nil {
		return nil, store.KeyRef{}, err
	}
	sealed, used, err := k.Seal(t.Context(), scope, store.JSON, data, []store.Personal{{Start: 0, End: len(data), Subject: "ann"}})
	if err != nil {
		return nil, store.KeyRef{}, err
	}
	return sealed, used[0], nil
}

// reads reports whether what was sealed can be read.
func reads(t *testing.T, k *privacy.Keyring, sealed []byte) bool {
	t.Helper()
	_, personal, err := k.Open(t.Context(), scope, store.JSON, sealed)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return len(personal) == 1
}

func useOnce(t *testing.T, s Store) {
	rings := []*privacy.Keyring{ring(t, s.Keys), ring(t, s.again(t)), ring(t, s.Keys)}
	var mu sync.Mutex
	made := map[store.KeyID][]byte{}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			sealed, ref, err := seal(t, rings[i%len(rings)])
			if err != nil {
				t.Errorf("seal: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			made[ref.ID] = sealed
		})
	}
	wg.Wait()
	if len(made) != 1 {
		t.Fatalf("%d keys were used", len(made))
	}
	for _, sealed := range made {
		for i, k := range rings {
			if !reads(t, k, sealed) {
				t.Errorf("node %d cannot read it", i)
			}
		}
	}
}

func useForget(t *testing.T, s Store) {
	here, there := ring(t, s.Keys), ring(t, s.again(t))
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- there.Run(ctx) }()
	defer func() {
		cancel()
		<-ran
	}()
	sealed, ref, err := seal(t, here)
	if err != nil || !reads(t, there, sealed) {
		t.Fatalf("seal: %v", err)
	}
	f := forgetter(t, s.Keys, here)
	if r, err := f.Forget(t.Context(), privacy.Request{Subject: "ann"}); err != nil || !r.Done {
		t.Fatalf("forget: %+v, %v", r, err)
	}
	if reads(t, here, sealed) {
		t.Error("the node that forgot reads it")
	}
	for deadline := time.Now().Add(patience); !there.AnyErased([]store.KeyRef{ref}); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("another node never hears of it")
		}
	}
	if reads(t, there, sealed) {
		t.Error("another node reads it")
	}
	if again, next, err := seal(t, there); err != nil || next.ID == ref.ID || !reads(t, here, again) || reads(t, here, sealed) {
		t.Errorf("seen again: %v", err)
	}
}

func forgetter(t *testing.T, keys privacy.Keys, rings ...*privacy.Keyring) *privacy.Forgetter {
	t.Helper()
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: keys,
		Purge: func(ctx context.Context, subject string) error {
			for _, k := range rings {
				if err := k.Purge(ctx, subject); err != nil {
					return err
				}
			}
			return nil
		},
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func useForgetters(t *testing.T, s Store) {
	here, there := ring(t, s.Keys), ring(t, s.again(t))
	sealed, _, err := seal(t, here)
	if err != nil {
		t.Fatal(err)
	}
	forgetters := []*privacy.Forgetter{forgetter(t, s.Keys, here, there), forgetter(t, s.again(t), here, there)}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			r, err := forgetters[i%2].Forget(t.Context(), privacy.Request{Subject: "ann", By: fmt.Sprint(i)})
			if err != nil || !r.Done {
				t.Errorf("forget: %+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	if reads(t, here, sealed) || reads(t, there, sealed) {
		t.Error("it can be read")
	}
	receipts, err := forgetters[0].Receipts(t.Context(), "ann")
	if err != nil || len(receipts) != 1 || !receipts[0].Done {
		t.Errorf("receipts %+v, %v", receipts, err)
	}
}
