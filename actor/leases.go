package actor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/annals-go/annals/store"
)

// Leases says which partitions a system may serve at this moment. Package
// cluster implements it. Its methods may be called from many goroutines.
type Leases interface {
	// Epoch returns the epoch under which the partition is held, and whether the
	// lease is valid at this moment. It is asked twice for each turn, and never
	// waits.
	Epoch(partition int) (epoch uint64, valid bool)
	// Confirm returns nil if the partition was held under the epoch at some
	// moment after the call began, whatever this machine's clock says.
	Confirm(ctx context.Context, partition int, epoch uint64) error
}

// Open begins to serve a partition, in [0, Config.Partitions). Calls of Open,
// Release and Drop for one partition must not overlap. Once Run has been told to
// end, nothing is opened any more.
func (s *System) Open(partition int) {
	p := s.table[partition].Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !s.closed.Load() {
		p.refusal = nil
	}
}

// Release ends serving a partition in good order: whoever comes is answered
// [ErrMoved], what is queued is executed and answered, the actors that are worth
// it are saved, and all are forgotten. When ctx ends before that, the rest is
// dropped, see [System.Drop]. The lease must be kept until Release returns, and
// Run must be running: snapshots that it is writing are waited for.
func (s *System) Release(ctx context.Context, partition int) {
	p := s.table[partition].Load()
	p.close(ErrMoved)
	s.settle(ctx, p)
	s.replace(p, ErrMoved)
}

// Drop ends serving a partition at once: whoever comes and whoever is queued
// is answered [ErrMoved], and the actors are forgotten, without snapshots. A turn
// that is under way ends by itself; its answers say what the lease says then.
func (s *System) Drop(partition int) {
	p := s.table[partition].Load()
	p.close(ErrMoved)
	s.replace(p, ErrMoved)
}

// settle waits until nothing of a closed partition is under way and saves the
// actors that are worth it: those that are idle already while the others end.
func (s *System) settle(ctx context.Context, p *partition) {
	s.saveIdle(ctx, p)
	if p.wait(ctx) {
		s.saveIdle(ctx, p)
	}
}

// replace puts a fresh partition in the place of a closed one.
func (s *System) replace(p *partition, refusal error) {
	s.table[p.number].Store(newPartition(p.number, refusal))
	actors, queued := p.empty()
	s.actors.Add(-int64(actors))
	answerAll(queued, refusal)
}

// saveIdle saves the idle actors of a closed partition that are worth it, side
// by side, until ctx ends.
func (s *System) saveIdle(ctx context.Context, p *partition) {
	worthy := s.claimWorthy(p)
	if len(worthy) == 0 {
		return
	}
	var saving sync.WaitGroup
	for _, a := range worthy {
		select {
		case s.hands <- struct{}{}:
		case <-ctx.Done():
			s.leave(a, false)
			continue
		}
		saving.Go(func() {
			s.saveNow(ctx, a)
			<-s.hands
			s.leave(a, false)
		})
	}
	waitFor(ctx, &saving)
}

func (s *System) claimWorthy(p *partition) []*actor {
	p.mu.Lock()
	defer p.mu.Unlock()
	var worthy []*actor
	for _, a := range p.actors {
		if !a.running && a.saving == nil && s.worthSaving(a) && p.take(a) {
			worthy = append(worthy, a)
		}
	}
	return worthy
}

// errLapse is why an answer that only the holder of a lease can give is not given.
var errLapse = errors.New("the lease of the partition is not valid")

var errLapsed = fmt.Errorf("%w: %w", store.ErrUnavailable, errLapse)

// epoch returns what a turn writes under; without leases that is up to the
// stream. The error says that the lease is not valid at this moment.
func (s *System) epoch(a *actor) (uint64, error) {
	if s.config.Leases == nil {
		return 0, nil
	}
	epoch, valid := s.config.Leases.Epoch(a.home.number)
	if !valid {
		return 0, errLapsed
	}
	return epoch, nil
}

// holds reports whether the lease of a turn's beginning is valid now. What an
// actor's memory says is true at the moment at which this is, however late the
// answer then arrives.
func (s *System) holds(a *actor, epoch uint64) bool {
	if s.config.Leases == nil {
		return true
	}
	now, err := s.epoch(a)
	return err == nil && now == epoch
}

// confirmHeld makes sure that the partition was held after the call began. It takes
// a round trip or more.
func (s *System) confirmHeld(ctx context.Context, partition int) error {
	if err := s.table[partition].Load().refuses(); err != nil {
		return err
	}
	epoch, valid := s.config.Leases.Epoch(partition)
	if !valid {
		return errLapsed
	}
	if err := s.config.Leases.Confirm(ctx, partition, epoch); err != nil {
		return fmt.Errorf("%w: confirm the lease of the partition: %w", store.ErrUnavailable, err)
	}
	return nil
}
