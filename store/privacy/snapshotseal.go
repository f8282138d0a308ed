package privacy

import (
	"bytes"
	"cmp"
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/annals-go/annals/store"
)

// A sealed state begins with these bytes, which no encoded value begins with: msgpack
// never uses the first, and text cannot. Behind them:
//
//	uvarint count | count times: key id, 16 bytes, uvarint length and subject | nonce | ciphertext and tag
//
// In the ciphertext: uvarint length and state | memory.
var sealedState = [...]byte{0xc1, 'a', 's', 1}

// maxSnapshotKeys bounds the subjects whose data a snapshot may hold, and so what stands
// in front of the ciphertext: some 600 KiB at most.
const maxSnapshotKeys = 4096

func isSealedState(state []byte) bool { return bytes.HasPrefix(state, sealedState[:]) }

// seal returns a copy of a snapshot without anything readable in it but its keys' names.
func (s *Snapshots) seal(ctx context.Context, snap *store.Snapshot) (*store.Snapshot, error) {
	if len(snap.Keys) == 0 {
		if isSealedState(snap.State) {
			return nil, &store.InvalidError{What: "snapshot of", Value: snap.Stream.String(), Reason: "its state begins as a sealed one does"}
		}
		return snap, nil
	}
	refs := slices.Clone(snap.Keys)
	slices.SortFunc(refs, compareRefs)
	refs = slices.Compact(refs)
	if len(refs) > maxSnapshotKeys {
		return nil, &store.TooLargeError{What: "count of data subjects in a snapshot", Size: len(refs), Limit: maxSnapshotKeys}
	}
	if size := len(snap.State) + len(snap.Memory); size > store.MaxSnapshotBytes {
		return nil, &store.TooLargeError{What: "snapshot of " + snap.Stream.String(), Size: size, Limit: store.MaxSnapshotBytes}
	}
	head := appendStateHead(nil, refs)
	aead, err := s.keys.derive(ctx, refs)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, 0, binary.MaxVarintLen64+len(snap.State)+len(snap.Memory))
	plain = binary.AppendUvarint(plain, uint64(len(snap.State)))
	plain = append(append(plain, snap.State...), snap.Memory...)
	state := make([]byte, 0, len(head)+nonceBytes+len(plain)+tagBytes)
	state = seal(append(state, head...), aead, plain, s.binding(snap, head))
	sealed := *snap
	sealed.State, sealed.Memory, sealed.Keys = state, nil, nil
	return &sealed, nil
}

// open puts what was sealed in the place of what is. The error matches
// [store.ErrNotFound] if a key was erased.
func (s *Snapshots) open(ctx context.Context, snap *store.Snapshot) error {
	refs, rest, err := parseStateHead(snap.State)
	if err != nil {
		return &SealError{Reason: err.Error()}
	}
	aead, err := s.keys.derive(ctx, refs)
	if err != nil {
		return notFoundIfErased(err)
	}
	head := snap.State[:len(snap.State)-len(rest)]
	plain, ok := unseal(nil, aead, rest, s.binding(snap, head))
	if !ok {
		return &SealError{Reason: "the state was not sealed in this place, or was changed"}
	}
	n, read := binary.Uvarint(plain)
	if read <= 0 || n > uint64(len(plain)-read) {
		return &SealError{Reason: "the state is cut off"}
	}
	plain = plain[read:]
	snap.State, snap.Memory, snap.Keys = plain[:n:n], plain[n:], refs
	return nil
}

func compareRefs(a, b store.KeyRef) int {
	return cmp.Or(strings.Compare(a.Subject, b.Subject), bytes.Compare(a.ID[:], b.ID[:]))
}

func appendStateHead(b []byte, refs []store.KeyRef) []byte {
	b = append(b, sealedState[:]...)
	b = binary.AppendUvarint(b, uint64(len(refs)))
	for _, ref := range refs {
		b = append(b, ref.ID[:]...)
		b = binary.AppendUvarint(b, uint64(len(ref.Subject)))
		b = append(b, ref.Subject...)
	}
	return b
}

