package segment

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/annals-go/annals/store"
)

// The index of a file: what is in it, its frames, its streams. All numbers are
// varints, those that grow as differences.

func (t *tally) index() []byte {
	i := &t.info
	var b []byte
	for _, n := range []uint64{uint64(i.First), uint64(i.Last), i.Commits, i.Events, uint64(i.Raw)} {
		b = binary.AppendUvarint(b, n)
	}
	b = binary.AppendVarint(b, i.From.UnixMicro())
	b = binary.AppendVarint(b, i.To.UnixMicro())
	b = binary.AppendUvarint(b, uint64(len(t.frames)))
	for _, f := range t.frames {
		for _, n := range []uint64{uint64(f.size), uint64(f.raw), f.first, f.last - f.first, uint64(f.count)} {
			b = binary.AppendUvarint(b, n)
		}
		b = append(b, f.sum[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(t.spans)))
	for k := range t.spans {
		b = t.spans[k].append(b)
	}
	return b
}

func (s *span) append(b []byte) []byte {
	b = appendText(b, s.Stream.Type)
	b = appendText(b, s.Stream.ID)
	b = appendHead(b, s.Before)
	b = appendHead(b, s.Last)
	for _, n := range []uint64{s.First, s.End - s.First, s.Commits, uint64(len(s.frames))} {
		b = binary.AppendUvarint(b, n)
	}
	before := uint32(0)
	for _, f := range s.frames {
		b = binary.AppendUvarint(b, uint64(f-before))
		before = f
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendHead(b []byte, h store.Head) []byte {
	b = binary.AppendUvarint(b, h.Version)
	b = binary.AppendUvarint(b, h.Sequence)
	return append(b, h.Hash[:]...)
}

var errShort = errors.New("it ends too early")

// cursor reads what the functions above wrote. Nothing it reads is believed: a
// length is compared with what is there, and after an error all is zero.
type cursor struct {
	data []byte
	err  error
}

func (c *cursor) fail() {
	if c.err == nil {
		c.err = errShort
	}
	c.data = nil
}

func (c *cursor) uint() uint64 {
	n, size := binary.Uvarint(c.data)
	if size <= 0 {
		c.fail()
		return 0
	}
	c.data = c.data[size:]
	return n
}

func (c *cursor) int() int64 {
	n, size := binary.Varint(c.data)
	if size <= 0 {
		c.fail()
		return 0
	}
	c.data = c.data[size:]
	return n
}

// count reads how many parts follow, of at least so many bytes each.
func (c *cursor) count(least int) int {
	n := c.uint()
	if n > uint64(len(c.data)/least) {
		c.fail()
		return 0
	}
	return int(n)
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.fail()
		return nil
	}
	b := c.data[:n:n]
	c.data = c.data[n:]
	return b
}

func (c *cursor) text() string { return string(c.take(c.uint())) }

func (c *cursor) head() (h store.Head) {
	h.Version, h.Sequence = c.uint(), c.uint()
	copy(h.Hash[:], c.take(uint64(len(h.Hash))))
	return h
}

// readIndex reads an index whose frames begin at an offset of the file and end
// where the index begins.
func readIndex(data []byte, begin, end int64) (*tally, error) {
	c := &cursor{data: data}
	t := newTally()
	i := &t.info
	i.First, i.Last = store.Position(c.uint()), store.Position(c.uint())
	i.Commits, i.Events, i.Raw = c.uint(), c.uint(), int64(c.uint())
	i.From, i.To = time.UnixMicro(c.int()).UTC(), time.UnixMicro(c.int()).UTC()
	t.frames = make([]frame, c.count(5+len(Sum{})))
	for k := range t.frames {
		begin = t.frames[k].read(c, begin)
	}
	if c.err == nil && (begin != end || len(t.frames) > maxFrames || !t.framesFit()) {
		return nil, damaged("the frames in its index are not those of the file")
	}
	t.spans = make([]span, c.count(2*18+8))
	i.Streams = len(t.spans)
	for k := range t.spans {
		s := &t.spans[k]
		if s.read(c, len(t.frames)); c.err != nil {
			break
		}
		t.number[s.Stream] = k
	}
	switch {
	case c.err != nil:
		return nil, damaged("index: %v", c.err)
	case len(c.data) > 0 || len(t.number) != len(t.spans):
		return nil, damaged("index: it has more than it says")
	}
	return t, nil
}

func (f *frame) read(c *cursor, offset int64) (next int64) {
	f.offset, f.size, f.raw = offset, int64(c.uint()), int(c.uint())
	f.first = c.uint()
	f.last = f.first + c.uint()
	f.count = int(c.uint())
	copy(f.sum[:], c.take(uint64(len(f.sum))))
	if f.size < 0 || f.size > 2*maxFrameRaw || f.raw < 0 || f.raw > maxFrameRaw || f.count < 0 || f.count > f.raw {
		c.fail()
	}
	return offset + f.size
}

// framesFit reports whether the frames follow each other.
func (t *tally) framesFit() bool {
	last := uint64(0)
	for _, f := range t.frames {
		if f.first <= last || f.last < f.first || f.count == 0 {
			return false
		}
		last = f.last
	}
	return len(t.frames) > 0
}

func (s *span) read(c *cursor, frames int) {
	s.Stream = store.StreamID{Type: c.text(), ID: c.text()}
	s.Before, s.Last = c.head(), c.head()
	s.First = c.uint()
	s.End = s.First + c.uint()
	s.Commits = c.uint()
	s.frames = make([]uint32, c.count(1))
	before := uint64(0)
	for k := range s.frames {
		n := before + c.uint()
		if n >= uint64(frames) || k > 0 && n <= before {
			c.fail()
			return
		}
		s.frames[k], before = uint32(n), n
	}
}
