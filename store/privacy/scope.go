package privacy

import (
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// The kinds of data that have personal values in them.
const (
	KindEvent    = "event"
	KindCommand  = "command"
	KindDocument = "document"
	KindEdit     = "edit"
)

// Scope is where data belong. Values are sealed to it: in another place, they cannot
// be opened.
type Scope struct {
	// Kind is one of the constants above.
	Kind string
	// Stream is whose data they are; of a document, the view's name and its key. Its ID
	// is the subject of values that name none. An edit is what stands in, for one view,
	// for the data of an event of the stream.
	Stream store.StreamID
	// Event is the event's id; zero for others.
	Event uuid.UUID
	// Command is the command's id, of a command.
	Command string
	// Type is the wire name, Schema the version of its schema.
	Type   string
	Schema int
}

// sealing is what every authenticated text begins with. Another layout gets another one.
const sealing = "annals 1"

// A binding is what a ciphertext is bound to: parts, each behind its length, so that no
// two lists of parts make the same bytes.
type binding []byte

func (b binding) text(parts ...string) binding {
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	return b
}

func (b binding) bytes(part []byte) binding {
	b = binary.AppendUvarint(b, uint64(len(part)))
	return append(b, part...)
}

func (b binding) number(n uint64) binding {
	return binary.BigEndian.AppendUint64(binary.AppendUvarint(b, 8), n)
}

// scope is the part that the values of one piece of data have in common. Behind it come
// a value's path, and its key.
func (b binding) scope(realm uuid.UUID, s *Scope, codec store.Codec) binding {
	b = b.text(sealing).bytes(realm[:]).text(s.Kind, codec.Name(), s.Stream.Type, s.Stream.ID).bytes(s.Event[:])
	return b.text(s.Command, s.Type).number(uint64(s.Schema))
}

// keyBinding is what a subject's key is bound to while it is wrapped.
func keyBinding(realm uuid.UUID, ref store.KeyRef) []byte {
	return binding(nil).text("annals key 1").bytes(realm[:]).text(ref.Subject).bytes(ref.ID[:])
}
