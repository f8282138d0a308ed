package store

import "fmt"

// SnapshotParts stands where a snapshot would be that a store keeps in parts,
// each under a name that has the generation and its number, from 0. The parts in
// their order are what [EncodeSnapshot] returned. It is written last, so that a
// snapshot is replaced in one step.
type SnapshotParts struct {
	Stream StreamID
	// Generation tells the parts of one snapshot from those of another of the
	// same stream: 1 to 64 letters, digits and hyphens.
	Generation string
	// Parts is how many there are, Bytes how many bytes they have together.
	Parts, Bytes int
}

const (
	// partsMark stands where a snapshot has the number of its layout.
	partsMark   = "parts"
	partsFields = 7
)

// Encode returns the bytes to store, which have a check sum.
//
//	["parts", type, id, generation, parts, bytes, sum]
func (p SnapshotParts) Encode() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	b := appendArray(make([]byte, 0, 64+len(p.Stream.Type)+len(p.Stream.ID)+len(p.Generation)), partsFields)
	b = appendText(b, partsMark)
	b = appendText(b, p.Stream.Type)
	b = appendText(b, p.Stream.ID)
	b = appendText(b, p.Generation)
	b = appendUint(b, uint64(p.Parts))
	b = appendUint(b, uint64(p.Bytes))
	return appendSum(b), nil
}

// DecodeSnapshotParts reads what [SnapshotParts.Encode] wrote, of the stream id.
// ok is false if the bytes are something else, such as a whole snapshot. They may
// come from anywhere; the error matches [ErrDamaged].
func DecodeSnapshotParts(id StreamID, stored []byte) (p SnapshotParts, ok bool, err error) {
	u := unpacker{data: stored}
	if u.array(partsFields) != partsFields || u.code() != 0xa0|byte(len(partsMark)) || string(u.take(len(partsMark))) != partsMark {
		return p, false, nil
	}
	if err = p.unpack(stored, u.pos); err == nil {
		err = p.validate()
	}
	if err == nil && p.Stream != id {
		err = fmt.Errorf("the parts kept for %s are of %s", id, p.Stream)
	}
	if err != nil {
		return SnapshotParts{}, true, fmt.Errorf("%w: snapshot in parts: %w", ErrDamaged, err)
	}
	return p, true, nil
}

func (p *SnapshotParts) unpack(stored []byte, from int) error {
	body, ok := cutSum(stored)
	if !ok {
		return errSum
	}
	u := unpacker{data: body, pos: from}
	u.beginTexts()
	p.Stream.Type = u.string()
	p.Stream.ID = u.string()
	p.Generation = u.string()
	p.Parts = u.int(MaxSnapshotBytes)
	p.Bytes = u.int(MaxSnapshotBytes)
	return u.finish()
}

func (p SnapshotParts) validate() error {
	if err := p.Stream.Validate(); err != nil {
		return err
	}
	switch {
	case !isGeneration(p.Generation):
		return &InvalidError{What: "generation", Value: p.Generation, Reason: "want 1 to 64 letters, digits and hyphens"}
	case p.Parts < 1 || p.Bytes < p.Parts || p.Bytes > MaxSnapshotBytes:
		return &InvalidError{What: "parts of snapshot", Value: p.Stream.String(), Reason: fmt.Sprintf("%d of %d bytes", p.Parts, p.Bytes)}
	}
	return nil
}

func isGeneration(g string) bool {
	for _, b := range []byte(g) {
		if (b < 'a' || b > 'z') && (b < 'A' || b > 'Z') && (b < '0' || b > '9') && b != '-' {
			return false
		}
	}
	return g != "" && len(g) <= MaxNameBytes
}
