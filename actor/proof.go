package actor

import (
	"bytes"
	"context"
	"fmt"
	"reflect"

	"github.com/annals-go/annals/store"
)

// Proof is what [System.Prove] found.
type Proof struct {
	// Snapshot is the head of the snapshot, which equals a replay.
	Snapshot store.Head
	// Cut is the last head of a commit that is neither beyond the snapshot nor
	// beyond the limit; zero if there is none.
	Cut store.Head
}

// Prove folds a stream from its first event to the head of its snapshot and
// compares the states: what stands before a snapshot that was proved is not
// needed to activate the stream. It touches neither the live actor nor the
// snapshot. Errors:
//   - [store.ErrNotFound]: there is no snapshot that this build can use.
//   - [store.ErrDamaged]: the snapshot has another state than the replay, or
//     the log cannot be read.
//   - [store.ErrAhead], [store.ErrUnknownType], [store.ErrUnavailable],
//     [ErrInternal].
func (s *System) Prove(ctx context.Context, stream store.StreamID, limit uint64) (Proof, error) {
	if err := stream.Validate(); err != nil {
		return Proof{}, err
	}
	k, err := s.kindOf(stream)
	if err != nil {
		return Proof{}, err
	}
	snapshot, err := s.fromSnapshot(ctx, k, stream)
	if err == nil && snapshot == nil {
		err = fmt.Errorf("snapshot of %s: %w", stream, store.ErrNotFound)
	}
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Snapshot: snapshot.head}
	folded := &live{instance: k.newInstance()}
	for c, err := range s.config.Log.Read(ctx, stream, store.Head{}) {
		if err != nil {
			return Proof{}, fmt.Errorf("replay %s: %w", stream, err)
		}
		if c.After.Version >= p.Snapshot.Version {
			break
		}
		if err := folded.fold(c, k); err != nil {
			return Proof{}, fmt.Errorf("replay %s: %w", stream, s.reportPanic(named(err, stream, "")))
		}
		if folded.head.Version <= limit && folded.head.Version <= p.Snapshot.Version {
			p.Cut = folded.head
		}
	}
	return p, unlike(stream, k, snapshot, folded)
}

// unlike compares a snapshot with a replay. Equal states may have different
// bytes, where there are maps in them.
func unlike(stream store.StreamID, k *registered, snapshot, folded *live) error {
	damage := &store.DamageError{Stream: stream, Version: snapshot.head.Version}
	if folded.head != snapshot.head {
		damage.Reason = fmt.Sprintf("the snapshot is of version %d (%s), the log has version %d (%s) there",
			snapshot.head.Version, snapshot.head.Hash, folded.head.Version, folded.head.Hash)
		return damage
	}
	kept, err := snapshot.instance.encode()
	if err != nil {
		return fmt.Errorf("encode the snapshot of %s: %w", stream, k.withheld(err))
	}
	replayed, err := folded.instance.encode()
	if err != nil {
		return fmt.Errorf("encode the state of %s: %w", stream, k.withheld(err))
	}
	if bytes.Equal(kept, replayed) {
		return nil
	}
	decoded := k.newInstance()
	if err := decoded.decode(replayed); err != nil {
		return fmt.Errorf("%w: decode the state of %s: %s", ErrInternal, stream, k.withheld(err).Error())
	}
	if !reflect.DeepEqual(decoded.value(), snapshot.instance.value()) {
		damage.Reason = "a replay leads to another state than the snapshot has"
		return damage
	}
	return nil
}
