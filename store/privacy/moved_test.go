package privacy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// unbound is a wrapper that binds keys to nothing. Where it is used a value is kept in its place by
// what it was sealed with, and by nothing else.
type unbound struct{}

func (unbound) Current() string { return "none" }

func (unbound) Wrap(_ context.Context, _ string, key, _ []byte) ([]byte, error) {
	return bytes.Clone(key), nil
}

func (unbound) Unwrap(_ context.Context, _ string, wrapped, _ []byte) ([]byte, error) {
	return bytes.Clone(wrapped), nil
}

// scopes are places of each kind.
func scopes() map[string]privacy.Scope {
	return map[string]privacy.Scope{
		privacy.KindEvent:    eventScope(),
		privacy.KindCommand:  {Kind: privacy.KindCommand, Stream: application, Command: "c-1", Type: "submit", Schema: 2},
		privacy.KindDocument: {Kind: privacy.KindDocument, Stream: store.StreamID{Type: "people", ID: "ann"}, Type: "person", Schema: 2},
		privacy.KindEdit:     {Kind: privacy.KindEdit, Stream: application, Event: eventScope().Event, Type: "submitted", Schema: 2},
	}
}

// moves are all the ways to stand elsewhere.
var moves = map[string]func(*privacy.Scope){
	"stream or key":          func(s *privacy.Scope) { s.Stream.ID = "173689" },
	"type of stream or view": func(s *privacy.Scope) { s.Stream.Type = "offer" },
	"between the two": func(s *privacy.Scope) {
		s.Stream = store.StreamID{Type: s.Stream.Type[:3], ID: s.Stream.Type[3:] + s.Stream.ID}
	},
	"event":             func(s *privacy.Scope) { s.Event[15] ^= 1 },
	"command":           func(s *privacy.Scope) { s.Command += "2" },
	"type":              func(s *privacy.Scope) { s.Type = "re" + s.Type },
	"schema":            func(s *privacy.Scope) { s.Schema = 3 },
	"command into type": func(s *privacy.Scope) { s.Command, s.Type = s.Command+s.Type[:3], s.Type[3:] },
}

// A value that stands anywhere but where it was sealed is refused, whatever it is that
// differs, also by a keyring that has its key under the name that it has there.
func TestMovedValueIsRefused(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		for kind, scope := range scopes() {
			keys := privacy.NewMemory()
			k := ringOf(t, keys, unbound{})
			data, spans := encode(t, codec, field{"email", "ann@example.org", "ann"}, field{"name", "ann@example.com", "ann"})
			sealed, _, err := k.Seal(t.Context(), scope, codec, data, spans)
			if err != nil {
				t.Fatal(err)
			}
			if plain, _, err := k.Open(t.Context(), scope, codec, sealed); err != nil || !bytes.Equal(plain, data) {
				t.Fatalf("%s where it was sealed: %q, %v", kind, plain, err)
			}
			for name, move := range moves {
				s := scope
				move(&s)
				wantRefused(t, kind+", "+name, k, s, codec, sealed)
			}
			for other := range scopes() {
				if s := scope; other != kind {
					s.Kind = other
					wantRefused(t, kind+", kind "+other, k, s, codec, sealed)
				}
			}
			wantRefused(t, kind+", field", k, scope, codec, swapEnvelopes(t, codec, sealed))
			toOthers(t, kind, keys, scope, codec, sealed)
		}
	})
}

