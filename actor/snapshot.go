package actor

import (
	"context"
	"errors"
	"time"

	"github.com/annals-go/annals/store"
)

const (
	// maxPendingSaves bounds the snapshots that wait to be written. One more is
	// left out: its actor asks again after its next turn.
	maxPendingSaves = 1024
	// saveWorkers write snapshots side by side; each mostly waits.
	saveWorkers = 8
	// saveHands is how many more are written at once where partitions are given
	// away: then somebody waits for them.
	saveHands = 32
	// maxPendingBytes bounds how many bytes wait to be written, and
	// minSnapshotWeight is what the smallest snapshot counts.
	maxPendingBytes   = 256 << 20
	minSnapshotWeight = 1 << 10
	// worthSaving is how many events a passivated actor must have stored since
	// its last snapshot: fewer are read about as fast as a snapshot.
	worthSaving = 8
)

// save is a snapshot on its way to the store.
type save struct {
	of     *actor
	mark   uint64 // see markAt
	weight int64

	// The mutex of the actor's home guards these once it waits.
	snapshot *store.Snapshot // nil: not made yet, or not to be written any more
	writing  bool
	purges   []*purge // that wait until it is written
}

// snapshotIfDue asks for a snapshot, from between two turns: the state may
// change in the next one, so it is encoded here and written elsewhere.
func (s *System) snapshotIfDue(a *actor) {
	if s.config.Snapshots != nil && a.live != nil && s.config.due(a.live) {
		s.requestSave(a)
	}
}

// requestSave encodes the actor's state and queues it to be written. It
// reports whether that was possible. The caller owns the actor's state.
func (s *System) requestSave(a *actor) bool {
	job := &save{of: a, weight: weightOf(a.live.size)}
	if !a.home.beginSave(job) {
		return false // one at a time, so that an older one cannot come last
	}
	if s.room.TryAcquire(job.weight) {
		if snap := s.encode(a); snap != nil {
			job.snapshot, job.mark = snap, markAt(a.live.snapshot, snap.Head.Version)
			select {
			case s.saves <- job:
				a.live.saved(snap)
				return true
			default:
			}
		}
		s.room.Release(job.weight)
	}
	a.home.endSave(job)
	return false
}

// weightOf is what a snapshot counts while it waits to be written: as much as
// the one before it had, for what it will have is known too late.
func weightOf(size int) int64 { return min(int64(size)+minSnapshotWeight, maxPendingBytes) }

// saveNow encodes the actor's state and writes it. The caller owns the actor.
func (s *System) saveNow(ctx context.Context, a *actor) {
	weight := weightOf(a.live.size)
	if s.room.Acquire(ctx, weight) != nil {
		return // a snapshot is a cache
	}
	defer s.room.Release(weight)
	if snap := s.encode(a); snap != nil {
		mark := markAt(a.live.snapshot, snap.Head.Version)
		a.live.saved(snap)
		s.write(ctx, a, snap, mark)
	}
}

// beginSave makes the partition wait for a snapshot. Of an actor that was
// forgotten none is made.
func (p *partition) beginSave(job *save) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := job.of
	if a.saving != nil || p.actors[a.stream] != a {
		return false
	}
	a.saving = job
	p.busy++
	return true
}

// beginWrite returns the snapshot to write, nil if it is not to be written any more.
func (p *partition) beginWrite(job *save) *store.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	job.writing = true
	return job.snapshot
}

func (p *partition) endSave(job *save) {
	p.mu.Lock()
	defer p.mu.Unlock()
	job.of.saving = nil
	for _, waiting := range job.purges {
		waiting.left.Done()
	}
	p.ended()
}

// encode returns the actor's snapshot, nil if its state cannot be encoded.
func (s *System) encode(a *actor) *store.Snapshot {
	snap, err := a.live.snapshotOf(a)
	if err != nil {
		a.kind.metrics.snapshotFailures.Inc()
		s.config.Logger.Warn("state is not encoded", "stream", a.stream.String(), "version", a.live.head.Version, "err", named(withhold(err, a.live.keys != nil), a.stream, ""))
		a.live.snapshot, a.live.unsaved, a.live.slow = a.live.head.Version, 0, false // not before the next one is due
		return nil
	}
	return snap
}

func (l *live) saved(snap *store.Snapshot) {
	l.snapshot, l.savedAt, l.size = snap.Head.Version, time.Now(), sizeOf(snap)
	l.unsaved, l.slow = 0, false
}

func sizeOf(snap *store.Snapshot) int { return len(snap.State) + len(snap.Memory) }

func (l *live) snapshotOf(a *actor) (*store.Snapshot, error) {
	state, err := l.instance.encode()
	if err != nil {
		return nil, err
	}
	return &store.Snapshot{
		Stream: a.stream, Head: l.head, Position: l.position, Time: l.time, Epoch: l.epoch,
		Schema: a.kind.stateSchema(), State: state, Keys: l.keys.copied(), Memory: l.recall.encode(),
	}, nil
}

// writeQueued saves queued snapshots until done is closed and none is left.
func (s *System) writeQueued(ctx context.Context, done <-chan struct{}) {
	for {
		select {
		case job := <-s.saves:
			s.writeOne(ctx, job)
		case <-done:
			select {
			case job := <-s.saves:
				s.writeOne(ctx, job)
			default:
				return
			}
		}
	}
}

func (s *System) writeOne(ctx context.Context, job *save) {
	if snap := job.of.home.beginWrite(job); snap != nil {
		s.write(ctx, job.of, snap, job.mark)
	}
	s.room.Release(job.weight)
	job.of.home.endSave(job)
}

// write saves a snapshot. One of which personal data were erased meanwhile is not
// missed: its actor is loaded anew.
func (s *System) write(ctx context.Context, a *actor, snap *store.Snapshot, mark uint64) {
	err := s.config.Snapshots.Save(ctx, snap)
	if err == nil {
		err = s.keepPast(ctx, mark, snap)
	}
	if errors.Is(err, store.ErrErased) {
		return
	}
	if err != nil {
		a.kind.metrics.snapshotFailures.Inc()
		s.config.Logger.Warn("snapshot is not saved", "stream", a.stream.String(), "version", snap.Head.Version, "err", err)
		return
	}
	a.kind.metrics.snapshotted(sizeOf(snap))
}
