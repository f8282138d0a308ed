package kv

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// lookEvery is how often a watcher looks what is in the registry, whether it was
// told of a change or not: a replica may have been behind when it was told, and a
// connection may have been interrupted.
const lookEvery = time.Second

// lookSoon is how soon a watcher looks again when it was told of a change, and
// then twice as long each time: a publish is seen before it is stored, and the one
// that is seen first may be another.
const lookSoon = 10 * time.Millisecond

// Watch implements [projector.Registry]. The server keeps nothing for it: it
// looks again and again, at once when something is published, and calls changed
// with what it did not see before. It ends with an error if the connection was
// closed or an entry is damaged.
func (r *Registry) Watch(ctx context.Context, changed func(view string, e projector.Entry, revision uint64)) error {
	cfg := r.buckets.cfg
	if err := cfg.validate(); err != nil {
		return err
	}
	hints := make(chan struct{}, 1) // one says that there is something
	told, err := cfg.Conn.Subscribe(registryOf(cfg.Namespace).all, func(*nats.Msg) {
		select {
		case hints <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return unavailable("watch registry", err)
	}
	defer func() { _ = told.Unsubscribe() }()
	w := watcher{registry: r, changed: changed, seen: map[string]uint64{}}
	for soon := lookEvery; ctx.Err() == nil; {
		switch err := w.look(ctx); {
		case errors.Is(err, store.ErrDamaged):
			return err
		case cfg.Conn.IsClosed():
			return unavailable("watch registry", nats.ErrConnectionClosed)
		}
		soon = wait(ctx, hints, soon)
	}
	return nil
}

// wait waits for a hint or until it is time to look, and returns how soon it is
// after that.
func wait(ctx context.Context, hints <-chan struct{}, soon time.Duration) time.Duration {
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-hints:
		return lookSoon
	case <-timer.C:
	}
	return min(2*soon, lookEvery)
}

// watcher is what one call of Watch has seen.
type watcher struct {
	registry *Registry
	changed  func(view string, e projector.Entry, revision uint64)
	seen     map[string]uint64
}

// look calls changed with each entry that is newer than what was seen.
func (w *watcher) look(ctx context.Context) error {
	b, err := w.registry.bucket(ctx)
	if err != nil {
		return err
	}
	found, err := b.entries(ctx)
	if err != nil {
		return w.registry.failed(b, "watch", err)
	}
	for _, m := range found {
		view := b.viewOf(m)
		if m.sequence <= w.seen[view] {
			continue
		}
		e, err := m.entry()
		if err != nil {
			return w.registry.failed(b, "watch", err)
		}
		w.seen[view] = m.sequence
		w.changed(view, e, m.sequence)
	}
	return nil
}
