package actor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/annals-go/annals/store"
)

// activateIfNeeded loads the actor for a turn under an epoch. It never lets a
// turn build on a commit of a later epoch: then somebody else serves the stream.
func (s *System) activateIfNeeded(a *actor, epoch uint64) error {
	if a.live != nil && a.live.loaded == epoch && !s.mustGo(a.live) {
		return nil
	}
	a.live = nil
	ctx, cancel := context.WithTimeout(context.Background(), s.config.ActivateTimeout)
	defer cancel()
	generation := s.generation()
	live, err := s.activate(ctx, a.kind, a.stream)
	if err != nil {
		if errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrAhead) {
			s.config.Logger.Error("stream is not served", "stream", a.stream.String(), "err", err)
		}
		return fmt.Errorf("activate %s: %w", a.stream, err)
	}
	if s.config.Leases != nil && live.epoch > epoch {
		a.kind.metrics.conflictsStale.Inc()
		s.config.Logger.Warn("stream was written under a later lease", "stream", a.stream.String(), "epoch", live.epoch, "own", epoch)
		s.forget(a, ErrMoved)
		return ErrMoved
	}
	if !s.holds(a, epoch) { // loading may take long
		return errLapsed
	}
	live.loaded, live.generation = epoch, generation
	a.live = live
	return nil
}

// activate folds a stream: its snapshot, then the commits after it. A snapshot
// that cannot be used costs a replay and nothing else, unless it is ahead of
// the log: then the log has lost its end, and that must not pass for an empty
// or a shorter history.
func (s *System) activate(ctx context.Context, k *registered, stream store.StreamID) (*live, error) {
	l, err := s.fromSnapshot(ctx, k, stream)
	if err != nil {
		return nil, err
	}
	if l != nil {
		replayed, err := s.catchUp(ctx, k, l, stream)
		if err == nil {
			k.metrics.activated("snapshot", replayed)
			return l, nil
		}
		if !errors.Is(err, store.ErrDamaged) && !errors.Is(err, ErrInternal) {
			return nil, err
		}
		// Either the snapshot or the log is not what it was. A replay tells.
		s.config.Logger.Warn("snapshot does not fit the log", "stream", stream.String(), "version", l.head.Version, "err", err)
	}
	l = &live{instance: k.newInstance()}
	replayed, err := s.catchUp(ctx, k, l, stream)
	if err != nil {
		return nil, err
	}
	k.metrics.activated("replay", replayed)
	return l, nil
}

// fromSnapshot returns nil when there is no snapshot that can be used.
func (s *System) fromSnapshot(ctx context.Context, k *registered, stream store.StreamID) (*live, error) {
	if s.config.Snapshots == nil {
		return nil, nil
	}
	snap, err := s.config.Snapshots.Load(ctx, stream)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		var l *live
		if l, err = openSnapshot(k, snap); err == nil {
			return l, nil
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, context.Cause(ctx))
	}
	s.config.Logger.Warn("snapshot is not used", "stream", stream.String(), "err", err)
	return nil, nil
}

func openSnapshot(k *registered, snap *store.Snapshot) (*live, error) {
	if snap.Schema != k.stateSchema() {
		return nil, fmt.Errorf("snapshot has state schema %d, this build has %d", snap.Schema, k.stateSchema())
	}
	r, err := decodeRecall(snap.Memory)
	if err != nil {
		return nil, err
	}
	l := fromHead(k, snap)
	l.recall, l.snapshot, l.size = *r, snap.Head.Version, sizeOf(snap)
	return l, withhold(l.instance.decode(snap.State), len(snap.Keys) > 0)
}

// fromHead returns what a snapshot tells, but for the state.
func fromHead(k *registered, snap *store.Snapshot) *live {
	return &live{
		instance: k.newInstance(), keys: keysOf(snap.Keys),
		head: snap.Head, position: snap.Position, time: snap.Time, epoch: snap.Epoch,
	}
}

// catchUp folds the commits that follow l's head and returns how many events.
func (s *System) catchUp(ctx context.Context, k *registered, l *live, stream store.StreamID) (replayed int, err error) {
	defer l.timed(time.Now(), s.config.SnapshotLoadTime)
	left := trail{system: s, kind: k, stream: stream, ended: l.head.Version > 0}
	for c, err := range s.config.Log.Read(ctx, stream, l.head) {
		if err != nil {
			return replayed, err
		}
		if err := l.fold(c, k); err != nil {
			return replayed, s.reportPanic(named(err, stream, ""))
		}
		replayed += len(c.Events)
		left.after(ctx, l)
	}
	return replayed, nil
}

func (l *live) fold(c *store.Commit, k *registered) error {
	for i, e := range c.Events {
		if err := l.instance.evolve(e); err != nil {
			return stored(err, c, c.After.Version+uint64(i)+1)
		}
	}
	l.advance(c, k)
	return nil
}

// stored says whose fault it is that an event of the log cannot be folded. Its
// sender is long gone: bytes that do not decode are damage, not bad input.
func stored(err error, c *store.Commit, version uint64) error {
	if errors.Is(err, store.ErrInvalid) || errors.Is(err, store.ErrTooLarge) {
		return &store.DamageError{Stream: c.Stream, Version: version, Sequence: c.Sequence, Reason: err.Error()}
	}
	if p, ok := errors.AsType[*PanicError](err); ok {
		p.Stream, p.Version = c.Stream, version // before the text is made
	}
	return fmt.Errorf("fold version %d: %w", version, err)
}

// advance moves l past a stored commit whose events have been folded.
func (l *live) advance(c *store.Commit, k *registered) {
	if k.merges() {
		if len(l.recent) == recentHeads {
			l.recent = append(l.recent[:0], l.recent[1:]...)
		}
		l.recent = append(l.recent, l.head)
	}
	l.grow(c)
	l.recall.learn(c, k.names)
	l.keys = l.keys.learn(c)
	l.head, l.position, l.time, l.epoch = c.Head(), c.Last(), c.Time, c.Epoch
}

// before returns the last remembered head that is not beyond a version.
func (l *live) before(version uint64) store.Head {
	for _, h := range slices.Backward(l.recent) {
		if h.Version <= version {
			return h
		}
	}
	return store.Head{}
}
