package privacy

import (
	"context"
	"slices"

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
	if err := k.few(countSubjects(s.Stream, personal, k.config.Subjects)); err != nil {
		return nil, nil, err
	}
	r := sealer{keyring: k, scratch: k.borrow()}
	defer k.giveBack(r.scratch)
	sealed, err = r.seal(ctx, &s, codec, data, personal)
	if err != nil {
		return nil, nil, err
	}
	return sealed, r.used, nil
}

// few refuses what would have data of too many subjects.
func (k *Keyring) few(subjects int) error {
	if subjects > k.config.Subjects {
		return &store.TooLargeError{What: "count of data subjects", Limit: k.config.Subjects}
	}
	return nil
}

// countSubjects counts whose the parts are, up to one above that many.
func countSubjects(id store.StreamID, personal []store.Personal, most int) int {
	if len(personal) <= most {
		return len(personal) // or fewer
	}
	var subjects []string
	for i := range personal {
		if subject := subjectOf(id, &personal[i]); len(subjects) <= most && !slices.Contains(subjects, subject) {
			subjects = append(subjects, subject)
		}
	}
	return len(subjects)
}

// SealAs is Seal under the very keys that personal names, for values that were opened
// under these: what was forgotten since is not sealed anew under a younger key, but left
// out, as Open leaves it out. It makes no keys: a part without a Key is sealed under the key that its
// subject has now, and left out if it had one and has none. Of a subject that never had one, it is
// refused with [store.ErrInvalid].
func (k *Keyring) SealAs(ctx context.Context, s Scope, codec store.Codec, data []byte, personal []store.Personal) ([]byte, error) {
	if len(personal) == 0 {
		return data, nil
	}
	room := k.borrow()
	defer k.giveBack(room)
	room.begin(k.config.Keys.Realm(), &s, codec)
	return store.ReplaceSpans(codec, data, personal, func(i int, value []byte) ([]byte, error) {
		p := &personal[i]
		key, err := k.named(ctx, store.KeyRef{Subject: subjectOf(s.Stream, p), ID: p.Key}, p.Path)
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
	if err := validatePerson(subject); err != nil {
		return nil, err
	}
	h, err := k.get(ctx, subject, 0, true)
	if err != nil {
		return nil, err
	}
	return h.secret, nil
}

// named returns the key that a reference names, nil if it was erased. If it names none, that is the
// one that the subject has, nil if it has none any more.
func (k *Keyring) named(ctx context.Context, ref store.KeyRef, path string) (*secret, error) {
	if ref.ID != (store.KeyID{}) {
		return k.find(ctx, ref)
	}
	if err := validateSubject(ref.Subject); err != nil {
		return nil, err
	}
	before := k.now()
	h, err := k.get(ctx, ref.Subject, 0, false)
	if err == nil && h.secret == nil && h.round <= before {
		h, err = k.get(ctx, ref.Subject, before, false) // it may have one since
	}
	if err != nil {
		return nil, err
	}
	if h.secret == nil && len(h.erased) == 0 {
		return nil, &store.InvalidError{What: "personal value", Value: path, Reason: "nothing personal of its subject was ever stored, so there is no key to seal it under"}
	}
	return h.secret, nil
}
