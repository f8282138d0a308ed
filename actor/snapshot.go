package actor

import (
	"context"
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
	of       *actor
	snapshot *store.Snapshot
	mark     uint64 // see markAt
	weight   int64
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
	if !a.home.beginSave(a) {
		return false // one at a time, so that an older one cannot come last
	}
	weight := weightOf(a.live.size)
	if s.room.TryAcquire(weight) {
		if snap := s.encode(a); snap != nil {
			select {
			case s.saves <- save{of: a, snapshot: snap, mark: markAt(a.live.snapshot, snap.Head.Version), weight: weight}:
				a.live.saved(snap)
				return true
			default:
			}
		}
		s.room.Release(weight)
	}
	a.home.endSave(a)
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
		s.write(ctx, save{of: a, snapshot: snap, mark: mark})
	}
}

// beginSave makes the partition wait for a snapshot. Of an actor that was
// forgotten none is made.
func (p *partition) beginSave(a *actor) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.saving || p.actors[a.stream] != a {
		return false
	}
	a.saving = true
	p.busy++
	return true
}

func (p *partition) endSave(a *actor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a.saving = false
	p.ended()
}

// encode returns the actor's snapshot, nil if its state cannot be encoded.
func (s *System) encode(a *actor) *store.Snapshot {
	snap, err := a.live.snapshotOf(a)
	if err != nil {
		a.kind.metrics.snapshotFailures.Inc()
		s.config.Logger.Warn("state is not encoded", "stream", a.stream.String(), "version", a.live.head.Version, "err", named(err, a.stream, ""))
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
		Schema: a.kind.stateSchema(), State: state, Memory: l.recall.encode(),
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

func (s *System) writeOne(ctx context.Context, job save) {
	s.write(ctx, job)
	s.room.Release(job.weight)
	job.of.home.endSave(job.of)
}

func (s *System) write(ctx context.Context, job save) {
	a, snap := job.of, job.snapshot
	err := s.config.Snapshots.Save(ctx, snap)
	if err == nil {
		err = s.keepPast(ctx, job.mark, snap)
	}
	if err != nil {
		a.kind.metrics.snapshotFailures.Inc()
		s.config.Logger.Warn("snapshot is not saved", "stream", a.stream.String(), "version", snap.Head.Version, "err", err)
		return
	}
	a.kind.metrics.snapshotted(sizeOf(snap))
}
