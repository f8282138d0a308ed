package privacy

import (
	"errors"
	"fmt"

	"github.com/annals-go/annals/store"
)

// ErrMoved says that a key store cannot be followed any further because its keys were
// moved, as by a rotation: nothing is wrong, and whoever follows begins anew.
var ErrMoved = errors.New("keys were moved")

// KeyLostError says that there are data under a key that is neither kept nor erased:
// the key store lost it, or is not the one that belongs to the log. Such data are
// never taken for forgotten. The text does not say whose it is, for texts are logged.
type KeyLostError struct {
	// Subject is the data subject's id.
	Subject string
	// Key names the key.
	Key store.KeyID
}

func (e *KeyLostError) Error() string {
	return fmt.Sprintf("key %s of a data subject is lost: the key store neither has it nor knows that it was erased", e.Key)
}

// Unwrap makes the error match [store.ErrDamaged].
func (e *KeyLostError) Unwrap() error { return store.ErrDamaged }

// SealError says that a sealed value is not what was sealed in its place: it was
// changed, or belongs elsewhere. It holds nothing of the value.
type SealError struct {
	// Path is where the value stands.
	Path string
	// Reason is what is wrong.
	Reason string
}

func (e *SealError) Error() string {
	if e.Path == "" {
		return "sealed value: " + e.Reason
	}
	return fmt.Sprintf("sealed value of %s: %s", e.Path, e.Reason)
}

// Unwrap makes the error match [store.ErrDamaged].
func (e *SealError) Unwrap() error { return store.ErrDamaged }

// unavailable says that keys could not be had for now. The cause is text only: what it
// matches itself, such as that a wrapping key is not found, says nothing to a reader of data.
func unavailable(doing string, cause error) error {
	return fmt.Errorf("%s: %w: %s", doing, store.ErrUnavailable, cause.Error())
}
