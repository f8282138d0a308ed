package bench

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// The scenarios of personal data: the same on both sides, but that two fields of each
// event are personal on one. Keys are at hand; what their first load takes is not in them.

const (
	personalRounds = 9
	personalTurn   = 300 * time.Millisecond
	loadedEvents   = 500 // of a stream that is loaded
	loadedStreams  = 16
)

// personalAppend: commands in process. codec nil is a log on the server, any other one a
// log in memory, a new one for each turn since it grows.
func personalAppend(name string, workers int, sync embedded.Sync, codec store.Codec) scenario {
	where := "on the server"
	if codec != nil {
		where = "in memory, in " + codec.Name()
	}
	return scenario{
		name: name, sync: sync, rounds: personalRounds, atMost: personalTurn,
		what: fmt.Sprintf("commands in process, %d aggregates, events with two personal fields, log %s, beside the same without", workers, where),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			h, err := newHouse(l, codec)
			if err != nil {
				return pair{}, err
			}
			work := func(sender actor.Sender[dossier, add, note]) (sample, error) {
				return l.load(ctx, workers, func(worker, _ int) error {
					_, err := sender.Execute(ctx, dossierID(worker), noteOf(worker))
					return err
				})
			}
			if codec == nil {
				return h.onServer(work)
			}
			turn := func(a actor.Aggregate[dossier, add, note]) func(context.Context) (sample, error) {
				return func(ctx context.Context) (sample, error) {
					h.inMemory(codec)
					return h.run(ctx, nil, a, func(system *actor.System) (sample, error) { return work(actor.For(system, a)) })
				}
			}
			return pair{annals: turn(patients), raw: turn(articles)}, nil
		},
	}
}

// personalLoad: the time to load an aggregate, by replay or from a snapshot. codec is that
// of personalAppend.
func personalLoad(name string, snapshots bool, codec store.Codec) scenario {
	how, where := "by replay", "on the server"
	if snapshots {
		how = "from a snapshot"
	}
	if codec != nil {
		where = "in memory, in " + codec.Name()
	}
	return scenario{
		name: name, sync: embedded.SyncNone, latency: true, rounds: personalRounds, atMost: personalTurn,
		what: fmt.Sprintf("load of an aggregate of %d events with two personal fields %s, log %s, beside the same without", loadedEvents, how, where),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			h, err := newHouse(l, codec)
			if err != nil {
				return pair{}, err
			}
			kept := h.kept
			if !snapshots {
				kept = nil
			}
			if err := h.fill(ctx, kept, patients); err != nil {
				return pair{}, err
			}
			if err := h.fill(ctx, kept, articles); err != nil {
				return pair{}, err
			}
			load := func(a actor.Aggregate[dossier, add, note]) func(context.Context) (sample, error) {
				return func(ctx context.Context) (sample, error) {
					return h.run(ctx, kept, a, func(system *actor.System) (sample, error) {
						return l.load(ctx, 1, func(_, n int) error { return loadOne(ctx, system, a.Type, n%loadedStreams) })
					})
				}
			}
			return pair{annals: load(patients), raw: load(articles)}, nil
		},
	}
}

func loadOne(ctx context.Context, system *actor.System, aggregate string, n int) error {
	id := store.StreamID{Type: aggregate, ID: dossierID(n)}
	state, err := system.State(ctx, id, actor.At{})
	if err == nil && state.Version != loadedEvents {
		err = fmt.Errorf("%s is at version %d", id, state.Version)
	}
	return err
}

// house is a log that keeps personal data apart, and snapshots and keys with it.
type house struct {
	lab  *lab
	ring *privacy.Keyring
	log  store.Log
	kept store.Snapshots
}

func newHouse(l *lab, codec store.Codec) (*house, error) {
	file := filepath.Join(l.dir, "wrapping-keys")
	if err := privacy.GenerateFile(file, "bench"); err != nil {
		return nil, err
	}
	wrapper, err := privacy.OpenFile(file)
	if err != nil {
		return nil, err
	}
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: privacy.NewMemory(), Wrapper: wrapper, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	l.background(ring.Run)
	h := &house{lab: l, ring: ring}
	if codec != nil {
		h.inMemory(codec)
		return h, nil
	}
	kept, ok := l.log.Snapshots().(store.PastSnapshots)
	if !ok {
		return nil, fmt.Errorf("the log's snapshots have no past")
	}
	h.log, h.kept = privacy.NewLog(l.log, ring), privacy.NewSnapshots(kept, ring)
	return h, nil
}

// inMemory gives the house a new log.
func (h *house) inMemory(codec store.Codec) {
	memory := store.NewMemory(store.MemoryConfig{Codec: codec})
	h.log, h.kept = privacy.NewLog(memory, h.ring), privacy.NewSnapshots(memory, h.ring)
}

// onServer has one system for each side, in which all is in memory from the first turn on.
func (h *house) onServer(work func(actor.Sender[dossier, add, note]) (sample, error)) (pair, error) {
	side := func(a actor.Aggregate[dossier, add, note]) (func(context.Context) (sample, error), error) {
		system, err := h.system(nil, a)
		if err != nil {
			return nil, err
		}
		h.lab.background(system.Run)
		return func(context.Context) (sample, error) { return work(actor.For(system, a)) }, nil
	}
	personal, err := side(patients)
	if err != nil {
		return pair{}, err
	}
	plain, err := side(articles)
	return pair{annals: personal, raw: plain}, err
}

func (h *house) system(kept store.Snapshots, a actor.Definition) (*actor.System, error) {
	return actor.NewSystem(actor.Config{
		Log: h.log, Snapshots: kept, SnapshotEvery: actor.MaxSnapshotEvery, Keyring: h.ring, Aggregates: []actor.Definition{a},
		Logger: slog.New(slog.DiscardHandler),
	})
}

// run has a system while it works.
func (h *house) run(ctx context.Context, kept store.Snapshots, a actor.Definition, work func(*actor.System) (sample, error)) (sample, error) {
	system, err := h.system(kept, a)
	if err != nil {
		return sample{}, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- system.Run(running) }()
	s, err := work(system)
	stop() // passivates, with a snapshot of each if these are kept
	if runErr := <-done; err == nil {
		err = runErr
	}
	return s, err
}

// fill writes the streams that are loaded.
func (h *house) fill(ctx context.Context, kept store.Snapshots, a actor.Aggregate[dossier, add, note]) error {
	_, err := h.run(ctx, kept, a, func(system *actor.System) (sample, error) {
		sender := actor.For(system, a)
		return h.lab.share(ctx, loadedStreams, loadedStreams*loadedEvents, func(n int) error {
			_, err := sender.Execute(ctx, dossierID(n%loadedStreams), noteOf(n%loadedStreams))
			return err
		})
	})
	return err
}
