package privacy

import (
	"context"

	"github.com/annals-go/annals/store"
)

// Sealed reports whether data hold sealed values, which then are to be opened. False is
// certain, and true nearly always right.
func Sealed(codec store.Codec, data []byte) bool { return store.HoldsSealed(codec, data) }

// Seal returns data with the parts that personal names sealed, each under the key of its
// subject, which is made if there is none, and the keys that it used. A part without a
// Subject is of s.Stream.ID. Errors match [store.ErrInvalid] for parts that are no parts of data and
// for subjects that cannot be, [store.ErrUnavailable] if keys cannot be had now, and
// [store.ErrDamaged].
func (k *Keyring) Seal(ctx context.Context, s Scope, codec store.Codec, data []byte, personal []store.Personal) (sealed []byte, used []store.KeyRef, err error) {
	if len(personal) == 0 {
		return data, nil, nil
	}
	r := sealer{keyring: k, scratch: k.borrow()}
	defer k.giveBack(r.scratch)
	sealed, err = r.seal(ctx, &s, codec, data, personal)
	if err != nil {
		return nil, nil, err
	}
	return sealed, r.used, nil
}

// SealAs is Seal under the very keys that personal names, for values that were opened
// under these: what was forgotten since is not sealed anew under a younger key, but left
// out, as Open leaves it out. A part without a Key is sealed under the key that its subject has now.
func (k *Keyring) SealAs(ctx context.Context, s Scope, codec store.Codec, data []byte, personal []store.Personal) ([]byte, error) {
	if len(personal) == 0 {
		return data, nil
	}
	room := k.borrow()
	defer k.giveBack(room)
	room.begin(k.config.Keys.Realm(), &s, codec)
	return store.ReplaceSpans(codec, data, personal, func(i int, value []byte) ([]byte, error) {
		p := &personal[i]
		key, err := k.named(ctx, store.KeyRef{Subject: subjectOf(s.Stream, p), ID: p.Key})
		if err != nil || key == nil {
			return nil, err
		}
		return room.seal(codec, key, p.Path, value), nil
	})
}

// subjectOf returns whose a part of a stream's data is.
func subjectOf(id store.StreamID, p *store.Personal) string {
	if p.Subject == "" {
		return id.ID
	}
	return p.Subject
}

// sealer seals the values of one piece of data, or of several that are stored together:
// all of a subject under the same key.
type sealer struct {
	keyring *Keyring
	scratch *scratch
	used    []store.KeyRef // each once

	last   *secret
	others map[string]*secret // and the last, once there are two
}

func (r *sealer) seal(ctx context.Context, s *Scope, codec store.Codec, data []byte, personal []store.Personal) ([]byte, error) {
	r.scratch.begin(r.keyring.config.Keys.Realm(), s, codec)
	return store.ReplaceSpans(codec, data, personal, func(i int, value []byte) ([]byte, error) {
		p := &personal[i]
		key, err := r.key(ctx, subjectOf(s.Stream, p))
		if err != nil {
			return nil, err
		}
		return r.scratch.seal(codec, key, p.Path, value), nil
	})
}

// key returns the key of a subject.
func (r *sealer) key(ctx context.Context, subject string) (*secret, error) {
	if r.last != nil && r.last.ref.Subject == subject {
		return r.last, nil
	}
	if known := r.others[subject]; known != nil {
		r.last = known
		return known, nil
	}
	key, err := r.keyring.current(ctx, subject)
	if err != nil {
		return nil, err
	}
	if r.last != nil {
		if r.others == nil {
			r.others = map[string]*secret{r.last.ref.Subject: r.last}
		}
		r.others[subject] = key
	}
	r.last, r.used = key, append(r.used, key.ref)
	return key, nil
}

// current returns the key that a subject has now, and gives it one if it has none.
func (k *Keyring) current(ctx context.Context, subject string) (*secret, error) {
	if err := validateSubject(subject); err != nil {
		return nil, err
	}
	h, err := k.get(ctx, subject, 0, true)
	if err != nil {
		return nil, err
	}
	return h.secret, nil
}

// named returns the key that a reference names, nil if it was erased, and the current
// one if it names none.
func (k *Keyring) named(ctx context.Context, ref store.KeyRef) (*secret, error) {
	if ref.ID == (store.KeyID{}) {
		return k.current(ctx, ref.Subject)
	}
	return k.find(ctx, ref)
}
