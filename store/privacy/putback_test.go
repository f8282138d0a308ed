package privacy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// noting is a forgetter that writes its notices into a log.
func noting(tb testing.TB, keys privacy.Keys, log store.Log, rings ...*privacy.Keyring) *privacy.Forgetter {
	tb.Helper()
	l := ledger.New(log)
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
		Notice: func(ctx context.Context, e privacy.Erasure, subject string) (store.Position, error) {
			return l.Forget(ctx, subject, e)
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// putBack is what somebody does who may write to the key store: the record is as it was.
func putBack(tb testing.TB, keys privacy.Keys, old privacy.Record) {
	tb.Helper()
	old.Revision = mustLoad(tb, keys, old.Subject).Revision
	if _, err := keys.Store(tb.Context(), old); err != nil {
		tb.Fatal(err)
	}
}

func mustLoad(tb testing.TB, keys privacy.Keys, subject string) privacy.Record {
	tb.Helper()
	r, err := keys.Load(tb.Context(), subject)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// reading is how a keyring reads the field: whether it is there, and not forgotten.
func reads(tb testing.TB, log store.Log) bool {
	tb.Helper()
	return len(mustRead(tb, log, application)[0].Events[0].Personal) == 1
}

// scene is a value of somebody who was forgotten, and the record from before.
type scene struct {
	memory *store.Memory
	keys   *privacy.Memory
	file   *privacy.File
	ring   *privacy.Keyring
	log    *privacy.Log
	old    privacy.Record
	said   bytes.Buffer
}

func newScene(t *testing.T, codec store.Codec) *scene {
	t.Helper()
	s := &scene{memory: store.NewMemory(store.MemoryConfig{Codec: codec}), keys: privacy.NewMemory(), file: wrapper(t)}
	s.log, s.ring = s.node(t)
	mustAppend(t, s.log, commitOf(t, codec, application, store.Head{}, field{"email", "ann@example.org", "ann"}))
	s.old = mustLoad(t, s.keys, "ann")
	mustForget(t, noting(t, s.keys, s.memory, s.ring), "ann")
	return s
}

// node is a fresh one.
func (s *scene) node(t *testing.T) (*privacy.Log, *privacy.Keyring) {
	t.Helper()
	k, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: s.keys, Wrapper: s.file, Logger: slog.New(slog.NewTextHandler(&s.said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return privacy.NewLog(s.memory, k), k
}

// A record from before a forgetting opens nothing, on a node that knew of it and on one that
// did not, and is mended.
func TestARecordThatIsPutBackOpensNothing(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		s := newScene(t, codec)
		putBack(t, s.keys, s.old)
		unchecked := ringOf(t, s.keys, s.file)
		scope := privacy.Scope{Kind: privacy.KindEvent}
		for r := range mustRead(t, s.memory, application)[0].Recorded() {
			scope.Stream, scope.Event, scope.Type, scope.Schema = r.Stream, r.ID, r.Type, r.Schema
		}
		if _, personal, err := unchecked.Open(t.Context(), scope, codec, mustRead(t, s.memory, application)[0].Events[0].Data); err != nil || len(personal) != 1 {
			t.Fatalf("without a log to ask it is not opened: %v: the test tries nothing", err)
		}
		fresh, _ := s.node(t)
		for name, log := range map[string]store.Log{"fresh": fresh, "running": s.log} {
			if reads(t, log) {
				t.Errorf("a %s node reads what was forgotten", name)
			}
		}
		r := mustLoad(t, s.keys, "ann")
		if r.Key != (store.KeyID{}) || len(r.Erased) != 1 || r.Erased[0].Key != s.old.Key || r.Erased[0].Done {
			t.Errorf("the record was not mended: %+v", r)
		}
		if s.keys.Holds(s.old.Wrapped) {
			t.Error("the key is still in the store")
		}
		if n := strings.Count(s.said.String(), "level=ERROR"); n != 1 || strings.Contains(s.said.String(), "ann") {
			t.Errorf("said %d times, want 1, and no name: %s", n, s.said.String())
		}
	})
}

// The steps of the forgetting are taken again, and its notice is the one that there was.
func TestForgettingIsResumedAfterARecordWasPutBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	putBack(t, s.keys, s.old)
	fresh, ring := s.node(t)
	if reads(t, fresh) {
		t.Fatal("it is read")
	}
	done, err := noting(t, s.keys, s.memory, ring).Resume(t.Context())
	if err != nil || len(done) != 1 || !done[0].Done {
		t.Fatalf("resumed %+v, %v", done, err)
	}
	notices := mustRead(t, s.memory, store.StreamID{Type: privacy.SubjectAggregate, ID: "ann"})
	if len(notices) != 1 || notices[0].Last() != done[0].Notice {
		t.Errorf("%d notices, at %v", len(notices), done[0].Notice)
	}
}

// Who is seen again after the record was put back has another key.
func TestARecordThatIsPutBackSealsNothing(t *testing.T) {
	t.Parallel()
	for _, known := range []bool{true, false} {
		s := newScene(t, store.MsgPack)
		putBack(t, s.keys, s.old)
		log := s.log
		if !known {
			log, _ = s.node(t)
		}
		id := store.StreamID{Type: "application", ID: "other"}
		c := commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "ann@example.net", "ann"})
		mustAppend(t, log, c)
		if key := c.Events[0].Personal[0].Key; key == s.old.Key || key == (store.KeyID{}) {
			t.Errorf("sealed under %v, erased was %v", key, s.old.Key)
		}
		if r := mustLoad(t, s.keys, "ann"); !r.WasErased(s.old.Key) || s.keys.Holds(s.old.Wrapped) {
			t.Errorf("the record is %+v", r)
		}
		if reads(t, log) {
			t.Error("what was forgotten is read")
		}
	}
}

