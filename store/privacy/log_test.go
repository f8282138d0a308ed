package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

var application = store.StreamID{Type: "application", ID: "173688"}

// gate is a log whose appends wait, when it is told to.
type gate struct {
	store.Log
	entered chan struct{}
	open    chan struct{}
}

func newGate(log store.Log) *gate {
	return &gate{Log: log, entered: make(chan struct{}, 1), open: make(chan struct{})}
}

func (g *gate) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	g.entered <- struct{}{}
	<-g.open
	return g.Log.Append(ctx, c)
}

// deaf is a log that stores, and says that it does not know.
type deaf struct{ store.Log }

func (d deaf) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	if _, err := d.Log.Append(ctx, c); err != nil {
		return store.Head{}, err
	}
	return store.Head{}, &store.UnknownError{Stream: c.Stream, Reason: errors.New("no answer")}
}

func TestCommandsAreSealedToo(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		m := store.NewMemory(store.MemoryConfig{Codec: codec})
		k, keys := newRing(t)
		log := privacy.NewLog(m, k)
		c := commitOf(t, codec, application, store.Head{}, field{"email", "ann@example.org", ""})
		c.Commands[0].Data, c.Commands[0].Personal = encode(t, codec, field{"phone", "0123-456", "ann"})
		c.Commands[0].Schema = 1
		mustAppend(t, log, c)
		stored := mustRead(t, m, application)[0]
		if privacy.Sealed(codec, stored.Commands[0].Data) != true || privacy.Sealed(codec, stored.Events[0].Data) != true {
			t.Fatal("what is stored is not sealed")
		}
		got := mustRead(t, log, application)[0]
		if texts(t, codec, got.Commands[0].Data)["phone"] != "0123-456" || got.Commands[0].Personal[0].Subject != "ann" || got.Events[0].Personal[0].Subject != "173688" {
			t.Fatalf("read %+v", got)
		}
		mustForget(t, forgetter(t, keys, k), "ann")
		got = mustRead(t, log, application)[0]
		if texts(t, codec, got.Commands[0].Data)["phone"] != "" || texts(t, codec, got.Events[0].Data)["email"] == "" {
			t.Fatalf("after forgetting ann read %+v", got)
		}
		// What was read goes into another log, and is sealed anew there.
		other := store.NewMemory(store.MemoryConfig{Codec: codec})
		k2, _ := newRing(t)
		mustAppend(t, privacy.NewLog(other, k2), got)
		if again := mustRead(t, privacy.NewLog(other, k2), application)[0]; texts(t, codec, again.Events[0].Data)["email"] != "ann@example.org" {
			t.Errorf("in another log: %+v", again)
		}
	})
}

func TestPlainPersonalDataAreNeverStored(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	c := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", ""})
	_, err := m.Append(t.Context(), c)
	wantError(t, "append past the privacy", err, store.ErrRefused)
	k, _ := newRing(t)
	c.Events[0].Command = 5 // of which there is none
	_, err = privacy.NewLog(m, k).Append(t.Context(), c)
	wantError(t, "append of what cannot be sealed", err, store.ErrRefused)
}

func TestCommitOnErasedGroundIsRefused(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	keys, w := privacy.NewMemory(), wrapper(t)
	k := ringOf(t, keys, w)
	log := privacy.NewLog(m, k)
	head := mustAppend(t, log, commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"}))
	rests := []store.KeyRef{{Subject: "ann", ID: mustRead(t, log, application)[0].Events[0].Personal[0].Key}}
	mustForget(t, forgetter(t, keys, k), "ann")
	for name, k := range map[string]*privacy.Keyring{"the node that forgot": k, "a node that knows nothing": ringOf(t, keys, w)} {
		log := privacy.NewLog(m, k)
		// A writer with the old state writes her address into Bob's data, and into nobody's.
		c := commitOf(t, store.MsgPack, application, head, field{"copy", "ann@example.org", "bob"})
		c.Rests = rests
		_, err := log.Append(t.Context(), c)
		wantError(t, name, err, store.ErrErased)
		c = commitOf(t, store.MsgPack, application, head)
		c.Rests = rests
		_, err = log.Append(t.Context(), c)
		wantError(t, name, err, store.ErrErased)
	}
	if n := len(mustRead(t, log, application)); n != 1 {
		t.Fatalf("%d commits", n)
	}
	// Loaded again, it goes.
	mustAppend(t, log, commitOf(t, store.MsgPack, application, head, field{"email", "ann@example.net", "ann"}))
}

// An event that was read before its subject was forgotten cannot be copied back.
func TestCopyOfForgottenIsRefused(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	k, keys := newRing(t)
	log := privacy.NewLog(m, k)
	mustAppend(t, log, commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"}))
	copied := mustRead(t, log, application)[0]
	copied.Stream.ID = "copy"
	mustForget(t, forgetter(t, keys, k), "ann")
	sealFor(t, k, "ann") // she is seen again
	_, err := log.Append(t.Context(), copied)
	wantError(t, "append", err, store.ErrErased)
}

func TestRestsOnLostKey(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	c := commitOf(t, store.MsgPack, application, store.Head{})
	c.Rests = []store.KeyRef{{Subject: "ann", ID: store.KeyID{1}}}
	_, err := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), k).Append(t.Context(), c)
	var lost *privacy.KeyLostError
	if !errors.As(err, &lost) || !errors.Is(err, store.ErrRefused) {
		t.Fatalf("append on a lost key: %v", err)
	}
}

