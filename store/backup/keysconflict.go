package backup

import (
	"fmt"

	"github.com/annals-go/annals/store"
)

// maxConflicts is how many conflicts a [KeyConflicts] names.
const maxConflicts = 1000

// KeyConflict is a data subject of whom the key store has one key, and the copy another,
// and neither was erased.
type KeyConflict struct {
	Subject   string
	Has, Copy store.KeyID
}

func (c KeyConflict) String() string {
	return fmt.Sprintf("the key store has key %s for %q, the copy %s, and neither was erased", c.Has, c.Subject, c.Copy)
}

// KeyConflicts are the conflicts that a restore came upon; all that could be restored
// was. It matches [store.ErrConflict].
type KeyConflicts struct {
	// First are the first thousand of them, Count is how many there are.
	First []KeyConflict
	Count uint64
}

func (e *KeyConflicts) Error() string {
	text := e.First[0].String()
	if e.Count > 1 {
		text += fmt.Sprintf(", and so it is with %d others", e.Count-1)
	}
	return text
}

// Unwrap makes the error match [store.ErrConflict].
func (e *KeyConflicts) Unwrap() error { return store.ErrConflict }

func (e *KeyConflicts) add(c KeyConflict) {
	if e.Count++; len(e.First) < maxConflicts {
		e.First = append(e.First, c)
	}
}

// or returns the conflicts as an error, nil if there is none.
func (e *KeyConflicts) or() error {
	if e.Count == 0 {
		return nil
	}
	return fmt.Errorf("restore keys: %w", e)
}