// A record that is gone altogether leaves forgotten what the log says was forgotten.
func TestALostRecordLeavesForgottenWhatWas(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	s.keys = privacy.NewMemory()
	if log, _ := s.node(t); reads(t, log) {
		t.Error("it is read")
	}
}

// A record that says under the id of the erasure that another key was erased is no better.
func TestARecordWithAnotherKeyInItsErasure(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	forged := s.old
	forged.Erased = []privacy.Erasure{mustLoad(t, s.keys, "ann").Erased[0]}
	forged.Erased[0].Key = store.KeyID(uuid.New())
	putBack(t, s.keys, forged)
	if log, _ := s.node(t); reads(t, log) {
		t.Error("it is read")
	}
	if r := mustLoad(t, s.keys, "ann"); r.Key != (store.KeyID{}) || !r.WasErased(s.old.Key) {
		t.Errorf("the record is %+v", r)
	}
}

// readOnly is the key store of who may write no keys.
type readOnly struct{ privacy.Keys }

func (readOnly) Store(context.Context, privacy.Record) (uint64, error) { return 0, store.ErrRefused }

// Who may not mend the record reads nothing either.
func TestWhoMayWriteNoKeysReadsNothingThatWasPutBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	putBack(t, s.keys, s.old)
	log := privacy.NewLog(s.memory, ringOf(t, readOnly{s.keys}, s.file))
	if reads(t, log) {
		t.Error("it is read")
	}
	if r := mustLoad(t, s.keys, "ann"); r.Key != s.old.Key {
		t.Fatalf("the record is mended: %+v", r)
	}
	if log, _ := s.node(t); reads(t, log) || mustLoad(t, s.keys, "ann").Key != (store.KeyID{}) {
		t.Error("another node does not mend it")
	}
}

// A key that is erased while a node takes it in is no alarm.
func TestForgettingWhileAKeyIsTakenIn(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	id := store.StreamID{Type: "application", ID: "other"}
	mustAppend(t, s.log, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "bob@example.org", "bob"}))
	slow := &faulty{Keys: s.keys}
	first := true
	slow.set(nil, func(what string) error {
		if what == "load" && first {
			first = false
			mustForget(t, noting(t, s.keys, s.memory, s.ring), "bob")
		}
		return nil
	})
	k, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: slow, Wrapper: s.file, Logger: slog.New(slog.NewTextHandler(&s.said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if c := mustRead(t, privacy.NewLog(s.memory, k), id)[0]; len(c.Events[0].Personal) > 0 {
		t.Error("it is read")
	}
	if first || s.said.Len() > 0 {
		t.Errorf("forgotten meanwhile: %v; said %s", !first, s.said.String())
	}
}

// metered counts the reads of notices, and fails them when it is told to.
type metered struct {
	store.Log
	reads atomic.Int64
	err   error
}

func (m *metered) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	if id.Type != privacy.SubjectAggregate {
		return m.Log.Read(ctx, id, after)
	}
	m.reads.Add(1)
	if m.err != nil {
		return func(yield func(*store.Commit, error) bool) { yield(nil, m.err) }
	}
	return m.Log.Read(ctx, id, after)
}

