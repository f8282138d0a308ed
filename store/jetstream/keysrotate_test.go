package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

func keysJetStream(t *testing.T, k *Keys) natsjs.JetStream {
	t.Helper()
	js, err := natsjs.New(k.cfg.Conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// wrapAnew stands for a service that wraps keys by another one.
func wrapAnew(_ context.Context, r privacy.Record) (privacy.Record, error) {
	if r.WrappedBy == "new" {
		return r, nil
	}
	r.WrappedBy, r.Wrapped = "new", append([]byte("anew "), bytes.ToUpper(r.Wrapped)...)
	return r, nil
}

func wantMoved(t *testing.T, k *Keys, epoch uint64) {
	t.Helper()
	streams, err := KeyStreams(t.Context(), k.cfg.Conn, k.cfg.Namespace)
	if err != nil || len(streams) != 1 || streams[0] != newKeysEpoch(k.cfg.Namespace, epoch).stream.name {
		t.Fatalf("streams of keys: %v, %v, want epoch %d alone", streams, err, epoch)
	}
}

// After a rotation no file of any server has a wrapped key as it was before, nor one that
// was erased; not even a Raft log.
func TestRotationLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(string) ([]*server.Server, error){"one server": startSingle, "three servers": startCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := privateServers(t, start)
			k := openKeys(t, f, KeysConfig{})
			other := keysAgain(t, f, k)
			var all []privacy.Record
			for i := range 50 {
				all = append(all, mustStoreKey(t, k, keyRecord(fmt.Sprint("subject ", i))))
			}
			eventually(t, "the search finds what is there, on every server", func() bool {
				return len(filesWith(t, f.dir, "", all[0].Wrapped)) >= len(f.servers)
			})
			gone := mustStoreKey(t, k, forgotten(all[0]))
			if err := k.Erase(t.Context(), gone.Subject, gone.Revision); err != nil {
				t.Fatal(err)
			}
			got, err := k.RotateKeys(t.Context(), wrapAnew, nil)
			if err != nil || got != (KeysRotated{Epoch: 2, Records: 50, Total: 50, Rewrapped: 49}) {
				t.Fatalf("%+v, %v", got, err)
			}
			wantMoved(t, k, 2)
			for _, r := range all {
				eventually(t, "the old key is in no file", func() bool { return len(filesWith(t, f.dir, "", r.Wrapped)) == 0 })
			}
			for _, keys := range []*Keys{k, other} {
				for i, r := range all {
					has := mustLoadKey(t, keys, r.Subject)
					if r, _ = wrapAnew(t.Context(), r); i == 0 {
						r = gone
					}
					if !bytes.Equal(has.Wrapped, r.Wrapped) || has.Key != r.Key || has.Revision <= r.Revision || len(has.Erased) != len(r.Erased) {
						t.Errorf("has %+v, want %+v", has, r)
					}
				}
			}
			moved := mustLoadKey(t, k, "subject 7")
			eventually(t, "the new key is on every disk", func() bool { return len(filesWith(t, f.dir, "", moved.Wrapped)) >= len(f.servers) })
			gone = mustStoreKey(t, other, forgotten(moved))
			if err := other.Erase(t.Context(), gone.Subject, gone.Revision); err != nil {
				t.Fatal(err)
			}
			if got, err := other.RotateKeys(t.Context(), nil, nil); err != nil || got.Epoch != 3 || got.Rewrapped != 0 {
				t.Fatalf("%+v, %v", got, err)
			}
			eventually(t, "the forgotten key is in no file", func() bool { return len(filesWith(t, f.dir, "", moved.Wrapped)) == 0 })
			if r := mustLoadKey(t, k, "subject 8"); r.Key != all[8].Key {
				t.Errorf("a key that nobody forgot: %+v", r)
			}
		})
	}
}

var errKeysFault = errors.New("fault")

// A rotation that dies before any of its steps, or within the copy, is gone on with, by
// another node; meanwhile every record can be read.
func TestRotationCrashes(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"create", "rehearse", "seal", "copy", "within the copy", "ready", "delete"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			k := openKeys(t, &single, KeysConfig{})
			other := keysAgain(t, &single, k)
			const subjects = 40
			for i := range subjects {
				mustStoreKey(t, k, keyRecord(fmt.Sprint(i)))
			}
			ctx, crash := context.WithCancel(t.Context())
			k.before = func(s string) error {
				if s == step {
					crash()
				}
				return ctx.Err()
			}
			var wrapped atomic.Int64
			dying := func(ctx context.Context, r privacy.Record) (privacy.Record, error) {
				if wrapped.Add(1) > subjects/2 && step == "within the copy" {
					crash()
				}
				return wrapAnew(ctx, r)
			}
			if _, err := k.RotateKeys(ctx, dying, nil); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("the rotation that dies: %v", err)
			}
			if step == "rehearse" { // what is changed then is moved as it is changed
				mustStoreKey(t, other, forgotten(mustLoadKey(t, other, "3")))
			}
			fresh := keysAgain(t, &single, k)
			for i := range subjects {
				if r := mustLoadKey(t, fresh, fmt.Sprint(i)); r.Revision == 0 || r.WrappedBy == "new" {
					t.Errorf("between the two: %+v", r)
				}
			}
			got, err := other.RotateKeys(t.Context(), wrapAnew, nil)
			if err != nil || got.Epoch != 2 || step != "delete" && got.Records != subjects {
				t.Fatalf("%+v, %v", got, err)
			}
			wantMoved(t, k, 2)
			count := 0
			for r, err := range fresh.All(t.Context()) {
				if err != nil || r.WrappedBy == "old" {
					t.Errorf("afterwards: %+v, %v", r, err)
				}
				count++
			}
			if count != subjects {
				t.Errorf("%d records, want %d", count, subjects)
			}
		})
	}
}

