package privacy

import "github.com/annals-go/annals/store"

// erasures are the keys that are known to be erased: the last so many that were learnt
// of. Where that is not all, gaps says so.
type erasures struct {
	keys  map[store.KeyID]bool
	order []store.KeyID // as they were learnt; a ring once it is full
	next  int
	gaps  uint64 // how often something may have been missed, or was dropped
}

// maxKnownErasures bounds what is remembered of erasures, to some 10 MiB.
const maxKnownErasures = 1 << 17

func newErasures() erasures { return erasures{keys: map[store.KeyID]bool{}} }

func (e *erasures) has(key store.KeyID) bool { return e.keys[key] }

// add reports whether the key is new.
func (e *erasures) add(key store.KeyID) bool {
	if key == (store.KeyID{}) || e.keys[key] {
		return false
	}
	e.keys[key] = true
	if len(e.order) < maxKnownErasures {
		e.order = append(e.order, key)
		return true
	}
	delete(e.keys, e.order[e.next])
	e.order[e.next] = key
	e.next = (e.next + 1) % len(e.order)
	e.gaps++
	return true
}

// learn takes note of erasures. It is called with the lock.
func (k *Keyring) learn(erased []Erasure) {
	for _, e := range erased {
		if k.erasures.add(e.Key) {
			k.generation.Add(1)
		}
	}
}

// missed says that an erasure may have gone unheard. It is called with the lock.
func (k *Keyring) missed() {
	k.erasures.gaps++
	k.generation.Add(1)
}
