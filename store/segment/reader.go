package segment

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"

	"github.com/klauspost/compress/zstd"

	"github.com/annals-go/annals/store"
)

// Reader reads a file. Its methods may be called from many goroutines if the
// file may be read from many.
type Reader struct {
	file  io.ReaderAt
	codec store.Codec
	zip   *zstd.Decoder
	tally *tally
	names []uint32 // numbers of the streams, in the order of their names
	end   trailer
	begin int64
}

// Open reads the index of a file of the given size, and no commit. The file may
// come from anywhere: what reading takes is bounded. The error matches
// [store.ErrDamaged] if the index is not what was written; otherwise it is the
// file's own.
func Open(file io.ReaderAt, size int64) (*Reader, error) {
	r := &Reader{file: file}
	var err error
	if r.end, err = readTrailer(file, size); err != nil {
		return nil, err
	}
	if r.codec, r.begin, err = readHeader(file); err != nil {
		return nil, err
	}
	if r.zip, err = newExpander(); err != nil {
		return nil, err
	}
	if r.tally, err = r.index(); err != nil {
		return nil, err
	}
	r.names = r.tally.byName()
	r.tally.info.Size, r.tally.info.Sum = size, r.end.sum
	return r, nil
}

func (r *Reader) index() (*tally, error) {
	if r.end.index < r.begin || r.end.size > 2*maxIndexRaw {
		return nil, damaged("its end names an index that cannot be")
	}
	data, err := r.end.load(r.file, r.zip)
	if err != nil {
		return nil, err
	}
	return readIndex(data, r.begin, r.end.index)
}

// Info says what is in the file, by its index.
func (r *Reader) Info() Info { return r.tally.info }

// Codec returns how the log encodes values whose commits these are.
func (r *Reader) Codec() store.Codec { return r.codec }

// Find says what the file holds of a stream.
func (r *Reader) Find(id store.StreamID) (Span, bool) {
	n, ok := r.tally.number[id]
	if !ok {
		return Span{}, false
	}
	return r.tally.spans[n].Span, true
}

// Streams yields what the file holds of each stream, in the order of type and id.
func (r *Reader) Streams() iter.Seq[Span] {
	return func(yield func(Span) bool) {
		for _, n := range r.names {
			if !yield(r.tally.spans[n].Span) {
				return
			}
		}
	}
}

// All yields the commits whose sequence is after one and before another, in
// order; before 0 means to the end. Each is decoded and has its hash; that it
// follows the one before in its stream is for [Reader.Stream] and
// [Reader.Verify]. The commits belong to the caller; one of them keeps up to a
// mebibyte alive. The last pair has the error, if any: a [*FrameError], or the
// file's own.
func (r *Reader) All(after, before uint64) iter.Seq2[*store.Commit, error] {
	if before == 0 {
		before = ^uint64(0)
	}
	return func(yield func(*store.Commit, error) bool) {
		frames := r.tally.frames
		first := sort.Search(len(frames), func(k int) bool { return frames[k].last > after })
		for k := first; k < len(frames) && frames[k].first < before; k++ {
			wanted := func(rec record) bool { return rec.sequence > after && rec.sequence < before }
			if !r.frame(k, wanted, yield) {
				return
			}
		}
	}
}

// Stream yields the commits of a stream that the file holds after a head, in
// order, each the next version with the hash of the one before. It yields none if
// the file has none. If the head is before what the file holds of the stream, or
// not one that the stream had, the error is a [*store.DamageError]; others are
// those of All.
func (r *Reader) Stream(id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		n, ok := r.tally.number[id]
		if !ok || r.tally.spans[n].Last.Version <= after.Version {
			return
		}
		head := after
		next := func(c *store.Commit, err error) bool {
			if err == nil && c.Head().Version <= after.Version {
				return true
			}
			if err == nil {
				err = c.Follows(head)
			}
			if err != nil {
				yield(nil, err)
				return false
			}
			head = c.Head()
			return yield(c, nil)
		}
		s := &r.tally.spans[n]
		for _, k := range s.frames[r.startOf(n, after.Version):] {
			if !r.frame(int(k), func(rec record) bool { return rec.stream == uint64(n) }, next) {
				return
			}
		}
		if head != s.Last {
			yield(nil, damaged("its index says that %s comes to version %d, but it ends at %d", id, s.Last.Version, head.Version))
		}
	}
}

// startOf returns which of the stream's frames may have the first commit after a
// version. A long stream fills many: a few of them are looked into. Where one
// cannot be read it is the first, so that reading on comes to it and says so.
func (r *Reader) startOf(n int, version uint64) int {
	frames := r.tally.spans[n].frames
	failed := false
	after := sort.Search(len(frames), func(i int) bool {
		begins := uint64(0)
		r.frame(int(frames[i]), func(rec record) bool { return rec.stream == uint64(n) }, func(c *store.Commit, err error) bool {
			if failed = failed || err != nil; err == nil {
				begins = c.After.Version
			}
			return false
		})
		return begins > version
	})
	if failed {
		return 0
	}
	return max(after-1, 0)
}

// record is a commit as a frame holds it.
type record struct {
	stream, sequence, local uint64
	stored                  []byte
}

func (c *cursor) record() record {
	rec := record{stream: c.uint(), sequence: c.uint(), local: c.uint()}
	rec.stored = c.take(c.uint())
	return rec
}

// frame yields the wanted commits of a frame, and reports whether to go on.
func (r *Reader) frame(k int, wanted func(record) bool, yield func(*store.Commit, error) bool) bool {
	f := &r.tally.frames[k]
	raw, err := r.load(f)
	if err != nil {
		yield(nil, f.error(k, err))
		return false
	}
	c := cursor{data: raw}
	last, count := f.first-1, 0
	for ; len(c.data) > 0; count++ {
		rec := c.record()
		if c.err != nil || rec.sequence <= last || rec.sequence > f.last || rec.stream >= uint64(len(r.tally.spans)) {
			yield(nil, f.error(k, errors.New("its records are not in order")))
			return false
		}
		last = rec.sequence
		if !wanted(rec) {
			continue
		}
		commit, err := r.decode(rec)
		if err != nil {
			yield(nil, f.error(k, err))
			return false
		}
		if !yield(commit, nil) {
			return false
		}
	}
	if count != f.count || last != f.last {
		yield(nil, f.error(k, errors.New("it does not hold what its index says")))
		return false
	}
	return true
}

func (r *Reader) load(f *frame) ([]byte, error) {
	packed := make([]byte, f.size)
	if _, err := r.file.ReadAt(packed, f.offset); err != nil {
		return nil, err
	}
	return expand(r.zip, packed, f.sum, f.raw)
}

func (r *Reader) decode(rec record) (*store.Commit, error) {
	c, err := store.DecodeCommit(r.codec, rec.stored, rec.local)
	if err != nil {
		return nil, err
	}
	if of := r.tally.spans[rec.stream].Stream; c.Stream != of {
		return nil, fmt.Errorf("the record of %s at sequence %d holds a commit of %s", of, rec.sequence, c.Stream)
	}
	c.Sequence = rec.sequence
	return c, nil
}

func (f *frame) error(k int, reason error) error {
	return &FrameError{Frame: k, Offset: f.offset, First: f.first, Last: f.last, Reason: reason}
}