// A record that changed after it was copied, by a rotation that was interrupted before
// it sealed, is the changed one afterwards, and the copy's bytes are gone.
func TestRotationMends(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	r := mustStoreKey(t, k, keyRecord("ann"))
	mustStoreKey(t, k, keyRecord("bob"))
	rotating := &rotation{keys: k, rewrap: wrapAnew, progress: func(KeysRotated) {}, js: keysJetStream(t, k)}
	if err := rotating.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rotating.copyAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	copied, _ := wrapAnew(t.Context(), r)
	if len(filesWith(t, single.dir, k.cfg.Namespace, copied.Wrapped)) == 0 {
		t.Fatal("the search does not find the copy")
	}
	gone := mustStoreKey(t, k, forgotten(r))
	if _, err := k.RotateKeys(t.Context(), wrapAnew, nil); err != nil {
		t.Fatal(err)
	}
	if has := mustLoadKey(t, k, "ann"); len(has.Wrapped) > 0 || len(has.Erased) != 1 || has.Erased[0].ID != gone.Erased[0].ID {
		t.Errorf("has %+v, want %+v", has, gone)
	}
	if found := filesWith(t, single.dir, k.cfg.Namespace, copied.Wrapped); len(found) > 0 {
		t.Errorf("the copy is in %v", found)
	}
}

// Of rotations at the same time one moves the keys, and the others say that it does, or
// move them once more.
func TestRotationsExcludeEachOther(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		k := openKeys(t, f, KeysConfig{})
		for i := range 30 {
			mustStoreKey(t, k, keyRecord(fmt.Sprint(i)))
		}
		var wg sync.WaitGroup
		var done atomic.Uint64
		for range 4 {
			node := keysAgain(t, f, k)
			wg.Go(func() {
				switch _, err := node.RotateKeys(context.Background(), wrapAnew, nil); {
				case err == nil:
					done.Add(1)
				case !errors.Is(err, store.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if done.Load() == 0 {
			t.Fatal("none has succeeded")
		}
		wantMoved(t, k, 1+done.Load())
		for i := range 30 {
			if r := mustLoadKey(t, k, fmt.Sprint(i)); r.WrappedBy != "new" {
				t.Errorf("%+v", r)
			}
		}
	}
}

// Nodes go on while the keys are rotated, again and again: what they were told is stored
// stays, each subject's key is made once, and they need no word about where the keys are.
func TestRotationsUnderLoad(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		k := openKeys(t, f, KeysConfig{})
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var acked sync.Map // subject: key
		var stores atomic.Int64
		for n := range 4 {
			node := keysAgain(t, f, k)
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					subject := fmt.Sprint("subject ", i, " of ", n/2) // two want each
					r, err := node.Load(context.Background(), subject)
					if err == nil && r.Revision == 0 {
						r = keyRecord(subject)
						_, err = node.Store(context.Background(), r)
					}
					if err != nil {
						if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrUnknown) {
							t.Errorf("%s: %v", subject, err)
						}
						continue
					}
					stores.Add(1)
					if other, was := acked.LoadOrStore(subject, r.Key); was && other != r.Key {
						t.Errorf("%s has two keys", subject)
					}
				}
			})
		}
		rotator := keysAgain(t, f, k)
		for epoch := uint64(2); epoch < 5; epoch++ {
			before := stores.Load()
			if _, err := rotator.RotateKeys(t.Context(), wrapAnew, nil); err != nil {
				t.Error(err)
			}
			eventually(t, "the nodes go on", func() bool { return stores.Load() > before+20 })
		}
		close(stop)
		wg.Wait()
		wantMoved(t, k, 4)
		acked.Range(func(subject, key any) bool {
			if r := mustLoadKey(t, k, subject.(string)); r.Key != key {
				t.Errorf("%s has key %s, was told %s", subject, r.Key, key)
			}
			return true
		})
	}
}

