package kv_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/store"
)

// All gives every entry, however many of them change while it lists them.
func TestRegistryAllWhileEntriesChange(t *testing.T) {
	t.Parallel()
	const views, listings = 400, 25
	conn := connect(t, startServer(t))
	r := kv.NewRegistry(kv.Config{Conn: conn, Namespace: "app", InMemory: true})
	name := func(i int) string { return fmt.Sprintf("view%03d", i%views) }
	for i := range views {
		if _, err := r.Store(t.Context(), name(i), projector.Entry{Paused: true}, 0); err != nil {
			t.Fatal(err)
		}
	}
	bucket := bucketOf(t, conn, "ANNALS_app_projections")
	var changing sync.WaitGroup
	stop := make(chan struct{})
	for worker := range 3 {
		changing.Go(func() {
			for i := worker * views / 3; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := bucket.Put(t.Context(), name(i), []byte(`{"paused":true}`)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range listings {
		all, err := r.All(t.Context())
		if err != nil {
			t.Error(err)
			break
		}
		for i := range views {
			if !all[name(i)].Paused {
				t.Errorf("of %d views %d were listed, and not %s", views, len(all), name(i))
				break
			}
		}
	}
	close(stop)
	changing.Wait()
}

// Where there is no registry All makes none; a deleted entry is not there, and a
// damaged one ends the list.
func TestRegistryAllOfFew(t *testing.T) {
	t.Parallel()
	conn := connect(t, startServer(t))
	r := kv.NewRegistry(kv.Config{Conn: conn, Namespace: "app", InMemory: true})
	if all, err := r.All(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("without a registry: %v, %v", all, err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.KeyValue(t.Context(), "ANNALS_app_projections"); !errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("the registry was made: %v", err)
	}
	for _, view := range []string{"gone", "here"} {
		if _, err := r.Store(t.Context(), view, projector.Entry{Paused: true}, 0); err != nil {
			t.Fatal(err)
		}
	}
	bucket := bucketOf(t, conn, "ANNALS_app_projections")
	if err := bucket.Delete(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if all, err := r.All(t.Context()); err != nil || len(all) != 1 || !all["here"].Paused {
		t.Errorf("after a deletion: %v, %v", all, err)
	}
	if _, err := bucket.Put(t.Context(), "here", []byte("no JSON")); err != nil {
		t.Fatal(err)
	}
	if all, err := r.All(t.Context()); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("with a damaged entry: %v, %v, want ErrDamaged", all, err)
	}
	if _, err := kv.NewRegistry(kv.Config{Namespace: "app"}).All(t.Context()); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("without a connection: %v, want ErrInvalid", err)
	}
}

// bucketOf is a bucket as any client has it.
func bucketOf(t *testing.T, conn *nats.Conn, name string) jetstream.KeyValue {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}
