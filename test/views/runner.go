package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/annals-go/annals/cluster/embedded"
)

// The namespaces of the two logs.
const (
	loans     = "loans"
	synthetic = "synthetic"
)

// runner does one trial after the other.
type runner struct {
	options options
	bench   *bench
	places  *addresses
	where   map[string]string // address of each store
	book    *book             // of the history
	tell    io.Writer
	total   report
}

// try does everything in a directory of its own, which is gone afterwards.
func try(ctx context.Context, o options, tell io.Writer) (total report, err error) {
	began := time.Now()
	dir, err := os.MkdirTemp(o.Dir, "annals-views-")
	if err != nil {
		return total, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &runner{
		options: o, bench: &bench{dir: dir}, places: &addresses{dir: dir}, where: map[string]string{}, tell: tell,
		total: report{Stores: map[string]killed{}, Parked: map[string]parked{}, Seed: o.Seed},
	}
	defer r.bench.stop()
	defer func() { err = errors.Join(err, r.places.close()) }()
	r.say("seed %d", o.Seed)
	err = r.run(ctx)
	r.total.Seconds = time.Since(began).Seconds()
	return r.total, err
}

func (r *runner) run(ctx context.Context) (err error) {
	for _, s := range r.options.stores {
		if r.where[s], err = r.places.of(ctx, s); err != nil {
			return fmt.Errorf("store %s: %w", s, err)
		}
	}
	if r.book, err = r.fill(ctx); err != nil {
		return fmt.Errorf("fill the logs: %w", err)
	}
	for i, s := range r.options.stores {
		if err := r.kill(ctx, s, r.options.Seed+uint64(i)); err != nil {
			return fmt.Errorf("kill the projector of %s: %w", s, err)
		}
		if err := r.park(ctx, s); err != nil {
			return fmt.Errorf("park a stream in %s: %w", s, err)
		}
	}
	if r.options.rounds == 0 {
		return nil
	}
	if err := r.rates(ctx); err != nil {
		return err
	}
	r.total.Blocked, err = r.blocked(ctx)
	return err
}

// fill makes the logs, and reads the first one back.
func (r *runner) fill(ctx context.Context) (*book, error) {
	if err := r.bench.start(embedded.SyncNone); err != nil {
		return nil, err
	}
	if err := r.fillOne(ctx, loans, r.options.history, r.options.events); err != nil {
		return nil, err
	}
	if r.options.synthetic > 0 && r.options.rounds > 0 {
		if err := r.fillOne(ctx, synthetic, "", r.options.synthetic); err != nil {
			return nil, err
		}
	}
	r.bench.stop()
	if err := r.bench.start(embedded.SyncAlways); err != nil {
		return nil, err
	}
	log, err := r.bench.log(ctx, loans)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	commits, err := readLog(ctx, log)
	if err != nil {
		return nil, err
	}
	return newBook(commits)
}

func (r *runner) fillOne(ctx context.Context, namespace, path string, events int) error {
	began := time.Now()
	log, err := r.bench.log(ctx, namespace)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	if err := fill(ctx, log, traces(path, events)); err != nil {
		return err
	}
	r.say("log %s: %d events in %s", namespace, events, time.Since(began).Round(time.Millisecond))
	return nil
}

// trial is one of a store, with the history.
func (r *runner) trial(store string) *trial {
	return &trial{
		store: store, dir: r.bench.dir, bench: r.bench, book: r.book, tell: r.tell,
		options: childOptions{
			role: roleProjector, server: r.bench.server.URL(), namespace: loans, address: r.where[store], workers: 1, announce: true,
		},
	}
}

func (r *runner) kill(ctx context.Context, store string, seed uint64) error {
	k, err := r.trial(store).run(ctx, r.options.kills, moments(seed))
	r.total.Stores[store] = k
	r.total.Kills += k.Kills
	r.total.Differences += k.Differences
	r.say("%s: %d kills, %d in a commit, %d catch-ups, %d differences, %d of 2 planted ones found, %.1f s",
		store, k.Kills, k.InCommit, k.CatchUps, k.Differences, k.Planted, k.Seconds)
	return err
}

func (r *runner) rates(ctx context.Context) (err error) {
	if r.total.rates, err = r.measure(ctx, loans, 1, r.options.rounds); err != nil {
		return err
	}
	if r.total.TwoWorkers, err = r.measure(ctx, loans, 2, r.options.rounds); err != nil {
		return err
	}
	if r.options.synthetic > 0 {
		r.total.Synthetic, err = r.measure(ctx, synthetic, 1, 1)
	}
	return err
}

func (r *runner) say(format string, v ...any) { _, _ = fmt.Fprintf(r.tell, format+"\n", v...) }
