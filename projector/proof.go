package projector

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// Hash is 16 bytes, written as 32 hexadecimal digits.
type Hash [16]byte

// String prints the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("hash of %d digits, want %d", len(text), hex.EncodedLen(len(h)))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Proof says which events were applied and in which order, so that an event
// that was skipped, doubled or moved can be shown afterwards: whoever adds the
// same events of the log in the same order gets the same proof. The zero Proof
// is that of no event.
type Proof struct {
	// Events is how many events were applied.
	Events uint64 `json:"events"`
	// Hash chains them: each event makes it the first 16 bytes of the SHA-256 of
	// the hash before, the event's position (8 bytes, big-endian) and its id.
	Hash Hash `json:"hash"`
}

// Add takes in the next event.
func (p *Proof) Add(position store.Position, id uuid.UUID) {
	var link [len(p.Hash) + 8 + len(id)]byte
	n := copy(link[:], p.Hash[:])
	binary.BigEndian.PutUint64(link[n:], uint64(position))
	copy(link[n+8:], id[:])
	sum := sha256.Sum256(link[:])
	copy(p.Hash[:], sum[:])
	p.Events++
}
