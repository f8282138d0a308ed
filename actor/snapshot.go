package actor

import (
	"context"
	"sync/atomic"

	"github.com/annals-go/annals/store"
)

const (
	// maxPendingSaves bounds the snapshots that wait to be written. One more is
	// left out: its actor asks again after its next turn.
	maxPendingSaves = 1024
	// saveWorkers write snapshots side by side; each mostly waits.
	saveWorkers = 8
	// largeSnapshotBytes is from where snapshots are made as rarely as allowed.
	largeSnapshotBytes = 64 << 10
	// worthSaving is how many events a passivated actor must have stored since
	// its last snapshot: fewer are read about as fast as a snapshot.
	worthSaving = 8
)

// save is a snapshot on its way to the store.
type save struct {
	kind     *registered
	snapshot *store.Snapshot
	under    *atomic.Bool // the actor's saving flag
}

// snapshotIfDue asks for a snapshot, from between two turns: the state may
// change in the next one, so it is encoded here and written elsewhere.
func (s *System) snapshotIfDue(a *actor) {
	if s.config.Snapshots == nil || a.live == nil {
		return
	}
	every := uint64(s.config.SnapshotEvery)
	if a.live.large {
		every = MaxSnapshotEvery
	}
	if a.live.head.Version-a.live.snapshot >= every {
		s.requestSave(a)
	}
}

// requestSave encodes the actor's state and queues it to be written. It
// reports whether that was possible. The caller owns the actor's state.
func (s *System) requestSave(a *actor) bool {
	if !a.saving.CompareAndSwap(false, true) {
		return false // one at a time, so that an older one cannot come last
	}
	snap, err := a.live.snapshotOf(a)
	if err != nil {
		a.saving.Store(false)
		a.kind.metrics.snapshotFailures.Inc()
		s.config.Logger.Warn("state is not encoded", "stream", a.stream.String(), "version", a.live.head.Version, "err", named(err, a.stream, ""))
		a.live.snapshot = a.live.head.Version // not before the next one is due
		return false
	}
	select {
	case s.saves <- save{kind: a.kind, snapshot: snap, under: &a.saving}:
		a.live.snapshot = snap.Head.Version
		a.live.large = len(snap.State)+len(snap.Memory) > largeSnapshotBytes
		return true
	default:
		a.saving.Store(false)
		return false
	}
}

func (l *live) snapshotOf(a *actor) (*store.Snapshot, error) {
	state, err := l.instance.encode()
	if err != nil {
		return nil, err
	}
	return &store.Snapshot{
		Stream: a.stream, Head: l.head, Position: l.position, Time: l.time,
		Schema: a.kind.stateSchema(), State: state, Memory: l.recall.encode(),
	}, nil
}

// write saves queued snapshots until done is closed and none is left.
func (s *System) write(ctx context.Context, done <-chan struct{}) {
	for {
		select {
		case job := <-s.saves:
			s.save(ctx, job)
		case <-done:
			select {
			case job := <-s.saves:
				s.save(ctx, job)
			default:
				return
			}
		}
	}
}

func (s *System) save(ctx context.Context, job save) {
	err := s.config.Snapshots.Save(ctx, job.snapshot)
	job.under.Store(false)
	if err != nil {
		job.kind.metrics.snapshotFailures.Inc()
		s.config.Logger.Warn("snapshot is not saved", "stream", job.snapshot.Stream.String(), "version", job.snapshot.Head.Version, "err", err)
		return
	}
	job.kind.metrics.snapshotted(len(job.snapshot.State) + len(job.snapshot.Memory))
}
