package privacy

import (
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// scratch is room that sealing and opening need while they run, used again and again
// instead of being allocated for each value. It belongs to one call at a time.
type scratch struct {
	bound    binding // what a value is bound to: its scope, and behind that its own part
	scope    int     // how long the former is
	envelope []byte
	form     []byte
	plain    []byte // values that were opened, one behind the other
	opener   opener
}

// maxScratch is how much is kept for the next call, in bytes of each part.
const maxScratch = 64 << 10

// borrow returns room for the values of one piece of data after the other.
func (k *Keyring) borrow() *scratch {
	if s, ok := k.scratches.Get().(*scratch); ok {
		return s
	}
	return new(scratch)
}

// giveBack ends what borrow began. Nothing of what was opened stays behind.
func (k *Keyring) giveBack(s *scratch) {
	clear(s.plain)
	s.plain, s.opener = s.plain[:0], opener{}
	if max(cap(s.bound), cap(s.envelope), cap(s.form), cap(s.plain)) <= maxScratch {
		k.scratches.Put(s)
	}
}

// begin is called for each piece of data.
func (s *scratch) begin(realm uuid.UUID, at *Scope, codec store.Codec) {
	s.bound = s.bound[:0].scope(realm, at, codec)
	s.scope = len(s.bound)
}

// binding returns what a value is bound to, until it is called again.
func (s *scratch) binding(path string, ref *store.KeyRef) binding {
	s.bound = s.bound[:s.scope].text(path, ref.Subject).bytes(ref.ID[:])
	return s.bound
}

// seal returns what is stored of a value, until it is called again.
func (s *scratch) seal(codec store.Codec, key *secret, path string, value []byte) []byte {
	s.envelope = appendEnvelopeHead(s.envelope[:0], key.ref)
	s.envelope = seal(s.envelope, key.aead, value, s.binding(path, &key.ref))
	s.form = store.AppendSealedForm(s.form[:0], codec, s.envelope)
	return s.form
}

// open returns the value in an envelope, until the room is given back.
func (s *scratch) open(key *secret, path string, e *envelope) ([]byte, bool) {
	begin := len(s.plain)
	plain, ok := unseal(s.plain, key.aead, e.sealed, s.binding(path, &e.ref))
	if !ok {
		return nil, false
	}
	s.plain = plain
	return plain[begin:len(plain):len(plain)], true
}
