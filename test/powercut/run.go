//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/test/harness"
)

// system is what is put under load and loses its power.
type system interface {
	// start starts it with its data in dir and returns when it serves.
	start(ctx context.Context, dir string, sync embedded.Sync) (*harness.Process, error)
	// load puts it under load, with commands until sending ends and with queries
	// until ctx ends, and calls began once when the load is on. That the system
	// goes away meanwhile is no error.
	load(ctx, sending context.Context, c cut, began func()) error
	// rebuilt returns nil when its views have been rebuilt up to that part.
	rebuilt(ctx context.Context, part float64) error
	// darken tells that the power goes now.
	darken()
	// acknowledged returns how many writes it has acknowledged since forget.
	acknowledged() int
	// check compares what the running system holds with what it has told.
	check(ctx context.Context) (findings, error)
	// lost returns how many acknowledged writes are not in the store behind nc.
	lost(ctx context.Context, nc *nats.Conn) (int, error)
	// dropViews removes all that is derived from the log from the data in dir.
	dropViews(ctx context.Context, dir string) error
	// forget begins anew, on an empty file system.
	forget()
}

// runner makes one cut after the other.
type runner struct {
	image  *image
	system system
	tell   io.Writer // progress
	total  report
}

func (r *runner) run(ctx context.Context, plan []cut) error {
	for _, c := range plan {
		if err := r.once(ctx, c); err != nil {
			return fmt.Errorf("cut %d: %w", c.Number, err)
		}
	}
	return nil
}

// once makes one cut and checks what is left.
func (r *runner) once(ctx context.Context, c cut) error {
	if c.Fresh {
		if err := r.image.format(ctx); err != nil {
			return err
		}
		r.system.forget()
	}
	before := r.system.acknowledged()
	if err := r.loadAndCut(ctx, c); err != nil {
		return err
	}
	if err := r.image.mount(ctx, c.Commit); err != nil {
		return err
	}
	made := r.system.acknowledged() - before
	if c.Control {
		return r.control(ctx, c, made)
	}
	found, err := r.checkRestarted(ctx)
	if err != nil {
		return err
	}
	r.total.Cuts++
	r.total.Acknowledged += made
	r.total.Lost += found.lost
	r.total.Ahead += found.ahead
	r.total.Wrong += found.wrong
	r.total.Groundless += found.groundless
	r.total.SlowestReady = max(r.total.SlowestReady, found.ready.Seconds())
	r.say("cut %d: %s: %d acknowledged, %d lost, %d ahead, %d wrong, %d groundless, ready again in %s",
		c.Number, c, made, found.lost, found.ahead, found.wrong, found.groundless, found.ready.Round(time.Millisecond))
	for _, n := range found.notes {
		r.say("  %s", n)
	}
	return r.image.unmount(ctx)
}

func (r *runner) data() string { return filepath.Join(r.image.dir, "data") }

// afterCut is how long the system lives on without power. What it
// acknowledges in that time counts: it must not.
const afterCut = 100 * time.Millisecond

// loadAndCut ends with the file system unmounted and the process gone.
func (r *runner) loadAndCut(ctx context.Context, c cut) error {
	p, err := r.prepare(ctx, c)
	if err != nil {
		return err
	}
	defer p.Kill()

	loading, stop := context.WithCancel(ctx)
	defer stop()
	sending, hush := context.WithCancel(loading)
	defer hush()
	if c.Rebuild > 0 {
		hush()
	}
	began, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- r.system.load(loading, sending, c, func() { close(began) }) }()
	select {
	case <-began:
	case err := <-done:
		return fmt.Errorf("load: %w", err)
	}
	if err := r.moment(ctx, c, hush); err != nil {
		return err
	}
	if err := r.cut(ctx, c, p); err != nil {
		return err
	}
	stop()
	if err := <-done; err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return r.image.unmount(ctx)
}

// prepare mounts the file system and starts the system on it.
func (r *runner) prepare(ctx context.Context, c cut) (*harness.Process, error) {
	if err := r.image.mount(ctx, c.Commit); err != nil {
		return nil, err
	}
	if c.Rebuild > 0 {
		if err := r.system.dropViews(ctx, r.data()); err != nil {
			return nil, fmt.Errorf("drop the views: %w", err)
		}
	}
	if c.Control {
		return r.system.start(ctx, r.data(), embedded.SyncNone)
	}
	return r.system.start(ctx, r.data(), embedded.SyncBarrier)
}

// cut takes the power away and then the process: the other way round, a dead
// process could no longer acknowledge what the disk has not got.
func (r *runner) cut(ctx context.Context, c cut, p *harness.Process) error {
	r.system.darken()
	if err := r.image.cut(c.How); err != nil {
		return err
	}
	if err := harness.Pause(ctx, afterCut); err != nil {
		return err
	}
	p.Kill()
	return nil
}

// control counts what the system without a barrier lost. It reads the store
// with a bare server: what the system itself makes of such a loss is not asked
// here.
func (r *runner) control(ctx context.Context, c cut, made int) error {
	lost := 0
	err := withServer(r.data(), func(nc *nats.Conn) (err error) {
		lost, err = r.system.lost(ctx, nc)
		return err
	})
	if err != nil {
		return err
	}
	r.total.ControlLost += lost
	r.say("control %d: %s: %d acknowledged, %d lost", c.Number, c, made, lost)
	return r.image.unmount(ctx)
}

// withServer runs a server on the data in dir as long as do works on it. What
// it did is durable afterwards.
func withServer(dir string, do func(*nats.Conn) error) error {
	s, err := embedded.Start(embedded.Config{Dir: dir, Port: embedded.NoListener, Sync: embedded.SyncAlways})
	if err != nil {
		return err
	}
	defer s.Shutdown()
	nc, err := s.Connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	return do(nc)
}

// stopLimit bounds the end of a system whose work is done.
const stopLimit = 15 * time.Second

// checkRestarted starts the system on what is left and checks it.
func (r *runner) checkRestarted(ctx context.Context) (findings, error) {
	began := time.Now()
	p, err := r.system.start(ctx, r.data(), embedded.SyncBarrier)
	if err != nil {
		return findings{}, fmt.Errorf("restart: %w", err)
	}
	defer func() { _ = p.Stop(stopLimit) }() // what it was stopped for is known by then
	ready := time.Since(began)
	found, err := r.system.check(ctx)
	if err != nil {
		return findings{}, fmt.Errorf("check: %w; the system printed:\n%s", err, p.Tail())
	}
	found.ready = ready
	return found, nil
}

func (r *runner) say(format string, v ...any) { _, _ = fmt.Fprintf(r.tell, format+"\n", v...) }

// maxLoadTime bounds the wait for acknowledgements: a slow machine makes
// fewer.
const maxLoadTime = 10 * time.Second

// moment returns when it is time for the cut.
func (r *runner) moment(ctx context.Context, c cut, hush func()) error {
	if c.Rebuild > 0 {
		return harness.Until(ctx, catchUp, "the views are rebuilt so far", func() error { return r.system.rebuilt(ctx, c.Rebuild) })
	}
	limit := time.Now().Add(maxLoadTime)
	for enough := r.system.acknowledged() + c.Load; r.system.acknowledged() < enough && time.Now().Before(limit); {
		if err := harness.Pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	if c.Quiet == 0 {
		return nil
	}
	hush()
	return harness.Pause(ctx, c.Quiet)
}
