package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/annals-go/annals/store"
)

// The layout of a file, integers big-endian:
//
//	magic[8] format[1] codec's name length[1] codec's name
//	frames, each a zstd frame
//	index, a zstd frame
//	index offset[8] index raw length[8] index SHA-256[32] SHA-256 of all before[32] end[8]
//
// A frame holds records, one for each commit: number of its stream in the file,
// sequence, local sequence, length, bytes as the log stores them; the numbers as
// varints.
const (
	magic      = "ANNALSsg"
	endMagic   = "gsSLANNA"
	format     = 1
	trailerLen = int64(8 + 8 + 2*sha256.Size + len(endMagic))

	// frameBytes is how many raw bytes make a frame full: what is read and
	// decompressed to get at one commit.
	frameBytes = 256 << 10
	// The largest a frame and an index may be, whoever wrote the file: what
	// decompressing takes is bounded by them. A frame is closed as soon as it is
	// full, so that one commit more is all that can be in it.
	maxFrameRaw = frameBytes + store.MaxCommitBytes + recordOverhead
	maxIndexRaw = 256 << 20
	maxFrames   = 1 << 20
	// maxRatio is how many times its size an index may grow: far more than one
	// does, which is hashes for the most part.
	maxRatio = 1024
	// recordOverhead is at least what a record takes beside the commit.
	recordOverhead = 4 * binary.MaxVarintLen64
	// maxDecoderMemory lets the decoder hold the largest index; each call is
	// bounded by what it was told to expect.
	maxDecoderMemory = maxIndexRaw
)

var errTooMuch = errors.New("it holds more than it says")

// sink writes a file and keeps the sum of what it has written.
type sink struct {
	w      io.Writer
	sum    interface{ Sum([]byte) []byte }
	both   io.Writer
	offset int64
}

func newSink(w io.Writer) *sink {
	sum := sha256.New()
	return &sink{w: w, sum: sum, both: io.MultiWriter(sum, w)}
}

func (s *sink) write(b []byte) error {
	n, err := s.both.Write(b)
	s.offset += int64(n)
	return err
}

// end writes index and trailer, and returns the sum of all before it.
func (s *sink) end(zip *zstd.Encoder, index []byte) (sum Sum, err error) {
	if len(index) > maxIndexRaw {
		return sum, &store.TooLargeError{What: "index of a file", Size: len(index), Limit: maxIndexRaw}
	}
	t := trailer{index: s.offset, raw: len(index)}
	packed := zip.EncodeAll(index, nil)
	t.indexSum = sha256.Sum256(packed)
	if err := s.write(packed); err != nil {
		return sum, err
	}
	if err := s.write(t.beforeSum()); err != nil {
		return sum, err
	}
	s.sum.Sum(sum[:0])
	return sum, s.write(append(sum[:], endMagic...))
}

func header(codec store.Codec) []byte {
	b := append([]byte(magic), format, byte(len(codec.Name())))
	return append(b, codec.Name()...)
}

// readHeader returns the codec and where the frames begin.
func readHeader(r io.ReaderAt) (store.Codec, int64, error) {
	b := make([]byte, len(magic)+2+math.MaxUint8)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	b = b[:n]
	switch {
	case n < len(magic)+2 || string(b[:len(magic)]) != magic:
		return nil, 0, damaged("it is no file of commits")
	case b[len(magic)] != format:
		return nil, 0, damaged("it has format %d, this build reads %d", b[len(magic)], format)
	}
	end := len(magic) + 2 + int(b[len(magic)+1])
	if end > n {
		return nil, 0, damaged("it ends in its beginning")
	}
	codec, err := store.CodecByName(string(b[len(magic)+2 : end]))
	if err != nil {
		return nil, 0, damaged("%v", err)
	}
	return codec, int64(end), nil
}

// trailer is what a file ends with.
type trailer struct {
	index    int64 // offset
	size     int64 // of the index, compressed
	raw      int   // of the index
	indexSum Sum
	sum      Sum // of all before it
}

func (t *trailer) beforeSum() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.index))
	b = binary.BigEndian.AppendUint64(b, uint64(t.raw))
	return append(b, t.indexSum[:]...)
}

func readTrailer(r io.ReaderAt, size int64) (t trailer, err error) {
	if size < trailerLen+int64(len(magic)+2) {
		return t, damaged("it is shorter than any file")
	}
	b := make([]byte, trailerLen)
	if _, err := r.ReadAt(b, size-trailerLen); err != nil && !errors.Is(err, io.EOF) {
		return t, err
	}
	if !bytes.HasSuffix(b, []byte(endMagic)) {
		return t, damaged("it has no end")
	}
	index, raw := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])
	if index > uint64(size-trailerLen) || raw > maxIndexRaw {
		return t, damaged("its end names an index that cannot be")
	}
	t.index, t.raw, t.size = int64(index), int(raw), size-trailerLen-int64(index)
	if int64(t.raw) > maxRatio*t.size {
		return t, damaged("its end names an index that cannot be")
	}
	copy(t.indexSum[:], b[16:])
	copy(t.sum[:], b[16+len(t.indexSum):])
	return t, nil
}

// load reads the index.
func (t *trailer) load(file io.ReaderAt, z *zstd.Decoder) ([]byte, error) {
	packed := make([]byte, t.size)
	if _, err := file.ReadAt(packed, t.index); err != nil {
		return nil, err
	}
	data, err := expand(z, packed, t.indexSum, t.raw)
	if err != nil {
		return nil, damaged("index: %v", err)
	}
	return data, nil
}

// squeezer compresses, expander decompresses into no more than it was told.
func newSqueezer() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault))
}

func newExpander() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDecoderMemory), zstd.WithDecodeAllCapLimit(true))
}

// expand checks a compressed part against its sum and decompresses it to exactly
// raw bytes.
func expand(z *zstd.Decoder, packed []byte, want Sum, raw int) ([]byte, error) {
	if got := Sum(sha256.Sum256(packed)); got != want {
		return nil, fmt.Errorf("its check sum is %.16s…, it was %.16s…", got, want)
	}
	out, err := z.DecodeAll(packed, make([]byte, 0, raw))
	if err != nil {
		return nil, err
	}
	if len(out) != raw {
		return nil, errTooMuch
	}
	return out, nil
}
