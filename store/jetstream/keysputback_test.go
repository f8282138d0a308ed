package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// office is a log with personal data in it, and the key store beside it.
type office struct {
	log     *Log
	keys    *Keys
	wrapper privacy.Wrapper
}

// newOffice makes one over the connection, or one of its own if that is nil.
func newOffice(t *testing.T, f *fixture, conn *nats.Conn) *office {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	w, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{log: open(t, f, Config{Conn: conn}), wrapper: w}
	o.keys = openKeys(t, f, KeysConfig{Conn: conn, Namespace: o.log.cfg.Namespace, Create: true})
	return o
}

// node is a fresh one.
func (o *office) node(t *testing.T) (*privacy.Log, *privacy.Keyring) {
	t.Helper()
	k, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: o.keys, Wrapper: o.wrapper, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return privacy.NewLog(o.log, k), k
}

func patient(subject string) store.StreamID { return store.StreamID{Type: "patient", ID: subject} }

// write stores a value of a subject.
func (o *office) write(t *testing.T, log store.Log, subject string, after store.Head) store.Head {
	t.Helper()
	data, err := o.log.Codec().Marshal("Ann Smith")
	if err != nil {
		t.Fatal(err)
	}
	head, err := log.Append(t.Context(), &store.Commit{
		Stream: patient(subject), ID: uuid.New(), After: after, Time: time.Now().UTC().Truncate(time.Microsecond),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "admit"}},
		Events:   []store.Event{{Type: "admitted", Schema: 1, Data: data, Personal: []store.Personal{{End: len(data)}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// readable returns how many of a subject's values can be read.
func readable(ctx context.Context, log store.Log, subject string) (n int, err error) {
	for c, err := range log.Read(ctx, patient(subject), store.Head{}) {
		if err != nil {
			return n, err
		}
		n += len(c.Events[0].Personal)
	}
	return n, nil
}

func wantReadable(t *testing.T, what string, log store.Log, subject string, want int) {
	t.Helper()
	if n, err := readable(t.Context(), log, subject); n != want || err != nil {
		t.Errorf("%s: %d values can be read, want %d; %v", what, n, want, err)
	}
}

func (o *office) forget(t *testing.T, ring *privacy.Keyring, subject string) {
	t.Helper()
	l := ledger.New(o.log)
	f, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: o.keys, Purge: ring.Purge,
		Notice: func(ctx context.Context, e privacy.Erasure, subject string) (store.Position, error) {
			return l.Forget(ctx, subject, e)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Forget(t.Context(), privacy.Request{Subject: subject, By: "officer", Why: "asked for it"}); err != nil {
		t.Fatal(err)
	}
}

// wantMended looks whether the erasure is in the record again, and the key in no block.
func (o *office) wantMended(t *testing.T, dir string, old privacy.Record) {
	t.Helper()
	r := mustLoadKey(t, o.keys, old.Subject)
	if r.Key == old.Key || !r.WasErased(old.Key) {
		t.Errorf("the record was not mended: %+v", r)
	}
	if dir != "" {
		eventually(t, "the key is in no block", func() bool { return len(filesWith(t, dir, o.keys.cfg.Namespace, old.Wrapped)) == 0 })
	}
}

// Somebody who may publish to the key store sends a record from before a forgetting.
func TestARecordThatIsPublishedAgainOpensNothing(t *testing.T) {
	t.Parallel()
	for _, f := range []*fixture{&single, &cluster} {
		o := newOffice(t, f, nil)
		running, ring := o.node(t)
		head := o.write(t, running, "ann", store.Head{})
		old := mustLoadKey(t, o.keys, "ann")
		o.forget(t, ring, "ann")
		wantReadable(t, "forgotten", running, "ann", 0)
		data, err := json.Marshal(old)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.keys.cfg.Conn.RequestWithContext(t.Context(), o.keys.epoch.records+"ann", data); err != nil {
			t.Fatal(err)
		}
		if r := mustLoadKey(t, o.keys, "ann"); r.Key != old.Key {
			t.Fatalf("the record is not put back: %+v", r)
		}
		wantReadable(t, "running node", running, "ann", 0)
		fresh, _ := o.node(t)
		wantReadable(t, "fresh node", fresh, "ann", 0)
		dir := ""
		if f == &single {
			dir = single.dir
		}
		o.wantMended(t, dir, old)
		o.write(t, fresh, "ann", head)
		wantReadable(t, "seen again", fresh, "ann", 1)
		if r := mustLoadKey(t, o.keys, "ann"); r.Key == old.Key {
			t.Error("the key that was erased is used again")
		}
	}
}

// A volume with the key store on it is set back to before a forgetting, and the log is not: neither a
// fresh node nor one that runs all the time reads anything.
func TestAVolumeThatIsPutBackOpensNothing(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("SKIPPED, NOT PASSED: -short leaves out a server that is stopped and started")
	}
	var options *server.Options
	f := privateServers(t, func(dir string) ([]*server.Server, error) {
		options = &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
		return startOne(options)
	})
	conn, err := nats.Connect(f.servers[0].ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond)) // to whichever server is there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	o := newOffice(t, f, conn)
	keys := o.keys.epoch.stream.name
	running, ring := o.node(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = ring.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	for _, subject := range []string{"ann", "bob"} {
		o.write(t, running, subject, store.Head{})
	}
	old := mustLoadKey(t, o.keys, "ann")

	stream := streamDir(t, f.dir, keys)
	stop(f)
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	if err := os.CopyFS(snapshot, os.DirFS(stream)); err != nil {
		t.Fatal(err)
	}
	start(t, f, options)
	eventually(t, "the server is back", func() bool { _, err := readable(t.Context(), running, "ann"); return err == nil })
	o.forget(t, ring, "ann")
	stop(f)
	if err := os.RemoveAll(stream); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(stream, os.DirFS(snapshot)); err != nil {
		t.Fatal(err)
	}
	start(t, f, options)
	eventually(t, "the record is put back", func() bool {
		r, err := o.keys.Load(t.Context(), "ann")
		return err == nil && r.Key == old.Key && r.Revision == old.Revision
	})
	fresh, _ := o.node(t)
	wantReadable(t, "fresh node", fresh, "ann", 0)
	wantReadable(t, "running node", running, "ann", 0)
	wantReadable(t, "others", fresh, "bob", 1)
	o.wantMended(t, f.dir, old)
}

func startOne(o *server.Options) ([]*server.Server, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		return nil, fmt.Errorf("the server does not start")
	}
	return []*server.Server{s}, nil
}

func stop(f *fixture) {
	f.servers[0].Shutdown()
	f.servers[0].WaitForShutdown()
}

// start starts the server again where it was.
func start(t *testing.T, f *fixture, o *server.Options) {
	t.Helper()
	servers, err := startOne(o)
	if err != nil {
		t.Fatal(err)
	}
	f.servers = servers
}

// streamDir is where a server keeps a stream.
func streamDir(t *testing.T, dir, stream string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream))
	if err != nil || len(found) != 1 {
		t.Fatalf("the stream %s is at %v, %v", stream, found, err)
	}
	return found[0]
}

// BenchmarkFirstLoad takes in the key of a subject that nobody holds, with the log's word on
// whether it was erased, and without.
func BenchmarkFirstLoad(b *testing.B) {
	for name, f := range map[string]*fixture{"one": &single, "three": &cluster} {
		for _, how := range []string{"without notices", "with notices"} {
			b.Run(name+"/"+strings.ReplaceAll(how, " ", "-"), func(b *testing.B) { benchmarkFirstLoad(b, f, how == "with notices") })
		}
	}
}

func benchmarkFirstLoad(b *testing.B, f *fixture, compared bool) {
	const subjects = 64
	path := filepath.Join(b.TempDir(), "keys")
	if err := privacy.GenerateFile(path, "first"); err != nil {
		b.Fatal(err)
	}
	w, err := privacy.OpenFile(path)
	if err != nil {
		b.Fatal(err)
	}
	log := open(b, f, Config{})
	keys := openKeys(b, f, KeysConfig{Namespace: log.cfg.Namespace, Create: true})
	ring := func() *privacy.Keyring {
		k, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: w})
		if err != nil {
			b.Fatal(err)
		}
		if compared {
			privacy.NewLog(log, k)
		}
		return k
	}
	data, err := store.MsgPack.Marshal("Ann Smith")
	if err != nil {
		b.Fatal(err)
	}
	seal := func(k *privacy.Keyring, n int) {
		span := []store.Personal{{End: len(data)}}
		if _, _, err := k.Seal(b.Context(), privacy.Scope{Kind: privacy.KindEvent, Stream: patient(fmt.Sprint(n))}, store.MsgPack, slices.Clone(data), span); err != nil {
			b.Fatal(err)
		}
	}
	made := ring()
	for n := range subjects {
		seal(made, n)
	}
	var fresh *privacy.Keyring
	for n := 0; b.Loop(); n++ {
		if n%subjects == 0 {
			fresh = ring()
		}
		seal(fresh, n%subjects)
	}
}

