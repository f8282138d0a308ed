package privacy_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// node is one of several that serve the same streams, as nodes do while they hand
// over: each with a keyring and actors of its own.
type node struct {
	gone    <-chan struct{} // closed when it crashes
	end     context.CancelFunc
	crashed atomic.Bool

	ring   *privacy.Keyring
	log    *privacy.Log
	snaps  *privacy.Snapshots
	system *actor.System
	sender actor.Sender[roster, command, event]
}

// office is all of it.
type office struct {
	dice    *dice
	memory  *store.Memory
	keys    *privacy.Memory
	gallery *gallery
	tally   *tally
	logged  *buffer

	changing sync.Mutex
	nodes    []*node

	wrapper privacy.Wrapper
	forget  *privacy.Forgetter
	wait    sync.WaitGroup
}

func newOffice(ctx context.Context, t *testing.T, dice *dice, codec store.Codec, nodes int, all *counts) *office {
	t.Helper()
	path := t.TempDir() + "/keys"
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	wrapper, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{dice: dice, memory: store.NewMemory(store.MemoryConfig{Codec: codec}), keys: privacy.NewMemory(), logged: &buffer{}, wrapper: wrapper, tally: &tally{all: all}}
	for range nodes {
		o.nodes = append(o.nodes, o.newNode(ctx, t))
	}
	o.gallery = o.newGallery(t)
	o.run(ctx, t, o.gallery.ring.Run)
	o.run(ctx, t, o.gallery.group.Run)
	o.forget, err = privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: o.keys, Purge: o.purge,
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(o.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (o *office) newNode(ctx context.Context, t *testing.T) *node {
	t.Helper()
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: o.keys, Wrapper: o.wrapper, Logger: o.logger()})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{ring: ring}
	ctx, n.end = context.WithCancel(ctx)
	n.gone = ctx.Done()
	n.log = privacy.NewLog(slowly{o.memory, o.dice, &n.crashed}, ring)
	n.snaps = privacy.NewSnapshots(slowSnapshots{o.memory, o.dice, &n.crashed, o.tally}, ring)
	n.system, err = actor.NewSystem(actor.Config{
		Log: n.log, Snapshots: n.snaps, Aggregates: []actor.Definition{rosters}, Keyring: ring, KeepCommands: true, Shared: true,
		SnapshotEvery: 5, PassivateAfter: 300 * time.Millisecond, Logger: o.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.sender = actor.For(n.system, rosters)
	o.run(ctx, t, n.ring.Run)
	o.run(ctx, t, n.system.Run)
	return n
}

func (o *office) run(ctx context.Context, t *testing.T, run func(context.Context) error) {
	t.Helper()
	o.wait.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

// crash ends a node in the middle of whatever it does, with all that it had in memory, and has
// another one in its place.
func (o *office) crash(ctx context.Context, t *testing.T, at int) {
	t.Helper()
	defer o.tally.during("crash")()
	n := o.node(at)
	n.crashed.Store(true)
	n.end()
	again := o.newNode(ctx, t)
	o.changing.Lock()
	defer o.changing.Unlock()
	o.nodes[at] = again
}

func (o *office) node(at int) *node {
	o.changing.Lock()
	defer o.changing.Unlock()
	return o.nodes[at]
}

func (o *office) all() []*node {
	o.changing.Lock()
	defer o.changing.Unlock()
	return slices.Clone(o.nodes)
}

// closed waits until nothing runs any more.
func (o *office) closed() {
	o.wait.Wait()
}

// purge is what each node does when it is told of an erasure.
func (o *office) purge(ctx context.Context, subject string) error {
	record, err := o.keys.Load(ctx, subject)
	if err != nil {
		return err
	}
	var erased []store.KeyRef
	for _, e := range record.Erased {
		erased = append(erased, store.KeyRef{Subject: subject, ID: e.Key})
	}
	for i, n := range o.all() {
		if err := n.purge(ctx, subject, erased); err != nil && !n.crashed.Load() {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	return o.gallery.purge(ctx, subject, erased)
}

// purge is a node's own part. One that crashes meanwhile has nothing in memory.
func (n *node) purge(ctx context.Context, subject string, erased []store.KeyRef) error {
	ctx, cancel := n.during(ctx)
	defer cancel()
	if err := n.ring.Purge(ctx, subject); err != nil {
		return err
	}
	return n.system.Purge(ctx, erased)
}

// during returns a context that ends with the node, too.
func (n *node) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-n.gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

func stream(id string) store.StreamID { return store.StreamID{Type: "roster", ID: id} }

// buffer is what was logged.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
