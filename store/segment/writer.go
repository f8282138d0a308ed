package segment

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/annals-go/annals/store"
)

// Writer writes one file. It belongs to one goroutine. An error of the writer
// that it was given is final.
type Writer struct {
	out     *sink
	codec   store.Codec
	zip     *zstd.Encoder
	tally   *tally
	raw     []byte // of the open frame
	packed  []byte // reused
	open    frame
	failure error
}

// NewWriter returns a writer of a file with the commits of a log that has the
// codec. It closes nothing: w is the caller's.
func NewWriter(w io.Writer, codec store.Codec) *Writer {
	f := &Writer{out: newSink(w), codec: codec, tally: newTally()}
	if f.zip, f.failure = newSqueezer(); f.failure == nil {
		f.failure = f.out.write(header(codec))
	}
	return f
}

// Add adds a commit as a log returned it. What is kept are the bytes that the log
// stores. c is not kept. Errors:
//   - [store.ErrInvalid]: c does not come after the last commit in the total
//     order, or cannot be encoded.
//   - [store.ErrDamaged]: it does not follow the last commit of its stream in this
//     file, or its bytes are not those that its hash is of.
//   - any other: the file cannot be written.
func (w *Writer) Add(c *store.Commit) error {
	if w.failure != nil {
		return w.failure
	}
	if err := w.tally.check(c); err != nil {
		return err
	}
	stored, err := store.EncodeCommit(w.codec, c)
	if err != nil {
		return err
	}
	if got := store.HashOf(stored); got != c.Hash {
		return &store.DamageError{
			Stream: c.Stream, Version: c.After.Version + 1, Sequence: c.Sequence, Reason: fmt.Sprintf("its bytes have the hash %s, it has %s", got, c.Hash),
		}
	}
	number := w.tally.add(c, len(w.tally.frames))
	for _, n := range []uint64{uint64(number), c.Sequence, c.Local, uint64(len(stored))} {
		w.raw = binary.AppendUvarint(w.raw, n)
	}
	w.raw = append(w.raw, stored...)
	w.tally.info.Raw += int64(len(stored))
	if w.open.count == 0 {
		w.open.first = c.Sequence
	}
	w.open.last = c.Sequence
	if w.open.count++; len(w.raw) >= frameBytes {
		w.failure = w.flush()
	}
	return w.failure
}

// Raw returns how many bytes of commits were added, uncompressed.
func (w *Writer) Raw() int64 { return w.tally.info.Raw }

// flush writes the open frame.
func (w *Writer) flush() error {
	w.packed = w.zip.EncodeAll(w.raw, w.packed[:0])
	f := w.open
	f.offset, f.size, f.raw, f.sum = w.out.offset, int64(len(w.packed)), len(w.raw), sha256.Sum256(w.packed)
	w.tally.frames = append(w.tally.frames, f)
	w.raw, w.open = w.raw[:0], frame{}
	return w.out.write(w.packed)
}

// Close ends the file and says what is in it. A file without commits is refused
// with [store.ErrInvalid].
func (w *Writer) Close() (Info, error) {
	if w.failure == nil && w.open.count > 0 {
		w.failure = w.flush()
	}
	switch {
	case w.failure != nil:
		return Info{}, w.failure
	case len(w.tally.frames) == 0:
		return Info{}, &store.InvalidError{What: "file of commits", Reason: "it has none"}
	case len(w.tally.frames) > maxFrames:
		return Info{}, &store.TooLargeError{What: "file of commits, in frames", Size: len(w.tally.frames), Limit: maxFrames}
	}
	info := w.tally.info
	info.Sum, w.failure = w.out.end(w.zip, w.tally.index())
	info.Size = w.out.offset
	if w.failure != nil {
		return Info{}, w.failure
	}
	w.failure = &store.InvalidError{What: "file of commits", Reason: "it is closed"}
	return info, nil
}