// Several records that were put back are read at once by somebody who may write no keys: each is
// answered, as forgotten, after one try to mend it at most, and later ones after none.
func TestWhoMayWriteNoKeysIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	s := startOwn(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "x"},
			{Username: "projector", Password: "x", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"*.key.>"}}}},
		}
	})
	o := newOffice(t, &single, connect(t, s, nats.UserInfo("all", "x")))
	records := o.keys.epoch.records
	running, ring := o.node(t)
	const persons = 6
	var old [2 * persons]privacy.Record
	for n := range old {
		subject := fmt.Sprint("p", n)
		o.write(t, running, subject, store.Head{})
		old[n] = mustLoadKey(t, o.keys, subject)
		o.forget(t, ring, subject)
		data, err := json.Marshal(old[n])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.keys.cfg.Conn.RequestWithContext(t.Context(), records+subject, data); err != nil {
			t.Fatal(err)
		}
	}

	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	reader := &office{log: o.log, wrapper: o.wrapper}
	reader.keys = openKeys(t, &single, KeysConfig{Conn: connect(t, s, nats.UserInfo("projector", "x"), quiet), Namespace: o.log.cfg.Namespace})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tries atomic.Int64
	publish := reader.keys.publish
	reader.keys.publish = func(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
		if tries.Add(1) > persons {
			cancel() // it stands still, and would for minutes
		}
		return publish(ctx, m)
	}
	log, _ := reader.node(t)
	var wg sync.WaitGroup
	for n := range persons {
		wg.Go(func() {
			if count, err := readable(ctx, log, old[n].Subject); count != 0 || err != nil {
				t.Errorf("%s: %d values can be read, %v", old[n].Subject, count, err)
			}
		})
	}
	wg.Wait()
	first := tries.Load()
	if first == 0 || first > persons {
		t.Fatalf("%d tries to mend, want 1 to %d", first, persons)
	}
	for n := persons; n < len(old); n++ {
		wantReadable(t, "later", log, old[n].Subject, 0)
	}
	if more := tries.Load() - first; more > 0 {
		t.Errorf("%d more tries to mend", more)
	}
	fresh, _ := o.node(t)
	for _, r := range old {
		wantReadable(t, "who may write keys", fresh, r.Subject, 0)
		o.wantMended(t, "", r)
	}
}
