package privacy

import (
	"errors"
	"testing"

	"github.com/annals-go/annals/store"
)

func newTestRing(t *testing.T, keys Keys) *Keyring {
	t.Helper()
	w := &Env{keys: &wrapKeys{keys: map[string][]byte{"k": make([]byte, keyBytes)}, current: "k"}}
	k, err := NewKeyring(KeyringConfig{Keys: keys, Wrapper: w})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What happens between the last question to the key store and the append is noticed.
func TestEnterAfterErasure(t *testing.T) {
	t.Parallel()
	keys := NewMemory()
	k := newTestRing(t, keys)
	s, err := k.current(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	refs := []store.KeyRef{s.ref}
	gaps, err := k.confirm(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	k.missed()
	if again, err := k.enter(refs, gaps); !again || err != nil {
		t.Errorf("entered over a gap: %v, %v", again, err)
	}
	if gaps, err = k.confirm(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	again, err := k.enter(refs, gaps)
	if again || err != nil {
		t.Fatalf("enter: %v, %v", again, err)
	}
	k.leave(refs)
	record, err := keys.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	record.Erased = []Erasure{{Key: record.Key}}
	record.Key = store.KeyID{}
	k.changed(record)
	if _, err := k.enter(refs, gaps); !errors.Is(err, store.ErrErased) {
		t.Errorf("entered with an erased key: %v", err)
	}
	if len(k.uses) != 0 {
		t.Errorf("%d keys are in use", len(k.uses))
	}
}

// The bounded set of erasures says when it has dropped some.
func TestErasuresAreBounded(t *testing.T) {
	t.Parallel()
	e := newErasures()
	key := func(n int) store.KeyID { return store.KeyID{1, byte(n), byte(n >> 8), byte(n >> 16)} }
	for n := range maxKnownErasures {
		if !e.add(key(n)) || e.add(key(n)) || e.gaps != 0 {
			t.Fatal("an erasure is not new, or new twice, or one was dropped")
		}
	}
	e.add(key(maxKnownErasures))
	if e.gaps != 1 || len(e.keys) != maxKnownErasures || e.has(key(0)) || !e.has(key(1)) || !e.has(key(maxKnownErasures)) {
		t.Errorf("%d erasures, %d gaps", len(e.keys), e.gaps)
	}
}

// Keys are cleared when they are dropped: by a purge, and for want of room.
func TestDroppedKeysAreCleared(t *testing.T) {
	t.Parallel()
	k := newTestRing(t, NewMemory())
	k.config.Capacity = 1
	ann, err := k.current(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.derive(t.Context(), []store.KeyRef{ann.ref}); err != nil || ann.derived == nil {
		t.Fatalf("nothing is derived (%v)", err)
	}
	if ann.raw == [keyBytes]byte{} {
		t.Fatal("there is no key")
	}
	bob, err := k.current(t.Context(), "bob")
	if err != nil || ann.raw != [keyBytes]byte{} || ann.derived != nil {
		t.Errorf("a key that was dropped for another is there still (%v)", err)
	}
	if err := k.Purge(t.Context(), "bob"); err != nil || bob.raw != [keyBytes]byte{} {
		t.Errorf("a key that was purged is there still (%v)", err)
	}
}

// The same key under the same name in another realm does not open what was sealed in this one.
func TestRealmIsBound(t *testing.T) {
	t.Parallel()
	here, there := newTestRing(t, NewMemory()), newTestRing(t, NewMemory())
	ref := store.KeyRef{Subject: "ann", ID: store.KeyID{1}}
	scope := Scope{Kind: KindEvent, Stream: store.StreamID{Type: "application", ID: "1"}, Type: "submitted", Schema: 1}
	for _, k := range []*Keyring{here, there} {
		s, err := newSecret(ref, make([]byte, keyBytes))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.get(t.Context(), "ann", 0, false); err != nil {
			t.Fatal(err)
		}
		k.peek("ann").secret = s
	}
	data := []byte(`"text"`)
	sealed, _, err := here.Seal(t.Context(), scope, store.JSON, data, []store.Personal{{End: len(data), Subject: "ann"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, personal, err := here.Open(t.Context(), scope, store.JSON, sealed); err != nil || len(personal) != 1 {
		t.Fatalf("open: %v", err)
	}
	if _, _, err := there.Open(t.Context(), scope, store.JSON, sealed); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("open in another realm: %v", err)
	}
}

// What was opened does not stay in the room that the next call gets.
func TestScratchIsCleared(t *testing.T) {
	t.Parallel()
	k := newTestRing(t, NewMemory())
	scope := Scope{Kind: KindEvent, Stream: store.StreamID{Type: "application", ID: "1"}, Type: "submitted", Schema: 1}
	key, err := newSecret(store.KeyRef{Subject: "ann", ID: store.KeyID{1}}, make([]byte, keyBytes))
	if err != nil {
		t.Fatal(err)
	}
	room := k.borrow()
	room.begin(k.config.Keys.Realm(), &scope, store.MsgPack)
	room.seal(store.MsgPack, key, "name", []byte("Ann Smith"))
	sealed, err := parseEnvelope(room.envelope, "")
	if err != nil {
		t.Fatal(err)
	}
	value, ok := room.open(key, "name", &sealed)
	if !ok || string(value) != "Ann Smith" {
		t.Fatalf("opened %q", value)
	}
	room.opener = opener{keyring: k, last: key}
	k.giveBack(room)
	if string(value) != string(make([]byte, len(value))) || room.opener != (opener{}) || len(room.plain) > 0 {
		t.Errorf("there is left %q, %v", value, room.opener)
	}
}
