package privacy

import (
	"context"
	"crypto/rand"
)

// Transient is a [Wrapper] with one random key that is nowhere but in the memory of the process:
// what it has wrapped is lost with it. It goes with a key store that is lost as well.
type Transient struct{ keys *wrapKeys }

var _ Wrapper = (*Transient)(nil)

const transientName = "memory"

// NewTransient makes a key up.
func NewTransient() *Transient {
	key := make([]byte, keyBytes)
	rand.Read(key) // never fails: the program ends instead
	return &Transient{keys: &wrapKeys{keys: map[string][]byte{transientName: key}, current: transientName}}
}

// Current implements [Wrapper].
func (t *Transient) Current() string { return t.keys.current }

// Wrap implements [Wrapper].
func (t *Transient) Wrap(_ context.Context, by string, key, bound []byte) ([]byte, error) {
	return t.keys.wrap(by, key, bound)
}

// Unwrap implements [Wrapper].
func (t *Transient) Unwrap(_ context.Context, by string, wrapped, bound []byte) ([]byte, error) {
	return t.keys.unwrap(by, wrapped, bound)
}