// As long as nobody can say what was erased, nothing is read.
func TestKeysWithoutNoticesAreUnavailable(t *testing.T) {
	t.Parallel()
	for why, want := range map[error]error{
		store.ErrUnavailable: store.ErrUnavailable, store.ErrArchived: store.ErrUnavailable, errors.New("no idea"): store.ErrUnavailable,
		store.ErrDamaged: store.ErrDamaged,
	} {
		s := newScene(t, store.MsgPack)
		id := store.StreamID{Type: "application", ID: "other"}
		mustAppend(t, s.log, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "bob@example.org", "bob"}))
		m := &metered{Log: s.memory, err: why}
		log := privacy.NewLog(m, ringOf(t, s.keys, s.file))
		_, err := readAll(t.Context(), log, id)
		wantError(t, why.Error(), err, want)
		m.err = nil
		if c := mustRead(t, log, id)[0]; len(c.Events[0].Personal) != 1 {
			t.Error("not read when notices can be")
		}
	}
}

// A subject's notices are read once for each load of the subject, and then no more.
func TestNoticesAreReadOnceALoad(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	m := &metered{Log: s.memory}
	log := privacy.NewLog(m, ringOf(t, s.keys, s.file))
	id := store.StreamID{Type: "application", ID: "other"}
	head := store.Head{}
	for range 10 {
		head = mustAppend(t, log, commitOf(t, store.MsgPack, id, head, field{"email", "bob@example.org", "bob"}))
		mustRead(t, log, id)
	}
	if n := m.reads.Load(); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
}

// nobodyKnows is a key store whose answers to what is stored are lost.
type nobodyKnows struct {
	privacy.Keys
	stores atomic.Int64
	err    error
}

func (n *nobodyKnows) Store(context.Context, privacy.Record) (uint64, error) {
	n.stores.Add(1)
	return 0, n.err
}

// Who reads does not wait for a mending that cannot be, whatever is said of it, and tries it once.
func TestReadersGoOnWithoutMending(t *testing.T) {
	t.Parallel()
	for _, why := range []error{store.ErrUnknown, store.ErrRefused, store.ErrUnavailable} {
		s := newScene(t, store.MsgPack)
		id := store.StreamID{Type: "application", ID: "other"}
		mustAppend(t, s.log, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "bob@example.org", "bob"}))
		bob := mustLoad(t, s.keys, "bob")
		mustForget(t, noting(t, s.keys, s.memory, s.ring), "bob")
		putBack(t, s.keys, s.old)
		putBack(t, s.keys, bob)
		keys := &nobodyKnows{Keys: s.keys, err: why}
		log := privacy.NewLog(s.memory, ringOf(t, keys, s.file))
		if reads(t, log) || len(mustRead(t, log, id)[0].Events[0].Personal) > 0 {
			t.Errorf("%v: it is read", why)
		}
		if n := keys.stores.Load(); n != 1 {
			t.Errorf("%v: %d tries to store, want 1", why, n)
		}
	}
}

// After a while it is tried again: rights may have been given.
func TestMendingIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, store.MsgPack)
		keys := &nobodyKnows{Keys: s.keys, err: store.ErrRefused}
		log := privacy.NewLog(s.memory, ringOf(t, keys, s.file))
		for n := range 9 {
			subject := fmt.Sprint("p", n)
			id := store.StreamID{Type: "application", ID: subject}
			mustAppend(t, s.log, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "bob@example.org", subject}))
			old := mustLoad(t, s.keys, subject)
			mustForget(t, noting(t, s.keys, s.memory, s.ring), subject)
			putBack(t, s.keys, old)
			if len(mustRead(t, log, id)[0].Events[0].Personal) > 0 {
				t.Error("it is read")
			}
			if got, want := keys.stores.Load(), int64(1+n/3); got != want {
				t.Fatalf("%d tries to store after %d persons, want %d", got, n+1, want)
			}
			time.Sleep(2 * time.Minute)
		}
	})
}

