package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store/jetstream"
)

const namespace = "bench"

// lab is a fresh server with a log on it, for one scenario.
type lab struct {
	server  *embedded.Server
	conn    *nats.Conn
	log     *jetstream.Log
	seconds time.Duration // of one measurement
	cleanup []func()
}

func newLab(ctx context.Context, sync embedded.Sync, measure time.Duration) (_ *lab, err error) {
	l := &lab{seconds: measure}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	dir, err := os.MkdirTemp("", "annals-bench-")
	if err != nil {
		return nil, err
	}
	l.onClose(func() { _ = os.RemoveAll(dir) })
	if l.server, err = embedded.Start(embedded.Config{Dir: dir, Sync: sync, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, err
	}
	l.onClose(l.server.Shutdown)
	if l.conn, err = l.connect(); err != nil {
		return nil, err
	}
	l.log, err = jetstream.Open(ctx, jetstream.Config{Conn: l.conn, Namespace: namespace, Barrier: l.server.Barrier()})
	if err != nil {
		return nil, err
	}
	l.onClose(func() { _ = l.log.Close() })
	return l, nil
}

func (l *lab) onClose(f func()) { l.cleanup = append(l.cleanup, f) }

func (l *lab) close() {
	for len(l.cleanup) > 0 {
		last := len(l.cleanup) - 1
		l.cleanup[last]()
		l.cleanup = l.cleanup[:last]
	}
}

func (l *lab) connect() (*nats.Conn, error) {
	nc, err := l.server.Connect()
	if err == nil {
		l.onClose(nc.Close)
	}
	return nc, err
}

// background runs a part of the system until the lab closes.
func (l *lab) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(ctx)
	}()
	l.onClose(func() {
		cancel()
		<-done
	})
}

func (l *lab) system(change func(*actor.Config)) (*actor.System, error) {
	config := actor.Config{
		Log: l.log, Snapshots: l.log.Snapshots(), Aggregates: []actor.Definition{Notebooks},
		Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	system, err := actor.NewSystem(config)
	if err == nil {
		l.background(system.Run)
	}
	return system, err
}

// client returns a client, on a connection of its own, of a gateway.
func (l *lab) client(ctx context.Context, system *actor.System) (*gateway.Client, error) {
	g, err := gateway.New(gateway.Config{Conn: l.conn, Namespace: namespace, Actors: system, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	l.background(g.Run)
	select {
	case <-g.Ready():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	nc, err := l.connect()
	if err != nil {
		return nil, err
	}
	return gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: namespace})
}

func (l *lab) views(projections ...projector.Definition) (*projector.Group, error) {
	group, err := projector.NewGroup(projector.Config{
		Log: l.log, Store: kv.New(kv.Config{Conn: l.conn, Namespace: namespace, Barrier: l.server.Barrier()}), Projections: projections,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		l.background(group.Run)
	}
	return group, err
}

// load runs work in so many workers for the lab's measuring time.
func (l *lab) load(ctx context.Context, workers int, work func(worker, n int) error) (sample, error) {
	var stop atomic.Bool
	timer := time.AfterFunc(l.seconds, func() { stop.Store(true) })
	defer timer.Stop()
	latencies := make([][]time.Duration, workers)
	errs := make([]error, workers)
	began := time.Now()
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for n := 0; !stop.Load() && ctx.Err() == nil; n++ {
				start := time.Now()
				err := work(w, n)
				if errors.Is(err, errDone) {
					return
				}
				if err != nil {
					errs[w] = fmt.Errorf("worker %d, operation %d: %w", w, n, err)
					return
				}
				latencies[w] = append(latencies[w], time.Since(start))
			}
		})
	}
	group.Wait()
	return newSample(latencies, time.Since(began)), errors.Join(append(errs, ctx.Err())...)
}
