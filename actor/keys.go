package actor

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/annals-go/annals/store"
)

// Keyring knows which keys of personal data were erased. Package store/privacy has one.
// Its methods are asked before every turn of an actor with personal data, from many
// goroutines, and never wait.
type Keyring interface {
	// Generation grows whenever AnyErased may have come to say something else.
	Generation() uint64
	// AnyErased reports whether one of the keys is erased, as far as is known here.
	AnyErased(keys []store.KeyRef) bool
}

// keys are those of all personal data that were folded into a state, each once, in
// order. They are why the state may have to be given up. A state without any has nil.
type keys struct{ refs []store.KeyRef }

// all returns the keys. They are not to be changed, and change with the next fold.
func (k *keys) all() []store.KeyRef {
	if k == nil {
		return nil
	}
	return k.refs
}

// copied returns the keys for whoever keeps them.
func (k *keys) copied() []store.KeyRef { return slices.Clone(k.all()) }

// holdAny reports whether one of some keys is among them.
func (k *keys) holdAny(of []store.KeyRef) bool {
	return k != nil && slices.ContainsFunc(of, func(ref store.KeyRef) bool {
		_, has := slices.BinarySearchFunc(k.refs, ref, compareKeys)
		return has
	})
}

// with returns k with one more.
func (k *keys) with(ref store.KeyRef) *keys {
	if k == nil {
		k = &keys{}
	}
	if i, has := slices.BinarySearchFunc(k.refs, ref, compareKeys); !has {
		ref.Subject = strings.Clone(ref.Subject) // it holds on to all the text of a commit
		k.refs = slices.Insert(k.refs, i, ref)
	}
	return k
}

func compareKeys(a, b store.KeyRef) int {
	return cmp.Or(strings.Compare(a.Subject, b.Subject), bytes.Compare(a.ID[:], b.ID[:]))
}

func keysOf(refs []store.KeyRef) (k *keys) {
	for _, ref := range refs {
		k = k.with(ref)
	}
	return k
}

// learn adds the keys of a commit's personal data: those of its commands, too, for
// what a command said is in the events that were decided on it.
func (k *keys) learn(c *store.Commit) *keys {
	for i := range c.Events {
		k = k.spans(c.Stream, c.Events[i].Personal)
	}
	for i := range c.Commands {
		k = k.spans(c.Stream, c.Commands[i].Personal)
	}
	return k
}

func (k *keys) spans(stream store.StreamID, spans []store.Personal) *keys {
	for i := range spans {
		ref := store.KeyRef{Subject: spans[i].Subject, ID: spans[i].Key}
		if ref.Subject == "" {
			ref.Subject = stream.ID
		}
		if ref.ID != (store.KeyID{}) {
			k = k.with(ref)
		}
	}
	return k
}

// generation is that of the keyring, to be asked before a state is loaded.
func (s *System) generation() uint64 {
	if s.config.Keyring == nil {
		return 0
	}
	return s.config.Keyring.Generation()
}

// mustGo reports whether a state may hold what was forgotten since it was loaded. A
// state without personal data costs a comparison with nil.
func (s *System) mustGo(l *live) bool {
	if l.keys == nil || s.config.Keyring == nil {
		return false
	}
	now := s.config.Keyring.Generation() // before the question: what comes meanwhile is asked about next time
	if now == l.generation {
		return false
	}
	l.generation = now
	return s.config.Keyring.AnyErased(l.keys.refs)
}
