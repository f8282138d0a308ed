package privacy

import (
	"context"
	"fmt"

	"github.com/annals-go/annals/store"
)

// Open returns data with their sealed values opened, and where these stand. Those that
// were forgotten are left out and named in the member "annals:shredded" ([store.OpenSealed]). Data
// without sealed values come back as they are. Errors match [store.ErrUnavailable] if
// keys cannot be had now, and [store.ErrDamaged] if a value is not what was sealed here
// ([*SealError]), or if its key is lost ([*KeyLostError]).
func (k *Keyring) Open(ctx context.Context, s Scope, codec store.Codec, data []byte) (plain []byte, personal []store.Personal, err error) {
	return k.open(ctx, s, codec, data, nil)
}

// open is Open that, if missing is not nil, asks nobody, but adds to it the subjects
// that somebody would have to be asked for; what it then returns is of no use.
func (k *Keyring) open(ctx context.Context, s Scope, codec store.Codec, data []byte, missing *missing) (plain []byte, personal []store.Personal, err error) {
	if !store.MayHoldSealed(codec, data) {
		return data, nil, nil
	}
	room := k.borrow()
	defer k.giveBack(room) // what is in it was copied by then
	room.begin(k.config.Keys.Realm(), &s, codec)
	o := &room.opener
	*o = opener{keyring: k, scratch: room, missing: missing}
	plain, personal, _, err = store.OpenSealed(codec, data, func(path string, sealed []byte) ([]byte, store.Personal, error) {
		return o.one(ctx, path, sealed)
	})
	if err != nil {
		return nil, nil, err
	}
	return plain, personal, nil
}

// opener opens the values of one piece of data, most often all of one subject.
type opener struct {
	keyring *Keyring
	scratch *scratch
	last    *secret
	missing *missing
}

func (o *opener) one(ctx context.Context, path string, sealed []byte) ([]byte, store.Personal, error) {
	last := ""
	if o.last != nil {
		last = o.last.ref.Subject
	}
	e, err := parseEnvelope(sealed, last)
	if err != nil {
		return nil, store.Personal{}, &SealError{Path: path, Reason: err.Error()}
	}
	if o.last == nil || o.last.ref != e.ref {
		s, err := o.find(ctx, e.ref)
		if err != nil || s == nil {
			return nil, store.Personal{}, err
		}
		o.last = s
	}
	value, ok := o.scratch.open(o.last, path, &e)
	if !ok {
		return nil, store.Personal{}, &SealError{Path: path, Reason: fmt.Sprintf("it was not sealed here under key %s, or was changed", e.ref.ID)}
	}
	if len(value) == 0 {
		return nil, store.Personal{}, &SealError{Path: path, Reason: "there is nothing in it"}
	}
	return value, store.Personal{Subject: e.ref.Subject, Key: e.ref.ID}, nil
}

func (o *opener) find(ctx context.Context, ref store.KeyRef) (*secret, error) {
	s, known := o.keyring.look(ref)
	switch {
	case known:
		return s, nil
	case o.missing != nil:
		o.missing.note(ref.Subject)
		return nil, nil
	}
	return o.keyring.find(ctx, ref)
}

// missing are subjects of whom a key is wanted that is not at hand.
type missing struct {
	subjects map[string]bool
	noted    int
}

func (m *missing) note(subject string) {
	m.subjects[subject] = true
	m.noted++
}

// count returns how often one was noted.
func (m *missing) count() int {
	if m == nil {
		return 0
	}
	return m.noted
}
