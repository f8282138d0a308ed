package jetstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// A record whose acknowledgement is lost is found to be stored, also when it was
// followed by another since.
func TestStoreWithoutAnswer(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		k := openKeys(t, f, KeysConfig{})
		other := keysAgain(t, f, k)
		var next func(r privacy.Record)
		record := keyRecord("ann")
		lost := 0
		k.publish = func(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
			got, err := k.cfg.Conn.RequestMsgWithContext(ctx, m)
			if lost++; lost > 2 {
				return got, err
			}
			if next != nil && lost == 1 {
				next(record)
			}
			return nil, nats.ErrTimeout
		}
		stored := mustStoreKey(t, k, record)
		if has := mustLoadKey(t, other, "ann"); has.Revision != stored.Revision {
			t.Errorf("stored at %d, is at %d", stored.Revision, has.Revision)
		}
		lost, record = 0, stored
		next = func(r privacy.Record) { mustStoreKey(t, other, forgotten(mustLoadKey(t, other, r.Subject))) }
		again := mustStoreKey(t, k, record)
		if has := mustLoadKey(t, other, "ann"); has.Revision <= again.Revision || len(has.Erased) != 1 {
			t.Errorf("stored at %d, is %+v", again.Revision, has)
		}
		// What followed may be erased since; then nobody can tell.
		lost, record = 0, mustLoadKey(t, other, "ann")
		next = func(r privacy.Record) {
			now := mustLoadKey(t, other, r.Subject)
			now.Erased[0].Done = true
			now = mustStoreKey(t, other, now)
			if err := other.Erase(t.Context(), r.Subject, now.Revision); err != nil {
				t.Error(err)
			}
		}
		if _, err := k.Store(t.Context(), record); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("what followed was erased: %v", err)
		}
	}
}

// A record that may be on its way when the time ends has an unknown outcome; one that
// cannot be is unavailable.
func TestStoreWithoutTime(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	for fault, c := range map[error]struct{ want, other error }{
		nats.ErrTimeout: {store.ErrUnknown, store.ErrUnavailable}, nats.ErrNoResponders: {store.ErrUnavailable, store.ErrUnknown},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		k.publish = func(context.Context, *nats.Msg) (*nats.Msg, error) {
			cancel()
			return nil, fault
		}
		_, err := k.Store(ctx, keyRecord("ann"))
		cancel()
		if !errors.Is(err, c.want) || errors.Is(err, c.other) {
			t.Errorf("%v: %v, want %v", fault, err, c.want)
		}
	}
}

// Answers are lost and messages come twice, on two nodes: a key is made once, and who is
// told that it stored did.
func TestKeysUnderFaults(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, f := range []*fixture{&single, &cluster} {
		k := openKeys(t, f, KeysConfig{})
		nodes := []*Keys{k, keysAgain(t, f, k)}
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(seed, 1))
		for _, node := range nodes {
			node.publish = func(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
				mu.Lock()
				fate := random.IntN(4)
				mu.Unlock()
				if fate == 0 { // lost on its way
					return nil, nats.ErrTimeout
				}
				if fate == 1 { // twice
					_, _ = node.cfg.Conn.RequestMsgWithContext(ctx, m)
				}
				got, err := node.cfg.Conn.RequestMsgWithContext(ctx, m)
				if fate == 2 { // its answer is
					return nil, nats.ErrTimeout
				}
				return got, err
			}
		}
		for i := range 20 {
			subject := fmt.Sprint(i)
			var wg sync.WaitGroup
			told := make(chan privacy.Record, 8)
			for n := range 8 {
				wg.Go(func() {
					r := keyRecord(subject)
					revision, err := nodes[n%2].Store(context.Background(), r)
					if r.Revision = revision; err == nil {
						told <- r
					} else if !errors.Is(err, store.ErrConflict) {
						t.Errorf("store: %v", err)
					}
				})
			}
			wg.Wait()
			close(told)
			has := mustLoadKey(t, nodes[i%2], subject)
			if len(told) != 1 {
				t.Fatalf("%d of 8 were told that they stored", len(told))
			}
			if r := <-told; r.Key != has.Key || r.Revision != has.Revision {
				t.Errorf("told %+v, has %+v", r, has)
			}
		}
	}
}

// Nothing is told to be stored, loaded or erased before it is on the disk.
func TestKeysWaitForTheDisk(t *testing.T) {
	t.Parallel()
	d := &disk{}
	k := openKeys(t, &single, KeysConfig{Namespace: namespace(t), Create: true, Barrier: d.barrier})
	stored := mustStoreKey(t, k, keyRecord("ann"))
	if d.calls.Load() == 0 {
		t.Error("stored without the disk")
	}
	fresh := openKeys(t, &single, KeysConfig{Namespace: k.cfg.Namespace, Barrier: d.barrier})
	for what, call := range map[string]func(ctx context.Context) error{
		"load":  func(ctx context.Context) error { _, err := fresh.Load(ctx, "ann"); return err },
		"erase": func(ctx context.Context) error { return fresh.Erase(ctx, "ann", stored.Revision) },
		"all": func(ctx context.Context) error {
			for _, err := range fresh.All(ctx) {
				return err
			}
			return nil
		},
	} {
		end := d.hold()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- call(ctx) }()
		before := d.calls.Load()
		eventually(t, what+" asks for the disk", func() bool { return d.calls.Load() > before || len(done) > 0 })
		if len(done) > 0 {
			t.Errorf("%s did not wait: %v", what, <-done)
		}
		cancel()
		if err := <-done; !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
		d.release()
		_ = end
	}
	end := d.hold()
	failed := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	go func() {
		_, err := k.Store(ctx, keyRecord("bob"))
		failed <- err
	}()
	end(errors.New("the disk is broken"))
	if err := <-failed; !errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("with a broken disk: %v", err)
	}
}

