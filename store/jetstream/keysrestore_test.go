package jetstream

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/backup"
	"github.com/annals-go/annals/store/segment"
)

// Keys go from one namespace to another, with their realm, by way of a vault; who was
// forgotten stays forgotten.
func TestKeysAreRestored(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		k := openKeys(t, f, KeysConfig{})
		for i := range 20 {
			mustStoreKey(t, k, keyRecord(fmt.Sprint(i)))
		}
		before := mustLoadKey(t, k, "7")
		mustStoreKey(t, k, forgotten(before))
		before.Revision = 0
		v, err := segment.Dir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := backup.CopyKeys(t.Context(), v, k.cfg.Namespace, k, ""); err != nil {
			t.Fatal(err)
		}
		kept, err := backup.OpenKeys(t.Context(), v, k.cfg.Namespace)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kept.Restore(t.Context(), openKeys(t, f, KeysConfig{}), 0); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("into another realm: %v", err)
		}
		to := openKeys(t, f, KeysConfig{Namespace: namespace(t), Create: true, Realm: kept.Manifest().Realm})
		stale := mustStoreKey(t, to, before)
		for range 2 {
			done, err := kept.Restore(t.Context(), to, 0)
			if err != nil || done.Records != 20 {
				t.Fatalf("%+v, %v", done, err)
			}
		}
		for i := range 20 {
			has, want := mustLoadKey(t, to, fmt.Sprint(i)), mustLoadKey(t, k, fmt.Sprint(i))
			if has.Key != want.Key || !bytes.Equal(has.Wrapped, want.Wrapped) || len(has.Erased) != len(want.Erased) {
				t.Errorf("has %+v, want %+v", has, want)
			}
		}
		eventually(t, "what was forgotten is in no block", func() bool { return len(filesWith(t, f.dir, to.cfg.Namespace, stale.Wrapped)) == 0 })
	}
}

// A server that is down when the old stream is deleted removes its files when it is back.
func TestRotationWhileAServerIsDown(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short leaves out a server that is stopped and started")
	}
	var options []*server.Options
	f := privateServers(t, func(dir string) (servers []*server.Server, err error) {
		options, err = clusterOptions(dir)
		if err == nil {
			servers, err = startThese(options)
		}
		return servers, err
	})
	k := openKeys(t, f, KeysConfig{})
	r := mustStoreKey(t, k, keyRecord("ann"))
	eventually(t, "the key is on every disk", func() bool { return len(filesWith(t, f.dir, "", r.Wrapped)) >= clusterLen })
	const down = 2
	k.before = func(step string) error {
		if step == "delete" {
			f.servers[down].Shutdown()
			f.servers[down].WaitForShutdown()
		}
		return nil
	}
	if _, err := k.RotateKeys(t.Context(), wrapAnew, nil); err != nil {
		t.Fatal(err)
	}
	if has := mustLoadKey(t, k, "ann"); has.WrappedBy != "new" {
		t.Errorf("%+v", has)
	}
	if len(filesWith(t, options[down].StoreDir, "", r.Wrapped)) == 0 {
		t.Error("the server that was down has removed the old key: the test tries nothing")
	}
	back, err := server.NewServer(options[down])
	if err != nil {
		t.Fatal(err)
	}
	back.Start()
	f.servers[down] = back
	eventually(t, "the old key is in no file", func() bool { return len(filesWith(t, f.dir, "", r.Wrapped)) == 0 })
}

func startThese(options []*server.Options) (servers []*server.Server, err error) {
	for _, o := range options {
		s, err := server.NewServer(o)
		if err != nil {
			return nil, err
		}
		s.Start()
		servers = append(servers, s)
	}
	return servers, waitFor(patience, func() bool { return isCluster(servers) })
}
