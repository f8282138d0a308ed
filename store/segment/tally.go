package segment

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/annals-go/annals/store"
)

// tally is what is known of the commits of a file: kept while it is written, and
// once more when it is verified. Streams have numbers, in the order in which
// they appear.
type tally struct {
	info   Info
	frames []frame
	spans  []span
	number map[store.StreamID]int
}

// frame is one compressed part of a file.
type frame struct {
	offset, size int64 // in the file
	raw          int   // uncompressed
	first, last  uint64
	count        int
	sum          Sum // of the compressed bytes
}

// span is a Span, and which frames hold its commits.
type span struct {
	Span
	frames []uint32
}

func newTally() *tally { return &tally{number: map[store.StreamID]int{}} }

// check reports whether c may come next.
func (t *tally) check(c *store.Commit) error {
	if c.Sequence == 0 || c.Local == 0 || c.Sequence <= t.info.Last.Sequence() {
		return &store.InvalidError{
			What: "sequence of a commit", Value: fmt.Sprint(c.Sequence), Reason: fmt.Sprintf("it does not come after sequence %d", t.info.Last.Sequence()),
		}
	}
	n, known := t.number[c.Stream]
	if !known {
		return nil
	}
	return c.Follows(t.spans[n].Last)
}

// add takes c, which was checked, as a commit of the frame with the given number,
// and returns the number of its stream.
func (t *tally) add(c *store.Commit, frame int) int {
	n, known := t.number[c.Stream]
	if !known {
		n = len(t.spans)
		id := store.StreamID{Type: strings.Clone(c.Stream.Type), ID: strings.Clone(c.Stream.ID)}
		t.number[id] = n
		t.spans = append(t.spans, span{Span: Span{Stream: id, Before: c.After, First: c.Sequence}})
	}
	s := &t.spans[n]
	s.Last, s.End = c.Head(), c.Sequence
	s.Commits++
	if len(s.frames) == 0 || s.frames[len(s.frames)-1] != uint32(frame) {
		s.frames = append(s.frames, uint32(frame))
	}
	t.count(c)
	return n
}

func (t *tally) count(c *store.Commit) {
	i := &t.info
	if i.Commits == 0 {
		i.First, i.From, i.To = store.PositionOf(c.Sequence, 0), c.Time, c.Time
	}
	i.Last = c.Last()
	i.Commits++
	i.Events += uint64(len(c.Events))
	i.Streams = len(t.spans)
	i.From, i.To = earlier(i.From, c.Time), later(i.To, c.Time)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// byName returns the numbers of the streams in the order of their names.
func (t *tally) byName() []uint32 {
	order := make([]uint32, len(t.spans))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return compare(t.spans[a].Stream, t.spans[b].Stream) })
	return order
}

func compare(a, b store.StreamID) int {
	if c := strings.Compare(a.Type, b.Type); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}
