package privacy_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// node is one of several that serve the same streams, as nodes do while they hand
// over: each with a keyring and actors of its own.
type node struct {
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
	nodes   []*node
	logged  *buffer
	wrapper privacy.Wrapper
	forget  *privacy.Forgetter
	wait    sync.WaitGroup
	stop    context.CancelFunc
}

func newOffice(t *testing.T, dice *dice, codec store.Codec, nodes int) *office {
	t.Helper()
	path := t.TempDir() + "/keys"
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	wrapper, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{dice: dice, memory: store.NewMemory(store.MemoryConfig{Codec: codec}), keys: privacy.NewMemory(), logged: &buffer{}, wrapper: wrapper}
	ctx, cancel := context.WithCancel(context.Background())
	o.stop = cancel
	for range nodes {
		o.nodes = append(o.nodes, o.newNode(ctx, t, wrapper))
	}
	o.forget, err = privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: o.keys, Purge: o.purge,
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) newNode(ctx context.Context, t *testing.T, wrapper privacy.Wrapper) *node {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(o.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: o.keys, Wrapper: wrapper, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{ring: ring, log: privacy.NewLog(slowly{o.memory, o.dice}, ring), snaps: privacy.NewSnapshots(slowSnapshots{o.memory, o.dice}, ring)}
	n.system, err = actor.NewSystem(actor.Config{
		Log: n.log, Snapshots: n.snaps, Aggregates: []actor.Definition{rosters}, Keyring: ring, KeepCommands: true, Shared: true,
		SnapshotEvery: 5, PassivateAfter: 300 * time.Millisecond, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	n.sender = actor.For(n.system, rosters)
	for _, run := range []func(context.Context) error{n.ring.Run, n.system.Run} {
		o.wait.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	return n
}

// close ends all that runs.
func (o *office) close() {
	o.stop()
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
	for i, n := range o.nodes {
		if err := n.ring.Purge(ctx, subject); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		if err := n.system.Purge(ctx, erased); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	return nil
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