// A commit that was stored is known again, though it is sealed otherwise each time: also
// when its subject was forgotten in between.
func TestOwnCommitIsKnownAgain(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []bool{false, true} {
		t.Run(fmt.Sprint("forgotten ", forgotten), func(t *testing.T) {
			t.Parallel()
			m := store.NewMemory(store.MemoryConfig{})
			k, keys := newRing(t)
			first := mustAppend(t, privacy.NewLog(m, k), commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"}))
			c := commitOf(t, store.MsgPack, application, first, field{"email", "ann@example.com", "ann"})
			c.Rests = []store.KeyRef{{Subject: "ann", ID: mustRead(t, privacy.NewLog(m, k), application)[0].Events[0].Personal[0].Key}}
			_, err := privacy.NewLog(deaf{m}, k).Append(t.Context(), c)
			wantError(t, "append without an answer", err, store.ErrUnknown)
			if forgotten {
				mustForget(t, forgetter(t, keys, k), "ann")
			}
			head, err := privacy.NewLog(m, k).Append(t.Context(), c)
			if err != nil || head.Version != 2 || c.Hash != head.Hash || c.Sequence != 2 {
				t.Fatalf("the same commit again: %+v, %v", head, err)
			}
			other := *c
			other.Events = append([]store.Event(nil), c.Events...)
			other.Events[0].Type = "withdrawn"
			if _, err := privacy.NewLog(m, k).Append(t.Context(), &other); err == nil {
				t.Error("another commit under the same id was taken for it")
			}
		})
	}
}

// While an append rests on a key, no node says that it has given the key up.
func TestPurgeWaitsForAppends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := store.NewMemory(store.MemoryConfig{})
		k, keys := newRing(t)
		head := mustAppend(t, privacy.NewLog(m, k), commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"}))
		c := commitOf(t, store.MsgPack, application, head, field{"copy", "ann@example.org", "bob"})
		c.Rests = []store.KeyRef{{Subject: "ann", ID: mustRead(t, privacy.NewLog(m, k), application)[0].Events[0].Personal[0].Key}}

		g := newGate(m)
		appended := make(chan error, 1)
		go func() {
			_, err := privacy.NewLog(g, k).Append(t.Context(), c)
			appended <- err
		}()
		<-g.entered
		forgot := make(chan error, 1)
		go func() {
			_, err := forgetter(t, keys, k).Forget(t.Context(), privacy.Request{Subject: "ann"})
			forgot <- err
		}()
		synctest.Wait()
		select {
		case err := <-forgot:
			t.Fatalf("forgotten (%v) while an append that rests on the key is under way", err)
		default:
		}
		// It waits no longer than its time.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		wantError(t, "purge without time", k.Purge(ctx, "ann"), store.ErrUnavailable)
		// Who comes now is refused, and does not have it wait longer.
		late := *c
		_, err := privacy.NewLog(m, k).Append(t.Context(), &late)
		wantError(t, "a late append", err, store.ErrErased)
		close(g.open)
		if err := <-appended; err != nil {
			t.Errorf("the append: %v", err)
		}
		if err := <-forgot; err != nil {
			t.Errorf("forget: %v", err)
		}
	})
}

func TestAppendWaitsForKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		keys := &faulty{Keys: privacy.NewMemory()}
		down := func(string) error { return store.ErrUnavailable }
		keys.set(down, nil)
		log := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), ringOf(t, keys, wrapper(t)))
		c := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"})
		for given, most := range map[time.Duration]time.Duration{30 * time.Second: 4 * time.Second, 2 * time.Second: 2 * time.Second} {
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), given)
			_, err := log.Append(ctx, c)
			cancel()
			wantError(t, "append without a key store", err, store.ErrRefused)
			if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) || time.Since(began) > most {
				t.Errorf("append without a key store, within %v: %v after %v", given, err, time.Since(began))
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		_, err := log.Append(gone, c)
		wantError(t, "append that is given up", err, store.ErrUnknown)
		time.AfterFunc(5*time.Second, func() { keys.set(nil, nil) })
		mustAppend(t, log, c)
	})
}

// Without the wrapping key nothing is read, and nothing is taken for forgotten; what is
// forgotten reads as such.
func TestReadWithoutWrappingKey(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	k, keys := newRing(t)
	log := privacy.NewLog(m, k)
	ann, bob := store.StreamID{Type: "application", ID: "ann"}, store.StreamID{Type: "application", ID: "bob"}
	for _, id := range []store.StreamID{ann, bob} {
		mustAppend(t, log, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", id.ID + "@example.org", ""}))
	}
	mustForget(t, forgetter(t, keys, k), "bob")
	blind := privacy.NewLog(m, ringOf(t, keys, brokenWrapper{}))
	_, err := readAll(t.Context(), blind, ann)
	wantError(t, "read without the wrapping key", err, store.ErrUnavailable)
	if errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("read without the wrapping key: %v", err)
	}
	if got := texts(t, store.MsgPack, mustRead(t, blind, bob)[0].Events[0].Data); got["email"] != "" || got["city"] == "" {
		t.Errorf("bob reads as %v", got)
	}
	feed, err := blind.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	for range 2 {
		_, err = feed.Next(t.Context(), 10)
		wantError(t, "follow without the wrapping key", err, store.ErrUnavailable)
	}
}

// A feed delivers what is before damage, and then says for ever what is damaged.
func TestFeedStopsAtDamage(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	k, _ := newRing(t)
	foreign, _ := newRing(t)
	log := privacy.NewLog(m, k)
	head := mustAppend(t, log, commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"}))
	head = mustAppend(t, log, commitOf(t, store.MsgPack, application, head, field{"email", "ann@example.com", "ann"}))
	mustAppend(t, privacy.NewLog(m, foreign), commitOf(t, store.MsgPack, application, head, field{"email", "ann@example.net", "ann"}))
	feed, err := log.Follow(t.Context(), store.Follow{})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := feed.Next(ended, 10); !errors.Is(err, context.Canceled) {
		t.Fatalf("next without time: %v", err)
	}
	got, err := feed.Next(t.Context(), 10)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d commits, %v, want the two before the damage", len(got), err)
	}
	for range 2 {
		_, err = feed.Next(t.Context(), 10)
		var damage *store.DamageError
		var lost *privacy.KeyLostError
		if !errors.As(err, &damage) || damage.Version != 3 || damage.Sequence != 3 || !errors.As(err, &lost) {
			t.Fatalf("next at the damage: %v", err)
		}
	}
	if all, err := readAll(t.Context(), log, application); len(all) != 2 || !errors.Is(err, store.ErrDamaged) {
		t.Fatalf("read %d commits, %v", len(all), err)
	}
}

// A replay over many subjects asks for their keys side by side, each once.
func TestReplayLoadsKeysSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const subjects = 500
		m := store.NewMemory(store.MemoryConfig{})
		keys, w := privacy.NewMemory(), wrapper(t)
		log := privacy.NewLog(m, ringOf(t, keys, w))
		head := store.Head{}
		for i := range subjects {
			head = mustAppend(t, log, commitOf(t, store.MsgPack, application, head, field{"email", "x@example.org", fmt.Sprint("subject ", i)}))
		}
		slow := &faulty{Keys: keys}
		slow.set(func(string) error { time.Sleep(10 * time.Millisecond); return nil }, nil)
		began := time.Now()
		got := mustRead(t, privacy.NewLog(m, ringOf(t, slow, w)), application)
		if len(got) != subjects || slow.loads.Load() != subjects {
			t.Fatalf("%d commits, %d loads", len(got), slow.loads.Load())
		}
		if took := time.Since(began); took > subjects*10*time.Millisecond/8 {
			t.Errorf("took %v: one after the other it would be %v", took, subjects*10*time.Millisecond)
		}
		feed, err := privacy.NewLog(m, ringOf(t, slow, w)).Follow(t.Context(), store.Follow{})
		if err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		if got, err := feed.Next(t.Context(), subjects); err != nil || len(got) != subjects || time.Since(began) > 500*time.Millisecond {
			t.Errorf("feed: %d commits, %v, after %v", len(got), err, time.Since(began))
		}
		_ = feed.Close()

		var fields []field
		for i := range 30 {
			fields = append(fields, field{fmt.Sprint("field", i), fmt.Sprintf("value %d.", i), fmt.Sprint("new ", i)})
		}
		began = time.Now()
		c := commitOf(t, store.JSON, store.StreamID{Type: "application", ID: "of many"}, store.Head{}, fields...)
		slices.SortFunc(c.Events[0].Personal, func(a, b store.Personal) int { return a.Start - b.Start })
		mustAppend(t, privacy.NewLog(store.NewMemory(store.MemoryConfig{Codec: store.JSON}), ringOf(t, slow, w)), c)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("an append that makes 30 keys took %v", took)
		}
	})
}