// parseStateHead reads the names of the keys. The bytes may come from anywhere.
func parseStateHead(state []byte) (refs []store.KeyRef, rest []byte, err error) {
	rest = state[len(sealedState):]
	count, read := binary.Uvarint(rest)
	if read <= 0 || count == 0 || count > maxSnapshotKeys {
		return nil, nil, fmt.Errorf("the state names no keys, or too many")
	}
	rest = rest[read:]
	for range count {
		var ref store.KeyRef
		if len(rest) <= len(ref.ID) {
			return nil, nil, fmt.Errorf("the state is cut off")
		}
		copy(ref.ID[:], rest)
		rest = rest[len(ref.ID):]
		n, read := binary.Uvarint(rest)
		if read <= 0 || n > uint64(len(rest)-read) {
			return nil, nil, fmt.Errorf("the state is cut off")
		}
		ref.Subject, rest = string(rest[read:read+int(n)]), rest[read+int(n):]
		if err := validateSubject(ref.Subject); err != nil {
			return nil, nil, err
		}
		refs = append(refs, ref)
	}
	return refs, rest, nil
}

// binding is what a state is bound to: its stream, the end of the prefix that was folded,
// its schema, and all that stands in front of it.
func (s *Snapshots) binding(snap *store.Snapshot, head []byte) []byte {
	realm := s.keys.config.Keys.Realm()
	b := make(binding, 0, 256+len(head)).text(sealing).bytes(realm[:]).text("snapshot", snap.Stream.Type, snap.Stream.ID)
	b = b.number(snap.Head.Version).number(snap.Head.Sequence).bytes(snap.Head.Hash[:]).number(uint64(snap.Position))
	return b.number(uint64(snap.Time.UnixMicro())).number(snap.Epoch).number(uint64(snap.Schema)).bytes(head)
}

// derive returns the cipher under the key that only who has all of these keys can have.
// The references must be sorted. The error matches [store.ErrErased] if one is erased.
func (k *Keyring) derive(ctx context.Context, refs []store.KeyRef) (cipher.AEAD, error) {
	if aead := k.derivedHeld(refs); aead != nil {
		return aead, nil
	}
	k.mu.Lock()
	subjects := k.missing(refs)
	k.mu.Unlock()
	k.warm(ctx, subjects, false)
	all := make([]byte, 0, len(refs)*keyBytes)
	defer func() { clear(all) }()
	for _, ref := range refs {
		var err error
		if all, err = k.appendRaw(ctx, all, ref); err != nil {
			return nil, err
		}
	}
	realm := k.config.Keys.Realm()
	derived, err := hkdf.Key(sha256.New, all, realm[:], "annals 1 snapshot", keyBytes)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	aead, err := newAEAD(derived)
	if err == nil {
		k.holdDerived(refs, aead)
	}
	return aead, err
}

// derivedHeld returns what holdDerived was given, as long as the key holds.
func (k *Keyring) derivedHeld(refs []store.KeyRef) cipher.AEAD {
	if len(refs) > 1 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, _ := k.lookup(refs[0]); s != nil {
		return s.derived
	}
	return nil
}

// holdDerived keeps the cipher of snapshots of one subject, as most are, with the key that
// it was derived from: it goes when that goes.
func (k *Keyring) holdDerived(refs []store.KeyRef, aead cipher.AEAD) {
	if len(refs) > 1 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, _ := k.lookup(refs[0]); s != nil {
		s.derived = aead
	}
}

// appendRaw adds the key that a reference names, as it is. b has room for it.
func (k *Keyring) appendRaw(ctx context.Context, b []byte, ref store.KeyRef) ([]byte, error) {
	for range loadTries {
		all, known, err := k.appendHeld(b, ref)
		if known {
			return all, err
		}
		if _, err := k.find(ctx, ref); err != nil {
			return b, err
		}
	}
	return b, fmt.Errorf("%w: key %s is dropped all the time", store.ErrUnavailable, ref.ID)
}

// appendHeld is appendRaw without asking anybody; known says whether that sufficed. A
// key is cleared under the same lock.
func (k *Keyring) appendHeld(b []byte, ref store.KeyRef) (all []byte, known bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, known := k.lookup(ref)
	switch {
	case !known:
		return b, false, nil
	case s == nil:
		return b, true, erasedError(ref)
	}
	return append(b, s.raw[:]...), true, nil
}

// notFoundIfErased makes of an erased key what it means for a cache.
func notFoundIfErased(err error) error {
	if errors.Is(err, store.ErrErased) {
		return fmt.Errorf("%w: %s", store.ErrNotFound, err.Error())
	}
	return err
}