// toOthers moves a value to other persons, tenants, keys and codecs, where all have the very key
// that it is sealed under.
func toOthers(t *testing.T, kind string, keys *privacy.Memory, scope privacy.Scope, codec store.Codec, sealed []byte) {
	t.Helper()
	ann, err := keys.Load(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	give := func(to *privacy.Memory, subject string, id store.KeyID) *privacy.Keyring {
		r := ann
		r.Revision, r.Subject, r.Key = 0, subject, id
		if _, err := to.Store(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		return ringOf(t, to, unbound{})
	}
	wantRefused(t, kind+", subject", give(keys, "bob", ann.Key), scope, codec, relabel(t, codec, sealed, func(e []byte) { copy(e[18:], "bob") }))
	wantRefused(t, kind+", tenant", give(privacy.NewMemory(), "ann", ann.Key), scope, codec, sealed)

	for _, c := range codecs {
		if c != codec {
			elsewhere, spans := encode(t, c, field{"email", "x", "ann"}, field{"name", "y", "ann"})
			into, _, err := ringOf(t, keys, unbound{}).Seal(t.Context(), scope, c, elsewhere, spans)
			if err != nil {
				t.Fatal(err)
			}
			wantRefused(t, kind+", codec", ringOf(t, keys, unbound{}), scope, c, place(t, c, into, envelopes(t, codec, sealed)))
		}
	}

	renamed := ann // the same bytes under another id
	renamed.Key = store.KeyID(uuid.New())
	if _, err := keys.Store(t.Context(), renamed); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, kind+", key", ringOf(t, keys, unbound{}), scope, codec, relabel(t, codec, sealed, func(e []byte) { copy(e[1:], renamed.Key[:]) }))
}

// Stored events and commands are exchanged below the log, with all that is stored beside them as it
// was.
func TestMovedEventsAndCommandsAreRefused(t *testing.T) {
	t.Parallel()
	exchanges := map[string]func(a, b *store.Commit){
		"event": func(a, b *store.Commit) { a.Events[0].Data, b.Events[0].Data = b.Events[0].Data, a.Events[0].Data },
		"command": func(a, b *store.Commit) {
			a.Commands[0].Data, b.Commands[0].Data = b.Commands[0].Data, a.Commands[0].Data
		},
		"command into event": func(a, _ *store.Commit) { a.Events[0].Data = a.Commands[0].Data },
		"event into command": func(a, _ *store.Commit) { a.Commands[0].Data = a.Events[0].Data },
		"schema":             func(a, b *store.Commit) { a.Events[0].Schema++; b.Events[0].Schema++ },
		"type":               func(a, b *store.Commit) { a.Events[0].Type, b.Events[0].Type = "sent", "sent" },
		"command's id":       func(a, b *store.Commit) { a.Commands[0].ID, b.Commands[0].ID = b.Commands[0].ID, a.Commands[0].ID },
	}
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		other := store.StreamID{Type: "application", ID: "173689"}
		k, _ := newRing(t)
		below := store.NewMemory(store.MemoryConfig{Codec: codec})
		log := privacy.NewLog(below, k)
		for i, id := range []store.StreamID{application, application, other} {
			var after store.Head
			if i == 1 {
				after = mustRead(t, below, application)[0].Head()
			}
			c := commitOf(t, codec, id, after, field{"email", fmt.Sprintf("ann%d@example.org", i), "ann"})
			c.Commands[0].Data, c.Commands[0].Personal = encode(t, codec, field{"email", fmt.Sprintf("0123-%d", i), "ann"})
			c.Commands[0].Schema = 1
			mustAppend(t, log, c)
		}
		for name, exchange := range exchanges {
			for with, id := range map[string]store.StreamID{"of the same stream": application, "of another stream": other} {
				commits := mustRead(t, below, application)
				a, b := commits[0], commits[1]
				if id == other {
					b = mustRead(t, below, other)[0]
				}
				exchange(a, b)
				_, err := readAll(t.Context(), privacy.NewLog(copied(t, codec, a, b), k), application)
				if !errors.Is(err, store.ErrDamaged) {
					t.Errorf("%s exchanged with one %s: %v, want it to be refused", name, with, err)
				}
			}
		}
		// The same copy with nothing exchanged is read.
		if _, err := readAll(t.Context(), privacy.NewLog(copied(t, codec, mustRead(t, below, application)...), k), application); err != nil {
			t.Errorf("a copy: %v", err)
		}
	})
}

// copied returns a log with these commits in it.
func copied(t *testing.T, codec store.Codec, commits ...*store.Commit) store.Log {
	t.Helper()
	m := store.NewMemory(store.MemoryConfig{Codec: codec})
	heads := map[store.StreamID]store.Head{}
	for _, c := range commits {
		again := *c
		again.After = heads[c.Stream]
		heads[c.Stream] = mustAppend(t, m, &again)
	}
	return m
}

func wantRefused(t *testing.T, what string, k *privacy.Keyring, s privacy.Scope, codec store.Codec, data []byte) {
	t.Helper()
	plain, _, err := k.Open(t.Context(), s, codec, data)
	if !errors.Is(err, store.ErrDamaged) || plain != nil {
		t.Errorf("moved to another %s: %q, %v, want it to be refused", what, plain, err)
	}
}

// envelopes returns the envelopes in data.
func envelopes(t *testing.T, codec store.Codec, data []byte) [][]byte {
	t.Helper()
	var all [][]byte
	_, _, _, err := store.OpenSealed(codec, data, func(_ string, e []byte) ([]byte, store.Personal, error) {
		all = append(all, bytes.Clone(e))
		return nil, store.Personal{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// place puts envelopes in the places of those in data.
func place(t *testing.T, codec store.Codec, data []byte, with [][]byte) []byte {
	t.Helper()
	n := 0
	placed, _, _, err := store.OpenSealed(codec, data, func(string, []byte) ([]byte, store.Personal, error) {
		n++
		return store.SealedForm(codec, with[n-1]), store.Personal{}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return placed
}

func swapEnvelopes(t *testing.T, codec store.Codec, data []byte) []byte {
	t.Helper()
	all := envelopes(t, codec, data)
	return place(t, codec, data, [][]byte{all[1], all[0]})
}

func relabel(t *testing.T, codec store.Codec, data []byte, change func([]byte)) []byte {
	t.Helper()
	all := envelopes(t, codec, data)
	for _, e := range all {
		change(e)
	}
	return place(t, codec, data, all)
}