// A key store that was set back to before a forgetting is told what it does not know any more, also where no key
// contradicts the notice: because there is none, or a younger one.
func TestErasuresThatTheKeyStoreLostAreBack(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		s := newScene(t, store.MsgPack)
		s.keys = privacy.NewMemory()
		id := store.StreamID{Type: "application", ID: "other"}
		if again {
			unchecked := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), ringOf(t, s.keys, s.file))
			mustAppend(t, unchecked, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "ann@example.net", "ann"}))
		}
		before := mustLoad(t, s.keys, "ann")
		if len(before.Erased) > 0 || (before.Key != store.KeyID{}) != again {
			t.Fatalf("before: %+v", before)
		}
		log, ring := s.node(t)
		got, err := ring.Record(t.Context(), "ann")
		if err != nil || !got.WasErased(s.old.Key) || got.Key != before.Key {
			t.Errorf("the record is %+v, %v", got, err)
		}
		if now := mustLoad(t, s.keys, "ann"); !now.WasErased(s.old.Key) || now.Key != before.Key || now.Revision != got.Revision {
			t.Errorf("stored is %+v", now)
		}
		if n := strings.Count(s.said.String(), "level=ERROR"); n != 1 || strings.Contains(s.said.String(), "ann") {
			t.Errorf("said %d times, want 1, and no name: %s", n, s.said.String())
		}
		if reads(t, log) {
			t.Error("what was forgotten is read")
		}
		done, err := noting(t, s.keys, s.memory, ring).Resume(t.Context())
		if err != nil || len(done) != 1 || len(mustRead(t, s.memory, store.StreamID{Type: privacy.SubjectAggregate, ID: "ann"})) != 1 {
			t.Errorf("resumed %+v, %v", done, err)
		}
		if now := mustLoad(t, s.keys, "ann"); now.Key != before.Key {
			t.Errorf("the younger key is gone: %+v", now)
		}
	}
}

// Who has a key that no notice names seals under it, though an older erasure cannot be stored.
func TestAYoungerKeyIsUsedWithoutMending(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	s.keys = privacy.NewMemory()
	id := store.StreamID{Type: "application", ID: "other"}
	unchecked := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), ringOf(t, s.keys, s.file))
	mustAppend(t, unchecked, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "ann@example.net", "ann"}))
	log := privacy.NewLog(s.memory, ringOf(t, &nobodyKnows{Keys: s.keys, err: store.ErrRefused}, s.file))
	c := commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "ann@example.net", "ann"})
	mustAppend(t, log, c)
	if key := c.Events[0].Personal[0].Key; key != mustLoad(t, s.keys, "ann").Key {
		t.Errorf("sealed under %s", key)
	}
}

// All records are compared with the log, also those that nobody reads, and whatever is wrong with one of them.
func TestAllRecordsAreCompared(t *testing.T) {
	t.Parallel()
	s := newScene(t, store.MsgPack)
	putBack(t, s.keys, s.old)
	for _, subject := range []string{"bob", "eve", "zoe"} {
		id := store.StreamID{Type: "application", ID: subject}
		mustAppend(t, s.log, commitOf(t, store.MsgPack, id, store.Head{}, field{"email", "x@example.org", subject}))
		old := mustLoad(t, s.keys, subject)
		if subject != "eve" {
			mustForget(t, noting(t, s.keys, s.memory, s.ring), subject)
		}
		if subject == "zoe" {
			putBack(t, s.keys, old)
		}
	}
	eve := mustLoad(t, s.keys, "eve")
	ring := ringOf(t, readOnly{s.keys}, s.file)
	privacy.NewLog(s.memory, ring)
	_, err := ring.Compare(t.Context())
	wantError(t, "compare by who may write no keys", err, store.ErrRefused)

	mustAppend(t, s.memory, &store.Commit{
		Stream: store.StreamID{Type: privacy.SubjectAggregate, ID: "eve"}, ID: uuid.New(), Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "forget"}},
		Events:   []store.Event{{Type: privacy.ForgottenEvent, Schema: 1, Data: mustMarshal(t, store.MsgPack, "no notice")}},
	})
	_, ring = s.node(t)
	n, err := ring.Compare(t.Context())
	if wantError(t, "compare with a notice that is damaged", err, store.ErrDamaged); n != 2 {
		t.Errorf("%d records mended, want 2", n)
	}
	for _, subject := range []string{"ann", "bob", "zoe"} {
		if r := mustLoad(t, s.keys, subject); r.Key != (store.KeyID{}) || len(r.Erased) != 1 {
			t.Errorf("%s: %+v", subject, r)
		}
	}
	if now := mustLoad(t, s.keys, "eve"); now.Key != eve.Key || now.Revision != eve.Revision {
		t.Errorf("eve: %+v", now)
	}
	if s.keys.Holds(s.old.Wrapped) {
		t.Error("an erased key is still in the store")
	}
	if n, err := ring.Compare(t.Context()); n != 0 || !errors.Is(err, store.ErrDamaged) {
		t.Errorf("again: %d, %v", n, err)
	}
}