// While the stream is sealed records are read, and a write waits until the keys are
// moved; if that does not come, it is unavailable.
func TestSealedKeys(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	r := mustStoreKey(t, k, keyRecord("ann"))
	k.before = func(step string) error {
		if step == "copy" {
			return errKeysFault
		}
		return nil
	}
	if _, err := k.RotateKeys(t.Context(), nil, nil); !errors.Is(err, errKeysFault) {
		t.Fatal(err)
	}
	if has := mustLoadKey(t, k, "ann"); has.Key != r.Key {
		t.Errorf("%+v", has)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := k.Store(short, keyRecord("bob")); !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) { // if it ends on the way
		t.Errorf("store: %v", err)
	}
	if err := k.Erase(short, "ann", r.Revision); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("erase: %v", err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := keysAgain(t, &single, k).Store(context.Background(), keyRecord("carl"))
		waiting <- err
	}()
	if _, err := keysAgain(t, &single, k).RotateKeys(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err != nil {
		t.Errorf("store: %v", err)
	}
}

// A rewrap that does not succeed, or changes more than it may, is found before the
// stream is sealed.
func TestRotationRehearses(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	r := mustStoreKey(t, k, keyRecord("ann"))
	away := func(_ context.Context, r privacy.Record) (privacy.Record, error) { return r, store.ErrUnavailable }
	if _, err := k.RotateKeys(t.Context(), away, nil); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	greedy := func(_ context.Context, r privacy.Record) (privacy.Record, error) {
		r.Erased = append(r.Erased, privacy.Erasure{})
		return r, nil
	}
	k = keysAgain(t, &single, k)
	if _, err := k.RotateKeys(t.Context(), greedy, nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("%v", err)
	}
	mustStoreKey(t, k, forgotten(r))
}

// Who follows is told that the keys were moved, by an error.
func TestFollowEndsWithTheEpoch(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	mustStoreKey(t, k, keyRecord("ann"))
	alive, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() {
		ended <- k.Follow(t.Context(), func(privacy.Record) {}, func() {
			select {
			case alive <- struct{}{}:
			default:
			}
		})
	}()
	<-alive
	<-alive // again, by the leader's word
	if _, err := keysAgain(t, &single, k).RotateKeys(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, privacy.ErrMoved) {
			t.Errorf("%v", err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

// A stream that a rotation had deleted and that somebody has brought back, with keys that
// were erased since, is refused by all.
func TestOldKeysComeBack(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	r := mustStoreKey(t, k, keyRecord("ann"))
	if _, err := k.RotateKeys(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	mustStoreKey(t, k, forgotten(mustLoadKey(t, k, "ann")))
	if err := k.make(t.Context(), keysConfig(k.cfg, newKeysEpoch(k.cfg.Namespace, 1), k.realm, stateReady)); err != nil {
		t.Fatal(err)
	}
	if has := mustLoadKey(t, k, "ann"); has.Key == r.Key || len(has.Erased) != 1 {
		t.Errorf("who uses the next epoch has %+v", has)
	}
	if _, err := OpenKeys(t.Context(), KeysConfig{Conn: k.cfg.Conn, Namespace: k.cfg.Namespace}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("open: %v", err)
	}
	if _, err := k.RotateKeys(t.Context(), nil, nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("rotate: %v", err)
	}
	// What is left of a rotation that died is nobody's, and goes with the next one.
	js := keysJetStream(t, k)
	if err := js.DeleteStream(t.Context(), newKeysEpoch(k.cfg.Namespace, 1).stream.name); err != nil {
		t.Fatal(err)
	}
	if err := k.make(t.Context(), keysConfig(k.cfg, newKeysEpoch(k.cfg.Namespace, 1), k.realm, stateFilling)); err != nil {
		t.Fatal(err)
	}
	if _, err := keysAgain(t, &single, k).RotateKeys(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	wantMoved(t, k, 3)
}

// The old stream is not deleted while the new one lacks anything; the next rotation
// brings what is missing.
func TestRotationCompares(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	for i := range 10 {
		mustStoreKey(t, k, keyRecord(fmt.Sprint(i)))
	}
	to := newKeysEpoch(k.cfg.Namespace, 2)
	k.before = func(step string) error {
		if step != "delete" {
			return nil
		}
		last, err := k.fetch(t.Context(), to, lastOn(to.records+"3"))
		if err != nil {
			return err
		}
		return overwrite(t.Context(), k.cfg.Conn, to.delete, last.sequence)
	}
	if _, err := k.RotateKeys(t.Context(), nil, nil); !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("%v", err)
	}
	again := keysAgain(t, &single, k)
	if r := mustLoadKey(t, again, "3"); r.Revision == 0 || r.Revision >= to.first() {
		t.Errorf("the old stream has %+v", r)
	}
	if _, err := again.RotateKeys(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	wantMoved(t, k, 2)
	for i := range 10 {
		if r := mustLoadKey(t, k, fmt.Sprint(i)); r.Revision < to.first() {
			t.Errorf("%+v", r)
		}
	}
}
