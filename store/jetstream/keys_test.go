package jetstream

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/privacy/privacytest"
)

// openKeys opens a key store, in a fresh namespace unless the configuration has one.
func openKeys(tb testing.TB, f *fixture, cfg KeysConfig) *Keys {
	tb.Helper()
	servers := f.use(tb)
	if cfg.Conn == nil {
		cfg.Conn = connect(tb, servers[0])
	}
	if cfg.Namespace == "" {
		cfg.Namespace, cfg.Create = namespace(tb), true
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = len(servers)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	k, err := OpenKeys(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	k.leaseAge = time.Second
	return k
}

// keysAgain opens the same key store as another node would.
func keysAgain(tb testing.TB, f *fixture, k *Keys) *Keys {
	tb.Helper()
	servers := f.use(tb)
	return openKeys(tb, f, KeysConfig{Namespace: k.cfg.Namespace, Conn: connect(tb, servers[len(servers)-1])})
}

func TestKeysConformance(t *testing.T) {
	t.Parallel()
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		privacytest.Run(t, privacytest.Harness{Open: func(t *testing.T) privacytest.Store {
			t.Helper()
			k := openKeys(t, &single, KeysConfig{})
			return privacytest.Store{
				Keys:  k,
				Again: func(t *testing.T) privacy.Keys { t.Helper(); return keysAgain(t, &single, k) },
				Holds: func(t *testing.T, secret []byte) bool {
					t.Helper()
					return len(filesWith(t, single.dir, k.cfg.Namespace, secret)) > 0
				},
			}
		}})
	})
	t.Run("three servers", func(t *testing.T) {
		t.Parallel()
		privacytest.Run(t, privacytest.Harness{Open: func(t *testing.T) privacytest.Store {
			t.Helper()
			k := openKeys(t, &cluster, KeysConfig{})
			return privacytest.Store{Keys: k, Again: func(t *testing.T) privacy.Keys { t.Helper(); return keysAgain(t, &cluster, k) }}
		}})
	})
}

