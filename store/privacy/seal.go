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
	secrets := map[string]*secret{} // one value's key is that of all of a subject
	bound := scopeBinding(k.config.Keys.Realm(), s, codec)
	sealed, err = store.ReplaceSpans(codec, data, personal, func(i int, value []byte) ([]byte, error) {
		p := &personal[i]
		subject := subjectOf(s, p)
		secret := secrets[subject]
		if secret == nil {
			if secret, err = k.current(ctx, subject); err != nil {
				return nil, err
			}
			secrets[subject] = secret
			used = append(used, secret.ref)
		}
		return store.SealedForm(codec, secret.envelope(bound, p.Path, value)), nil
	})
	if err != nil {
		return nil, nil, err
	}
	return sealed, used, nil
}

// SealAs is Seal under the very keys that personal names, for values that were opened
// under these: what was forgotten since is not sealed anew under a younger key, but left
// out, as Open leaves it out. A part without a Key is sealed under the key that its subject has now.
func (k *Keyring) SealAs(ctx context.Context, s Scope, codec store.Codec, data []byte, personal []store.Personal) ([]byte, error) {
	if len(personal) == 0 {
		return data, nil
	}
	bound := scopeBinding(k.config.Keys.Realm(), s, codec)
	return store.ReplaceSpans(codec, data, personal, func(i int, value []byte) ([]byte, error) {
		p := &personal[i]
		secret, err := k.named(ctx, store.KeyRef{Subject: subjectOf(s, p), ID: p.Key})
		if err != nil || secret == nil {
			return nil, err
		}
		return store.SealedForm(codec, secret.envelope(bound, p.Path, value)), nil
	})
}

// subjectOf returns whose a part of data is.
func subjectOf(s Scope, p *store.Personal) string {
	if p.Subject == "" {
		return s.Stream.ID
	}
	return p.Subject
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

// envelope seals one value.
func (s *secret) envelope(bound binding, path string, value []byte) []byte {
	e := make([]byte, 0, overhead+len(s.ref.Subject)+len(value))
	e = appendEnvelopeHead(e, s.ref)
	return seal(e, s.aead, value, bound.value(path, s.ref))
}