// What is among the keys and is no record is damage, wherever it is met.
func TestDamagedKeys(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	mustStoreKey(t, k, keyRecord("ann"))
	for subject, data := range map[string]string{"bob": "{", "carl": `{"subject":"ann"}`, "dora": `{"subject":"dora","key":[1]}`} {
		if err := k.cfg.Conn.Publish(k.last.records+subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it is there", func() bool {
			r, err := k.Load(t.Context(), subject)
			return err != nil || r.Revision > 0
		})
		if _, err := k.Load(t.Context(), subject); !errors.Is(err, store.ErrDamaged) {
			t.Errorf("load %s: %v", subject, err)
		}
	}
	damaged := false
	for _, err := range k.All(t.Context()) {
		damaged = damaged || errors.Is(err, store.ErrDamaged)
	}
	if !damaged {
		t.Error("all records are listed")
	}
	if _, err := k.RotateKeys(t.Context(), nil, nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("rotate: %v", err)
	}
	mustStoreKey(t, k, keyRecord("erna")) // it was not sealed
}

// A cluster's leaders change while records are stored and followed: nothing that was
// acknowledged is lost, and nothing is missed while the follower says that it lives.
func TestKeysWhileLeadersChange(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &cluster, KeysConfig{})
	follower := keysAgain(t, &cluster, k)
	var mu sync.Mutex
	heard := map[string]uint64{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	began := make(chan struct{}, 1)
	hear := func(r privacy.Record) {
		mu.Lock()
		defer mu.Unlock()
		heard[r.Subject] = max(heard[r.Subject], r.Revision)
	}
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			asked := false
			_ = follower.Follow(ctx, hear, func() {
				if asked {
					return
				}
				asked = true // anew, as a keyring does, since it may have missed something before
				for r, err := range follower.All(ctx) {
					if hear(r); err != nil {
						asked = false
					}
				}
				select {
				case began <- struct{}{}:
				default:
				}
			})
		}
	}()
	<-began
	last := map[string]uint64{}
	for i := range 30 {
		if i%10 == 5 {
			if _, err := k.cfg.Conn.RequestWithContext(t.Context(), k.last.stream.stepDown, nil); err != nil {
				t.Log(err)
			}
		}
		r := mustStoreKey(t, k, keyRecord(fmt.Sprint(i)))
		last[r.Subject] = r.Revision
	}
	for subject, revision := range last {
		if r := mustLoadKey(t, k, subject); r.Revision != revision {
			t.Errorf("%s is at %d, was stored at %d", subject, r.Revision, revision)
		}
	}
	eventually(t, "all is heard of", func() bool {
		mu.Lock()
		defer mu.Unlock()
		delete(heard, "")
		return fmt.Sprint(heard) == fmt.Sprint(last)
	})
	cancel()
	<-ended
}

func BenchmarkKeys(b *testing.B) {
	for name, f := range map[string]*fixture{"1": &single, "3": &cluster} {
		k := openKeys(b, f, KeysConfig{})
		if _, err := k.Store(b.Context(), keyRecord("ann")); err != nil {
			b.Fatal(err)
		}
		b.Run("load/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := k.Load(b.Context(), "ann"); err != nil {
					b.Fatal(err)
				}
			}
		})
		n := 0
		b.Run("store/"+name, func(b *testing.B) {
			for b.Loop() {
				n++
				if _, err := k.Store(b.Context(), keyRecord(fmt.Sprint(n))); err != nil {
					b.Fatal(err)
				}
			}
		})
		const subjects = 10_000
		full := openKeys(b, f, KeysConfig{})
		rotating := &rotation{keys: full, to: full.epoch}
		var wg sync.WaitGroup
		slots := make(chan struct{}, 32)
		for i := range subjects {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				r := keyRecord(fmt.Sprint("subject ", i))
				if err := rotating.put(b.Context(), r); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
		b.Run("all of 10000/"+name, func(b *testing.B) {
			for b.Loop() {
				count := 0
				for _, err := range full.All(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					count++
				}
				if count != subjects {
					b.Fatal(count)
				}
			}
		})
		b.Run("rotate 10000/"+name, func(b *testing.B) {
			for b.Loop() {
				if got, err := full.RotateKeys(b.Context(), wrapAnew, nil); err != nil || got.Records != subjects {
					b.Fatal(got, err)
				}
			}
		})
	}
}

// Who may not write keys is told so, and does not ask again and again.
func TestKeysThatMayNotBeWritten(t *testing.T) {
	t.Parallel()
	s := startOwn(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "x"},
			{Username: "reader", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"*.key.>"}}}},
		}
	})
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	full := openKeys(t, &single, KeysConfig{Conn: connect(t, s, nats.UserInfo("all", "x")), Namespace: namespace(t), Create: true})
	k := openKeys(t, &single, KeysConfig{Conn: connect(t, s, nats.UserInfo("reader", "x"), quiet), Namespace: full.cfg.Namespace})
	if _, err := k.Store(t.Context(), keyRecord("ann")); !errors.Is(err, store.ErrRefused) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("a key that may not be written: %v", err)
	}
}