// filesWith returns the files under a directory, all of them or those of a namespace,
// that have the bytes, as they are or as a record has them.
func filesWith(t *testing.T, dir, namespace string, secret []byte) (found []string) {
	t.Helper()
	encoded := []byte(base64.StdEncoding.EncodeToString(secret))
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() || namespace != "" && !strings.Contains(path, "ANNALS_"+namespace+"_") {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if bytes.Contains(data, secret) || bytes.Contains(data, encoded) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func keyRecord(subject string) privacy.Record {
	id := uuid.New()
	return privacy.Record{
		Subject: subject, Key: store.KeyID(id), WrappedBy: "old", Wrapped: fmt.Appendf(nil, "wrapped key %s of %s", id, subject),
		Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func mustStoreKey(t *testing.T, k *Keys, r privacy.Record) privacy.Record {
	t.Helper()
	revision, err := k.Store(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	r.Revision = revision
	return r
}

func mustLoadKey(t *testing.T, k *Keys, subject string) privacy.Record {
	t.Helper()
	r, err := k.Load(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func forgotten(r privacy.Record) privacy.Record {
	r.Erased = append(r.Erased, privacy.Erasure{Key: r.Key, ID: uuid.New(), At: r.Made})
	r.Key, r.Wrapped, r.WrappedBy, r.Made = store.KeyID{}, nil, "", time.Time{}
	return r
}

func TestOpenKeys(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	refuse := func(what string, want error, change func(c *KeysConfig)) {
		t.Helper()
		cfg := KeysConfig{Conn: k.cfg.Conn, Namespace: k.cfg.Namespace}
		change(&cfg)
		if _, err := OpenKeys(t.Context(), cfg); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	refuse("not there", store.ErrNotFound, func(c *KeysConfig) { c.Namespace = namespace(t) })
	refuse("another realm", store.ErrInvalid, func(c *KeysConfig) { c.Realm = uuid.New() })
	refuse("more replicas", store.ErrInvalid, func(c *KeysConfig) { c.Replicas = 3 })
	refuse("no namespace", store.ErrInvalid, func(c *KeysConfig) { c.Namespace = "" })
	refuse("no connection", store.ErrInvalid, func(c *KeysConfig) { c.Conn = nil })
	refuse("replicas", store.ErrInvalid, func(c *KeysConfig) { c.Replicas = 9 })
	realm := uuid.New()
	given := openKeys(t, &single, KeysConfig{Namespace: namespace(t), Create: true, Realm: realm})
	if given.Realm() != realm || k.Realm() == realm || keysAgain(t, &single, given).Realm() != realm {
		t.Errorf("the realm is %s, want %s", given.Realm(), realm)
	}
	streams, err := KeyStreams(t.Context(), k.cfg.Conn, k.cfg.Namespace)
	if err != nil || len(streams) != 1 || streams[0] != "ANNALS_"+k.cfg.Namespace+"_keys_1" {
		t.Errorf("streams %v, %v", streams, err)
	}
	all, err := Namespaces(t.Context(), k.cfg.Conn)
	for _, name := range all {
		if strings.HasPrefix(name, k.cfg.Namespace) {
			t.Errorf("a namespace without a log is listed: %s, %v", name, err)
		}
	}
}

// Many nodes open a key store that is not there at once: they agree on the realm.
func TestKeysAreCreatedOnce(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		ns := namespace(t)
		servers := f.use(t)
		realms := make(chan uuid.UUID, 8)
		for i := range cap(realms) {
			conn := connect(t, servers[i%len(servers)])
			go func() {
				k, err := OpenKeys(context.Background(), KeysConfig{Conn: conn, Namespace: ns, Create: true, Replicas: len(servers)})
				if err != nil {
					t.Error(err)
					realms <- uuid.Nil
					return
				}
				realms <- k.Realm()
			}()
		}
		first := <-realms
		for range cap(realms) - 1 {
			if other := <-realms; other != first {
				t.Errorf("realms %s and %s", first, other)
			}
		}
	}
}

// What a record is kept in must be as it was made.
func TestKeysSettings(t *testing.T) {
	t.Parallel()
	k := openKeys(t, &single, KeysConfig{})
	js, e := keysJetStream(t, k), k.epoch
	for what, change := range map[string]func(info *keysInfo){
		"max_age":              func(info *keysInfo) { info.Config.MaxAge = time.Hour },
		"allow_direct":         func(info *keysInfo) { info.Config.AllowDirect = true },
		"max_msgs_per_subject": func(info *keysInfo) { info.Config.MaxMsgsPerSubject = 1 },
		"deny_delete":          func(info *keysInfo) { info.Config.DenyDelete = true },
	} {
		info, err := k.info(t.Context(), e, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifyKeys(k.cfg, e, info.Config); err != nil {
			t.Fatalf("as it was made: %v", err)
		}
		change(&info)
		_, err = verifyKeys(k.cfg, e, info.Config)
		var settings *SettingsError
		if !errors.As(err, &settings) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	info, _ := k.info(t.Context(), e, nil)
	info.Config.MaxAge = time.Hour
	if _, err := js.UpdateStream(t.Context(), info.Config); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenKeys(t.Context(), KeysConfig{Conn: k.cfg.Conn, Namespace: k.cfg.Namespace}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("with a maximum age: %v", err)
	}
}

// On one server Erase takes the bytes out of every file, at once; on three it takes them
// out of the streams' blocks on all servers.
func TestEraseOnDisk(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		k := openKeys(t, f, KeysConfig{})
		r := mustStoreKey(t, k, keyRecord("ann"))
		other := mustStoreKey(t, k, keyRecord("bob"))
		var blocks []string
		eventually(t, "the key is on every server's disk", func() bool {
			blocks = filesWith(t, f.dir, k.cfg.Namespace, r.Wrapped)
			return len(blocks) >= len(f.servers)
		})
		fence := mustStoreKey(t, k, forgotten(r))
		if err := k.Erase(t.Context(), "ann", fence.Revision); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the key is in no block", func() bool { return len(filesWith(t, f.dir, k.cfg.Namespace, r.Wrapped)) == 0 })
		if len(filesWith(t, f.dir, k.cfg.Namespace, other.Wrapped)) < len(f.servers) {
			t.Error("another's key is not there")
		}
		t.Logf("%d servers: files of other kinds that have it still: %v", len(f.servers), filesWith(t, f.dir, "", r.Wrapped))
	}
}

// A stream in a fixture's directory belongs to a server; this one is of a test alone.
func privateServers(t *testing.T, start func(dir string) ([]*server.Server, error)) *fixture {
	t.Helper()
	f := &fixture{start: start}
	f.use(t)
	t.Cleanup(f.stop)
	return f
}
