package actor

import (
	"encoding/binary"
	"fmt"

	"github.com/annals-go/annals/store"
)

// recallFormat is the layout of an encoded recall. Another number means that
// the snapshot is alien, and the stream is replayed.
const recallFormat = 1

// encode lays the recall out as little-endian integers and counted strings.
func (r *recall) encode() []byte {
	size := 64 + 64*len(r.window) + len(r.sections)*(sectionBits/8+64)
	out := append(make([]byte, 0, size), recallFormat)
	out = appendHead(out, r.first)
	out = binary.AppendUvarint(out, uint64(len(r.window)))
	for _, m := range r.inOrder() {
		out = append(out, m.key[:]...)
		out = binary.LittleEndian.AppendUint64(out, m.bodyHash)
		out = binary.AppendUvarint(out, m.version)
		out = binary.AppendUvarint(out, uint64(m.position))
		out = binary.AppendUvarint(out, uint64(len(m.events)))
		out = append(out, m.events...)
	}
	out = binary.AppendUvarint(out, uint64(len(r.sections)))
	for i := range r.sections {
		s := &r.sections[i]
		out = appendHead(out, s.after)
		out = binary.AppendUvarint(out, s.last)
		out = binary.AppendUvarint(out, uint64(s.count))
		for _, word := range s.bits {
			out = binary.LittleEndian.AppendUint64(out, word)
		}
	}
	return out
}

func appendHead(out []byte, h store.Head) []byte {
	out = binary.AppendUvarint(out, h.Version)
	out = binary.AppendUvarint(out, h.Sequence)
	return append(out, h.Hash[:]...)
}

// decodeRecall reads what encode wrote. Bytes that it could not have written
// are an error that matches [store.ErrDamaged].
func decodeRecall(data []byte) (*recall, error) {
	d := decoder{rest: data}
	if format := d.bytes(1); d.err == nil && format[0] != recallFormat {
		return nil, fmt.Errorf("%w: memory of commands has format %d, want %d", store.ErrDamaged, format[0], recallFormat)
	}
	r := &recall{first: d.head()}
	for range d.count(windowLen) {
		r.window = append(r.window, d.memo())
	}
	for range d.count(maxSections) {
		r.sections = append(r.sections, d.section())
	}
	if d.err == nil && len(d.rest) > 0 {
		d.fail("%d bytes too many", len(d.rest))
	}
	if d.err != nil {
		return nil, d.err
	}
	return r, nil
}

// decoder reads until the first error, which sticks.
type decoder struct {
	rest []byte
	err  error
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: memory of commands: %s", store.ErrDamaged, fmt.Sprintf(format, args...))
	}
	d.rest = nil
}

func (d *decoder) bytes(n int) []byte {
	if n < 0 || len(d.rest) < n {
		d.fail("ends too early")
		return make([]byte, min(max(n, 0), 64)) // for the fixed fields that are read by index
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail("ends too early")
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) count(limit int) int {
	n := d.uvarint()
	if n > uint64(limit) {
		d.fail("count %d is over %d", n, limit)
		return 0
	}
	return int(n)
}

func (d *decoder) head() store.Head {
	return store.Head{Version: d.uvarint(), Sequence: d.uvarint(), Hash: store.Hash(d.bytes(16))}
}

func (d *decoder) memo() memo {
	return memo{
		key:      commandKey(d.bytes(16)),
		bodyHash: binary.LittleEndian.Uint64(d.bytes(8)),
		version:  d.uvarint(),
		position: store.Position(d.uvarint()),
		events:   string(d.bytes(d.count(1 << 20))),
	}
}

func (d *decoder) section() section {
	s := section{after: d.head(), last: d.uvarint(), count: d.count(1 << 30)}
	s.bits = make([]uint64, sectionBits/64)
	for i := range s.bits {
		s.bits[i] = binary.LittleEndian.Uint64(d.bytes(8))
	}
	return s
}
