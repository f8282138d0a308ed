package privacy

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"github.com/annals-go/annals/store"
)

// keyBytes is the length of all keys: AES-256.
const keyBytes = 32

// secret is a subject's key, ready for use.
type secret struct {
	ref  store.KeyRef
	aead cipher.AEAD

	// raw is the key itself, which snapshots' keys are derived from. It belongs to the
	// keyring's lock, and is cleared when the keyring drops it.
	raw [keyBytes]byte
	// derived is for snapshots of this subject alone; nil until there is one. It belongs to
	// the lock as well.
	derived cipher.AEAD
}

// newSecret takes key over and clears it.
func newSecret(ref store.KeyRef, key []byte) (*secret, error) {
	defer clear(key)
	if len(key) != keyBytes {
		return nil, fmt.Errorf("key %s has %d bytes, want %d", ref.ID, len(key), keyBytes)
	}
	s := &secret{ref: ref, raw: [keyBytes]byte(key)}
	aead, err := newAEAD(s.raw[:])
	if err != nil {
		return nil, err
	}
	s.aead = aead
	return s, nil
}

// newAEAD returns AES-256-GCM under a key.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// drop clears the key. It is called with the keyring's lock.
func (s *secret) drop() {
	if s != nil {
		clear(s.raw[:])
		s.derived = nil
	}
}

// seal appends a fresh nonce and the ciphertext of value to b.
func seal(b []byte, aead cipher.AEAD, value, bound []byte) []byte {
	begin := len(b)
	b = append(b, make([]byte, nonceBytes)...)
	nonce := b[begin:]
	rand.Read(nonce) // never fails: the program ends instead
	return aead.Seal(b, nonce, value, bound)
}

// unseal undoes seal, and appends the value to b.
func unseal(b []byte, aead cipher.AEAD, sealed, bound []byte) ([]byte, bool) {
	if len(sealed) < nonceBytes+tagBytes {
		return nil, false
	}
	value, err := aead.Open(b, sealed[:nonceBytes], sealed[nonceBytes:], bound)
	return value, err == nil
}
