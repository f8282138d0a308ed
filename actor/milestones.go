package actor

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// A long stream keeps a few snapshots of its past, so that a state of the past
// is not folded from the first event. They lie evenly: the longer the stream, the
// further apart.
const (
	// markEvery is how many events lie between two of them at least.
	markEvery = 1000
	// maxMarks bounds how many there are.
	maxMarks = 16
	// markWait bounds what a fold spends on leaving them behind: somebody waits for it.
	markWait = 2 * time.Second
)

// stepAt returns how far apart they are in a stream of so many events.
func stepAt(version uint64) uint64 {
	step := uint64(markEvery)
	for version/step >= maxMarks {
		step *= 2
	}
	return step
}

// markAt returns the mark that a stream has passed since a version, 0 for none.
func markAt(before, version uint64) uint64 {
	step := stepAt(version)
	if mark := version / step * step; mark > before {
		return mark
	}
	return 0
}

// keepPast keeps a snapshot under a mark, unless others lie further apart by now,
// and drops those that lie closer than they should.
func (s *System) keepPast(ctx context.Context, mark uint64, snap *store.Snapshot) error {
	kept, ok := s.config.Snapshots.(store.PastSnapshots)
	if !ok || mark == 0 {
		return nil
	}
	marks, err := kept.Pasts(ctx, snap.Stream)
	if err != nil {
		return err
	}
	step := stepAt(snap.Head.Version)
	if n := len(marks); n > 0 { // a fold of the past does not know how long the stream is
		step = max(step, stepAt(marks[n-1]))
	}
	if mark%step == 0 {
		past := *snap
		past.Memory = nil // nobody sends commands to the past
		if err := kept.SavePast(ctx, mark, &past); err != nil {
			if errors.Is(err, store.ErrTooLarge) {
				return nil // then there are none
			}
			return err
		}
	}
	for _, m := range marks {
		if m%step == 0 {
			continue
		}
		if err := kept.DropPast(ctx, snap.Stream, m); err != nil {
			return err
		}
	}
	return nil
}

// trail leaves snapshots behind while a stream is folded from its beginning.
type trail struct {
	system *System
	kind   *registered
	stream store.StreamID
	passed uint64 // version up to which there is nothing to leave
	spent  time.Duration
	ended  bool
}

// after is called after each commit. What fails ends the trail and nothing else.
func (t *trail) after(ctx context.Context, l *live) {
	before := t.passed
	t.passed = l.head.Version
	mark := markAt(before, l.head.Version)
	if t.ended || mark == 0 || t.system.config.Snapshots == nil {
		return
	}
	began := time.Now()
	state, err := l.instance.encode()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, markWait-t.spent)
		defer cancel()
		err = t.system.keepPast(ctx, mark, &store.Snapshot{
			Stream: t.stream, Head: l.head, Position: l.position, Time: l.time, Epoch: l.epoch, Schema: t.kind.stateSchema(), State: state,
			Keys: l.keys.copied(),
		})
	}
	t.spent += time.Since(began)
	t.ended = t.spent >= markWait
	if err != nil {
		t.ended = true
		t.system.config.Logger.Debug("past snapshot is not saved", "stream", t.stream.String(), "version", l.head.Version, "err", err)
	}
}

// startBefore returns the stream's snapshot, or one of its past, that is not
// beyond at; nil if there is none.
func (s *System) startBefore(ctx context.Context, k *registered, stream store.StreamID, at At) (*live, error) {
	l, err := s.fromSnapshot(ctx, k, stream)
	if err != nil || l == nil || at.covers(l) {
		return l, err
	}
	return s.fromPast(ctx, k, stream, at), nil
}

// fromPast returns the last of the past snapshots that is not beyond at. One
// that cannot be used costs a longer fold.
func (s *System) fromPast(ctx context.Context, k *registered, stream store.StreamID, at At) *live {
	kept, ok := s.config.Snapshots.(store.PastSnapshots)
	if !ok {
		return nil
	}
	marks, err := kept.Pasts(ctx, stream)
	if err != nil {
		return nil
	}
	if at.Version > 0 { // a snapshot is never of an earlier version than its mark
		n, found := slices.BinarySearch(marks, at.Version)
		if found {
			n++
		}
		marks = marks[:n]
	}
	var best *live
	for len(marks) > 0 {
		middle := len(marks) / 2
		if at.Version > 0 {
			middle = len(marks) - 1 // it is this one or the one before
		}
		snap, err := kept.LoadPast(ctx, stream, marks[middle])
		if err != nil || snap.Schema != k.stateSchema() {
			return best
		}
		l := fromHead(k, snap)
		if !at.covers(l) {
			marks = marks[:middle]
			continue
		}
		if l.instance.decode(snap.State) != nil {
			return best
		}
		best, marks = l, marks[middle+1:]
	}
	return best
}
