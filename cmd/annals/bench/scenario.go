package bench

import (
	"context"
	"fmt"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// scenario is a pair of measurements that take turns.
type scenario struct {
	name string
	what string // what is compared with what
	sync embedded.Sync
	// servers is how many there are, and how many of them hold each message.
	// Default 1.
	servers int
	// atMost caps the time of one measurement. Default 0: as asked for.
	atMost time.Duration
	// rounds is how often the two take turns. Default defaultRounds.
	rounds int
	// latency compares the p50 of single operations, where less is better,
	// rather than the rate.
	latency bool
	prepare func(context.Context, *lab) (pair, error)
}

// pair measures what Annals does, and what it is compared with: the raw
// operation, or Annals without what the scenario is about.
type pair struct {
	annals, raw func(context.Context) (sample, error)
}

var scenarios = []scenario{
	execute("execute_1_r1", 1, embedded.SyncNone),
	execute("execute_64_r1", 64, embedded.SyncNone),
	execute("execute_256_r1", 256, embedded.SyncNone),
	execute("execute_64_durable", 64, embedded.SyncBarrier),
	execute("execute_256_durable", 256, embedded.SyncBarrier),
	throughGateway("gateway_1_r1", 1),
	throughGateway("gateway_64_r1", 64),
	throughGateway("gateway_256_r1", 256),
	hot("hot_r1", 256, embedded.SyncNone),
	hot("hot_durable", 256, embedded.SyncBarrier),
	activate("activate_snapshot", 100, true),
	activate("activate_replay", 100, false),
	replayIntoView("replay_view", 100_000, 1_000),
	oneNode("nodes_1_r3", 256),
	manyNodes("nodes_3_r3", 3, 256),
	hop("hop_1_r1", 1),
	hop("hop_64_r1", 64),
	leaseCheck("lease_check", 64),
	leaseEpoch("lease_epoch"),
	linearizableRead("linearizable_read"),
	personalAppend("personal_append_1_memory", 1, embedded.SyncNone, store.MsgPack),
	personalAppend("personal_append_64_memory", 64, embedded.SyncNone, store.MsgPack),
	personalAppend("personal_append_1_json", 1, embedded.SyncNone, store.JSON),
	personalAppend("personal_append_1_r1", 1, embedded.SyncNone, nil),
	personalAppend("personal_append_64_r1", 64, embedded.SyncNone, nil),
	personalAppend("personal_append_64_durable", 64, embedded.SyncBarrier, nil),
	personalLoad("personal_load_memory", false, store.MsgPack),
	personalLoad("personal_load_json", false, store.JSON),
	personalLoad("personal_load", false, nil),
	personalLoad("personal_snapshot_memory", true, store.MsgPack),
	personalLoad("personal_snapshot", true, nil),
}

// execute: commands in process, each worker with an aggregate of its own,
// beside conditional publishes, each worker with a subject of its own.
func execute(name string, workers int, sync embedded.Sync) scenario {
	return scenario{
		name: name, sync: sync,
		what: fmt.Sprintf("commands in process, %d aggregates, beside as many conditional publishers", workers),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			system, err := l.system(nil)
			if err != nil {
				return pair{}, err
			}
			sender := actor.For(system, Notebooks)
			return l.against(ctx, workers, func(worker, _ int) error {
				_, err := sender.Execute(ctx, fmt.Sprint("notebook-", worker), page)
				return err
			})
		},
	}
}

func throughGateway(name string, workers int) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone,
		what: fmt.Sprintf("commands through the gateway, %d aggregates, beside as many conditional publishers", workers),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			system, err := l.system(nil)
			if err != nil {
				return pair{}, err
			}
			client, err := l.client(ctx, system)
			if err != nil {
				return pair{}, err
			}
			sender := gateway.For(client, Notebooks)
			return l.against(ctx, workers, func(worker, _ int) error {
				_, err := sender.Send(ctx, fmt.Sprint("notebook-", worker), page)
				return err
			})
		},
	}
}

// hot: many senders, one aggregate, beside one conditional publisher: a
// subject takes one append at a time.
func hot(name string, senders int, sync embedded.Sync) scenario {
	return scenario{
		name: name, sync: sync,
		what: fmt.Sprintf("commands in process, %d senders to one aggregate, beside one conditional publisher", senders),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			system, err := l.system(nil)
			if err != nil {
				return pair{}, err
			}
			sender := actor.For(system, Notebooks)
			p, err := l.against(ctx, 1, nil)
			p.annals = func(ctx context.Context) (sample, error) {
				return l.load(ctx, senders, func(int, int) error {
					_, err := sender.Execute(ctx, "notebook", page)
					return err
				})
			}
			return p, err
		},
	}
}

