package projector

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/annals-go/annals/store"
)

// letter is what a worker knows of a stream that it parked: a note of the store,
// as JSON. Guarded as the worker's standing is.
type letter struct {
	DeadLetter
	// First is the position of the event that the stream was parked at: it names
	// the parking in documents.
	First store.Position `json:"first"`
	// After is the head of the stream before the commit that holds the event that
	// it waits at: where to read on.
	After store.Head `json:"after"`
	// Through is how far documents may be ahead of the letter: the position of the
	// last event of a retry whose outcome is not known. 0 if there is none.
	Through store.Position `json:"through,omitempty"`

	// seen is the version of the last event that was passed over, 0 if not known.
	seen uint64
}

// Notes are told apart by the beginning of their keys. A stream's own name may be
// too long for a key.
const (
	parkedKeys  = "parked."
	skippedKeys = "skipped."
)

func streamKey(s store.StreamID) string {
	sum := sha256.Sum256([]byte(s.String()))
	return hex.EncodeToString(sum[:16])
}

// letterID names a parking: this model's and worker's, of this stream, at this event.
func letterID(m Model, worker string, s store.StreamID, first store.Position) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %d", m, worker, s, first))
	return hex.EncodeToString(sum[:6])
}

// note is how the letter is stored.
func (l *letter) note() (Note, error) {
	value, err := json.Marshal(l)
	return Note{Key: parkedKeys + streamKey(l.Stream), Value: value}, err
}

// gone is the note that deletes the letter's.
func (l *letter) gone() Note { return Note{Key: parkedKeys + streamKey(l.Stream)} }

func skippedKey(at eventAt) string {
	return skippedKeys + streamKey(at.stream) + "." + strconv.FormatUint(at.version, 10)
}

func (s Skipped) note() (Note, error) {
	value, err := json.Marshal(s)
	return Note{Key: skippedKey(eventAt{s.Stream, s.At}), Value: value}, err
}

// remembered is what a worker knows of parked streams and of skipped events.
type remembered struct {
	letters map[store.StreamID]*letter
	skipped map[eventAt]Skipped
}

func newRemembered() remembered {
	return remembered{letters: map[store.StreamID]*letter{}, skipped: map[eventAt]Skipped{}}
}

// recall reads what is stored.
func recall(notes []Note) (remembered, error) {
	all := newRemembered()
	for _, n := range notes {
		if err := all.recall(n); err != nil {
			return all, fmt.Errorf("note %q: %w: %w", n.Key, store.ErrDamaged, err)
		}
	}
	return all, nil
}

func (m remembered) recall(n Note) error {
	switch {
	case strings.HasPrefix(n.Key, parkedKeys):
		l := &letter{}
		if err := json.Unmarshal(n.Value, l); err != nil {
			return err
		}
		m.letters[l.Stream] = l
	case strings.HasPrefix(n.Key, skippedKeys):
		var s Skipped
		if err := json.Unmarshal(n.Value, &s); err != nil {
			return err
		}
		m.skipped[eventAt{s.Stream, s.At}] = s
	}
	return nil
}

// byPosition are the letters, the oldest first.
func (m remembered) byPosition() []*letter {
	return slices.SortedFunc(maps.Values(m.letters), func(a, b *letter) int { return cmp.Compare(a.First, b.First) })
}

// moved is the letter as it is when the stream waits at another event.
func (l *letter) moved(to queued) *letter {
	next := *l
	next.At, next.Position, next.Event, next.After = to.event.Version, to.event.Position, to.event.Type, to.after
	next.Attempts, next.Edited, next.By = 0, nil, ""
	next.Kind, next.Error = "", "not tried since what stood before it is out of the way"
	return next.caughtUp()
}

// failed is the letter after another try that came to nothing.
func (l *letter) failed(why *EventError, now time.Time) *letter {
	next := *l
	next.Attempts++
	next.Kind, next.Error, next.Tried = why.Kind, reasonText(why.Reason), now
	return next.caughtUp()
}

// caughtUp forgets how far documents are ahead once the letter is as far.
func (l *letter) caughtUp() *letter {
	if l.Through < l.Position {
		l.Through = 0
	}
	return l
}

// reasonText is what a letter says of an error. It is bounded: a definition's
// errors may be of any length, and a letter that no store takes would hold up
// the view.
func reasonText(err error) string {
	const most, more = 4 << 10, "…"
	text := err.Error()
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len(more)], "") + more
}
