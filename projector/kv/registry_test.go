package kv_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/projector/projectortest"
	"github.com/annals-go/annals/store"
)

// flakyRegistry is a registry whose connection can be harmed.
type flakyRegistry struct {
	*kv.Registry
	lossy *lossy
}

func openRegistries(to urls, replicas int) func(t *testing.T) (one, other projector.Registry) {
	return func(t *testing.T) (one, other projector.Registry) {
		open := func() *flakyRegistry {
			l := &lossy{}
			conn, err := nats.Connect(to.URL(), nats.SetCustomDialer(l), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1), silent)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				conn.Close()
				if !l.take(nothing) {
					t.Error("what was to be lost never came")
				}
			})
			return &flakyRegistry{Registry: kv.NewRegistry(kv.Config{Conn: conn, Namespace: namespaceOf(t), Replicas: replicas}), lossy: l}
		}
		return open(), open()
	}
}

func harmRegistry(p part) func(*testing.T, projector.Registry) {
	return func(_ *testing.T, r projector.Registry) { r.(*flakyRegistry).lossy.set(p) }
}

func conformRegistry(t *testing.T, to urls, replicas int) {
	projectortest.RunRegistry(t, projectortest.RegistryHarness{
		Open: openRegistries(to, replicas), LoseAnswer: harmRegistry(answer), LoseRequest: harmRegistry(request),
	})
}

func TestRegistryConforms(t *testing.T) {
	t.Parallel()
	conformRegistry(t, startServer(t), 1)
}

func TestRegistryConformsOnThreeServers(t *testing.T) {
	t.Parallel()
	conformRegistry(t, sharedThree(t), 3)
}

func TestRegistryRefuses(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	for name, c := range map[string]struct {
		cfg  kv.Config
		view string
	}{
		"no connection": {kv.Config{Namespace: "app"}, "v"},
		"bad namespace": {kv.Config{Conn: conn, Namespace: "a.b"}, "v"},
		"bad view":      {kv.Config{Conn: conn, Namespace: "app"}, "a.b"},
	} {
		r := kv.NewRegistry(c.cfg)
		if _, _, err := r.Load(t.Context(), c.view); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: load: %v, want ErrInvalid", name, err)
		}
		if _, err := r.Store(t.Context(), c.view, projector.Entry{}, 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: store: %v, want ErrInvalid", name, err)
		}
	}
}

// An entry is acknowledged when it is on the disk, and read when it is.
func TestRegistryWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	d := &disk{}
	r := kv.NewRegistry(kv.Config{Conn: conn, Namespace: "app", Barrier: d.barrier})
	revision, err := r.Store(t.Context(), "v", projector.Entry{Paused: true}, 0)
	if err != nil || d.waits.Load() != 1 {
		t.Fatalf("store: %v after %d syncs", err, d.waits.Load())
	}
	if _, got, err := r.Load(t.Context(), "v"); err != nil || got != revision || d.waits.Load() != 2 {
		t.Errorf("load: revision %d, %v after %d syncs", got, err, d.waits.Load())
	}
	broken := errors.New("broken")
	d.wait = func(context.Context) error { return broken }
	if _, err := r.Store(t.Context(), "v", projector.Entry{}, revision); !errors.Is(err, store.ErrUnknown) || !errors.Is(err, broken) {
		t.Errorf("store: %v, want ErrUnknown", err)
	}
	if _, _, err := r.Load(t.Context(), "v"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("load: %v, want ErrUnavailable", err)
	}
}

// What is kept is an ordinary KV bucket: any client reads it, and what another
// client leaves there is told apart from an entry.
func TestRegistryIsPlainKeyValues(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	r := kv.NewRegistry(kv.Config{Conn: conn, Namespace: "app"})
	revision, err := r.Store(t.Context(), "totals", projector.Entry{Paused: true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	bucket := bucketOf(t, conn, "ANNALS_app_projections")
	var kept projector.Entry
	if entry, err := bucket.Get(t.Context(), "totals"); err != nil || entry.Revision() != revision || json.Unmarshal(entry.Value(), &kept) != nil || !kept.Paused {
		t.Errorf("entry is %v, %v", entry, err)
	}
	if err := bucket.Delete(t.Context(), "totals"); err != nil {
		t.Fatal(err)
	}
	e, deleted, err := r.Load(t.Context(), "totals")
	if err != nil || e.Paused || deleted <= revision {
		t.Errorf("deleted entry is %+v, revision %d, %v", e, deleted, err)
	}
	if _, err := r.Store(t.Context(), "totals", projector.Entry{}, deleted); err != nil {
		t.Errorf("store after a deletion: %v", err)
	}
	if _, err := bucket.Put(t.Context(), "totals", []byte("no JSON")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Load(t.Context(), "totals"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("load: %v, want ErrDamaged", err)
	}
	if err := r.Watch(t.Context(), func(string, projector.Entry, uint64) {}); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("watch: %v, want ErrDamaged", err)
	}
}

// Changes of the leader, one after the other, lose no entry, and no watcher
// misses one.
func TestRegistryOutlivesLeaders(t *testing.T) {
	t.Parallel()
	cluster := startThree(t)
	conn := connect(t, cluster, silent)
	one := kv.NewRegistry(kv.Config{Conn: conn, Namespace: "app", Replicas: 3})
	other := kv.NewRegistry(kv.Config{Conn: connect(t, cluster, silent), Namespace: "app", Replicas: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	revision, err := one.Store(ctx, "v", projector.Entry{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	builds, ended := make(chan int, 1000), make(chan error, 1)
	watching, stop := context.WithCancel(ctx)
	go func() {
		ended <- other.Watch(watching, func(_ string, e projector.Entry, _ uint64) { builds <- e.Live.Build })
	}()
	for round := range 3 {
		leader := leaderOf(t, cluster, conn, "KV_ANNALS_app_projections")
		cluster.Stop(leader)
		for build := 10*round + 1; build < 10*round+5; build++ {
			e := projector.Entry{Live: projector.Kept{Model: projector.Model{View: "v", Version: 1, Build: build}}}
			if revision, err = one.Store(ctx, "v", e, revision); err != nil {
				t.Fatal(err)
			}
			for seen := -1; seen != build; {
				select {
				case seen = <-builds:
				case <-ctx.Done():
					t.Fatalf("the watcher was not told of build %d", build)
				}
			}
		}
		if err := cluster.Start(leader); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("watch: %v", err)
	}
}