// against pairs work with conditional publishers.
func (l *lab) against(ctx context.Context, workers int, work func(worker, n int) error) (pair, error) {
	r, err := l.raw(ctx)
	if err != nil {
		return pair{}, err
	}
	writers := make([]func() error, workers)
	for i := range writers {
		writers[i] = r.writer(fmt.Sprint("notebook-", i))
	}
	return pair{
		annals: func(ctx context.Context) (sample, error) { return l.load(ctx, workers, work) },
		raw: func(ctx context.Context) (sample, error) {
			return l.load(ctx, workers, func(worker, _ int) error { return writers[worker]() })
		},
	}, nil
}

const activated = 300 // aggregates that are activated in turn

// activate: the time to load an aggregate of so many events, written one by
// one among those of others, beside reading the last message of a subject.
func activate(name string, events int, snapshots bool) scenario {
	what := "from a snapshot"
	if !snapshots {
		what = "by replay"
	}
	return scenario{
		name: name, sync: embedded.SyncNone, latency: true,
		what: fmt.Sprintf("load of an aggregate of %d events %s, beside a read of a subject's last message", events, what),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			if err := l.write(ctx, activated, events, snapshots); err != nil {
				return pair{}, err
			}
			system, err := l.system(func(c *actor.Config) {
				if !snapshots {
					c.Snapshots = nil
				}
			})
			if err != nil {
				return pair{}, err
			}
			r, err := l.raw(ctx)
			if err != nil {
				return pair{}, err
			}
			if err := r.writer("one")(); err != nil {
				return pair{}, err
			}
			return pair{
				annals: func(ctx context.Context) (sample, error) {
					return l.load(ctx, 1, func(_, n int) error {
						id := store.StreamID{Type: Notebooks.Type, ID: notebookID(n % activated)}
						state, err := system.State(ctx, id, actor.At{})
						if err == nil && state.Version != uint64(events) {
							err = fmt.Errorf("%s is at version %d", id, state.Version)
						}
						return err
					})
				},
				raw: func(ctx context.Context) (sample, error) {
					return l.load(ctx, 1, func(int, int) error { return r.lastOf("one") })
				},
			}, nil
		},
	}
}

func notebookID(n int) string { return fmt.Sprint("notebook-", n) }

// write fills notebooks by a system that is gone afterwards, in turns, so that
// the events of one lie among those of the others.
func (l *lab) write(ctx context.Context, notebooks, events int, snapshots bool) error {
	config := actor.Config{Log: l.log, Aggregates: []actor.Definition{Notebooks}}
	if snapshots {
		config.Snapshots, config.SnapshotEvery = l.log.Snapshots(), actor.MaxSnapshotEvery
	}
	system, err := actor.NewSystem(config)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- system.Run(running) }()
	sender := actor.For(system, Notebooks)
	const workers = 64
	_, err = l.share(ctx, workers, notebooks*events, func(n int) error {
		_, err := sender.Execute(ctx, notebookID(n%notebooks), page)
		return err
	})
	stop() // passivates, with a snapshot of each
	if runErr := <-done; err == nil {
		err = runErr
	}
	return err
}

// share does n operations in so many workers.
func (l *lab) share(ctx context.Context, workers, n int, work func(n int) error) (sample, error) {
	next := make(chan int)
	go func() {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	unbounded := *l
	unbounded.seconds = time.Hour
	return unbounded.load(ctx, workers, func(int, int) error {
		i, open := <-next
		if !open {
			return errDone
		}
		return work(i)
	})
}

// replayIntoView: a view built from the first event on, documents and
// checkpoint written, beside a bare consumer of the same stream.
func replayIntoView(name string, events, notebooks int) scenario {
	return scenario{
		name: name, sync: embedded.SyncNone,
		what: fmt.Sprintf("replay of %d events into a view of %d documents, beside a bare consumer of the same stream", events, notebooks),
		prepare: func(ctx context.Context, l *lab) (pair, error) {
			if err := l.write(ctx, notebooks, events/notebooks, false); err != nil {
				return pair{}, err
			}
			r, err := l.raw(ctx)
			if err != nil {
				return pair{}, err
			}
			js, err := natsjs.New(r.conn)
			if err != nil {
				return pair{}, err
			}
			stream, err := js.Stream(ctx, "ANNALS_"+namespace+"_events")
			if err != nil {
				return pair{}, err
			}
			version := 0
			return pair{
				annals: func(ctx context.Context) (sample, error) {
					version++
					return l.replay(ctx, version, events)
				},
				raw: func(ctx context.Context) (sample, error) { return r.replay(ctx, stream, events) },
			}, nil
		},
	}
}

func (l *lab) replay(ctx context.Context, version, events int) (sample, error) {
	tip, err := l.log.Tip(ctx)
	if err != nil {
		return sample{}, err
	}
	view := byNotebook
	view.Version = version // a new read model each time
	began := time.Now()
	group, err := l.views(view)
	if err != nil {
		return sample{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := group.Wait(ctx, view.Name, tip); err != nil {
		return sample{}, err
	}
	return rate(events, time.Since(began)), nil
}
