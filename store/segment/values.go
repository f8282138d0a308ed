package segment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/annals-go/annals/store"
)

// A file of values is laid out as a file of commits is, with another magic and no
// codec: frames of (key length, key, value length, value), each value whole, and
// an index of the frames.
const (
	valuesMagic = "ANNALSva"
	// MaxKeyBytes and MaxValueBytes are the largest key and value of a file of
	// values: a snapshot, with room for what is around it.
	MaxKeyBytes     = 1024
	MaxValueBytes   = 65 << 20
	maxValuesRaw    = frameBytes + MaxKeyBytes + MaxValueBytes + recordOverhead
	frameEntryBytes = 3 + len(Sum{})
)

// ValueWriter writes a file of values, each under a key: what is kept beside the
// log. It belongs to one goroutine. An error of the writer that it was given is
// final.
type ValueWriter struct {
	out     *sink
	zip     *zstd.Encoder
	raw     []byte
	count   int
	frames  []frame
	values  uint64
	failure error
}

// NewValueWriter returns a writer of a file of values. It closes nothing: w is the
// caller's.
func NewValueWriter(w io.Writer) *ValueWriter {
	f := &ValueWriter{out: newSink(w)}
	if f.zip, f.failure = newSqueezer(); f.failure == nil {
		f.failure = f.out.write(append([]byte(valuesMagic), format))
	}
	return f
}

// Add adds a value. Keys may come in any order and again. The error matches
// [store.ErrTooLarge] if key or value are over their limit; others are final.
func (w *ValueWriter) Add(key string, value []byte) error {
	switch {
	case w.failure != nil:
		return w.failure
	case len(key) > MaxKeyBytes:
		return &store.TooLargeError{What: "key", Size: len(key), Limit: MaxKeyBytes}
	case len(value) > MaxValueBytes:
		return &store.TooLargeError{What: "value of " + key, Size: len(value), Limit: MaxValueBytes}
	}
	w.raw = appendText(w.raw, key)
	w.raw = append(binary.AppendUvarint(w.raw, uint64(len(value))), value...)
	w.count++
	w.values++
	if len(w.raw) >= frameBytes {
		w.failure = w.flush()
	}
	return w.failure
}

func (w *ValueWriter) flush() error {
	packed := w.zip.EncodeAll(w.raw, nil)
	w.frames = append(w.frames, frame{offset: w.out.offset, size: int64(len(packed)), raw: len(w.raw), count: w.count, sum: sha256.Sum256(packed)})
	w.raw, w.count = w.raw[:0], 0
	return w.out.write(packed)
}

// Close ends the file and returns how many values are in it, its size and its
// sum. A file without values is a file.
func (w *ValueWriter) Close() (values uint64, size int64, sum Sum, err error) {
	if w.failure == nil && w.count > 0 {
		w.failure = w.flush()
	}
	if w.failure == nil {
		sum, w.failure = w.out.end(w.zip, w.index())
	}
	if w.failure != nil {
		return 0, 0, sum, w.failure
	}
	w.failure = &store.InvalidError{What: "file of values", Reason: "it is closed"}
	return w.values, w.out.offset, sum, nil
}

func (w *ValueWriter) index() []byte {
	b := binary.AppendUvarint(nil, uint64(len(w.frames)))
	for _, f := range w.frames {
		for _, n := range []uint64{uint64(f.size), uint64(f.raw), uint64(f.count)} {
			b = binary.AppendUvarint(b, n)
		}
		b = append(b, f.sum[:]...)
	}
	return b
}

// Values yields the keys and values of a file of the given size, in the order in
// which they were added, and checks all of it but the sum of the whole, which it
// compares with want. They belong to the caller. The last pair has the error, if
// any; it matches [store.ErrDamaged] if the file is not what was written.
func Values(file io.ReaderAt, size int64, want Sum) iter.Seq2[Value, error] {
	return func(yield func(Value, error) bool) {
		z, frames, err := openValues(file, size, want)
		if err != nil {
			yield(Value{}, err)
			return
		}
		defer z.Close()
		for k := range frames {
			if !yieldValues(file, z, &frames[k], k, yield) {
				return
			}
		}
	}
}

// Value is one value of a file.
type Value struct {
	Key  string
	Data []byte
}

func openValues(file io.ReaderAt, size int64, want Sum) (*zstd.Decoder, []frame, error) {
	end, err := readTrailer(file, size)
	if err != nil {
		return nil, nil, err
	}
	if end.sum != want {
		return nil, nil, damaged("its check sum is %s, it was %s", end.sum, want)
	}
	begin := make([]byte, len(valuesMagic)+1)
	if _, err := file.ReadAt(begin, 0); err != nil {
		return nil, nil, err
	}
	if string(begin) != valuesMagic+string(rune(format)) {
		return nil, nil, damaged("it is no file of values of format %d", format)
	}
	z, err := newExpander()
	if err != nil {
		return nil, nil, err
	}
	frames, err := valueFrames(file, z, end, int64(len(begin)))
	if err != nil {
		z.Close()
		return nil, nil, err
	}
	return z, frames, nil
}

func valueFrames(file io.ReaderAt, z *zstd.Decoder, end trailer, begin int64) ([]frame, error) {
	data, err := end.load(file, z)
	if err != nil {
		return nil, err
	}
	c := &cursor{data: data}
	frames := make([]frame, c.count(frameEntryBytes))
	for k := range frames {
		f := &frames[k]
		f.offset, f.size, f.raw, f.count = begin, int64(c.uint()), int(c.uint()), int(c.uint())
		copy(f.sum[:], c.take(uint64(len(f.sum))))
		if f.size < 0 || f.size > 2*maxValuesRaw || f.raw < 0 || f.raw > maxValuesRaw || int64(f.raw) > maxRatio*maxRatio*f.size {
			c.fail()
		}
		begin += f.size
	}
	if c.err != nil || len(c.data) > 0 || begin != end.index {
		return nil, damaged("the frames in its index are not those of the file")
	}
	return frames, nil
}

// yieldValues yields the values of a frame, and reports whether to go on.
func yieldValues(file io.ReaderAt, z *zstd.Decoder, f *frame, k int, yield func(Value, error) bool) bool {
	packed := make([]byte, f.size)
	_, err := file.ReadAt(packed, f.offset)
	var raw []byte
	if err == nil {
		raw, err = expand(z, packed, f.sum, f.raw)
	}
	if err != nil {
		yield(Value{}, damaged("frame %d at byte %d: %v", k, f.offset, err))
		return false
	}
	c := cursor{data: raw}
	count := 0
	for ; len(c.data) > 0 && c.err == nil; count++ {
		v := Value{Key: c.text()}
		v.Data = c.take(c.uint())
		if c.err == nil && !yield(v, nil) {
			return false
		}
	}
	if c.err != nil || count != f.count {
		yield(Value{}, damaged("frame %d at byte %d: %v", k, f.offset, fmt.Errorf("it does not hold what its index says")))
		return false
	}
	return true
}