func TestTruncateWhereThereIsNone(t *testing.T) {
	t.Parallel()
	k, _ := newRing(t)
	log := privacy.NewLog(deaf{store.NewMemory(store.MemoryConfig{})}, k)
	wantError(t, "truncate", log.Truncate(t.Context(), application, store.Head{}), errors.ErrUnsupported)
}

// Many writers and readers, whose subjects are forgotten all the time: nobody is stuck,
// and nothing is lost that was not forgotten.
func TestWritersAndForgettersRace(t *testing.T) {
	t.Parallel()
	m := store.NewMemory(store.MemoryConfig{})
	keys, w := privacy.NewMemory(), wrapper(t)
	rings := []*privacy.Keyring{ringOf(t, keys, w), ringOf(t, keys, w)}
	f := forgetter(t, keys, rings...)
	var wg sync.WaitGroup
	for writer := range 4 {
		wg.Go(func() {
			id := store.StreamID{Type: "application", ID: fmt.Sprint(writer)}
			log := privacy.NewLog(m, rings[writer%2])
			var head store.Head
			var rests []store.KeyRef
			for n := 0; n < 60; {
				c := commitOf(t, store.MsgPack, id, head, field{"email", "ann@example.org", "ann"}, field{"own", "x", ""})
				c.Rests = rests
				next, err := log.Append(t.Context(), c)
				if err == nil {
					head = next
					n++
				} else if !errors.Is(err, store.ErrErased) {
					t.Errorf("append: %v", err)
					return
				}
				rests = rests[:0]
				all, err := readAll(t.Context(), log, id)
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				for _, c := range all {
					if texts(t, store.MsgPack, c.Events[0].Data)["own"] != "x" {
						t.Errorf("what nobody forgot is gone")
					}
					for _, p := range c.Events[0].Personal {
						rests = append(rests, store.KeyRef{Subject: p.Subject, ID: p.Key})
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 40 {
			if _, err := f.Forget(t.Context(), privacy.Request{Subject: "ann"}); err != nil {
				t.Errorf("forget: %v", err)
			}
		}
	})
	wg.Wait()
	mustForget(t, f, "ann")
	for writer := range 4 {
		for _, c := range mustRead(t, privacy.NewLog(m, rings[0]), store.StreamID{Type: "application", ID: fmt.Sprint(writer)}) {
			if texts(t, store.MsgPack, c.Events[0].Data)["email"] != "" {
				t.Fatal("what was forgotten can be read")
			}
		}
	}
}

// An append that rests on what is erased is refused before anybody gets a key for it.
func TestARefusedAppendMakesNoKey(t *testing.T) {
	t.Parallel()
	m, keys, w := store.NewMemory(store.MemoryConfig{}), privacy.NewMemory(), wrapper(t)
	k := ringOf(t, keys, w)
	c := commitOf(t, store.MsgPack, application, store.Head{}, field{"email", "ann@example.org", "ann"})
	head := mustAppend(t, privacy.NewLog(m, k), c)
	mustForget(t, forgetter(t, keys), "ann") // no node was told
	late := commitOf(t, store.MsgPack, application, head, field{"email", "ann@example.net", "ann"}, field{"name", "Bob", "bob"})
	late.Rests = []store.KeyRef{{Subject: "ann", ID: c.Events[0].Personal[0].Key}}
	_, err := privacy.NewLog(m, ringOf(t, keys, w)).Append(t.Context(), late)
	wantError(t, "append", err, store.ErrErased)
	for _, subject := range []string{"ann", "bob"} {
		if r := mustLoad(t, keys, subject); r.Key != (store.KeyID{}) {
			t.Errorf("%s got a key for nothing", subject)
		}
	}
}
