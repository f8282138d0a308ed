package jetstream

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		servers *fixture
		config  Config
	}{
		{"one server", &single, Config{}},
		{"one server, JSON, in memory", &single, Config{Codec: store.JSON, InMemory: true, Partitions: 7}},
		{"three servers", &cluster, Config{}},
		{"one server, four log streams", &single, Config{LogStreams: 4, Partitions: 12}},
		{"three servers, two log streams", &cluster, Config{LogStreams: 2, Partitions: 12, InMemory: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && c.config.LogStreams > 1 && c.servers == &cluster {
				t.Skip("SKIPPED, NOT PASSED: -short leaves out two log streams on three servers, whose hundreds of Raft groups the race detector cannot carry on two cores")
			}
			storetest.Run(t, storetest.Harness{Open: func(t *testing.T) storetest.Store {
				return openStore(t, c.servers, c.config)
			}})
		})
	}
}

// openStore opens a log that can be disturbed, and what harms it otherwise.
func openStore(t *testing.T, servers *fixture, cfg Config) storetest.Store {
	t.Helper()
	shelf := &storetest.Shelf{}
	cfg.Archive = shelf
	l := open(t, servers, cfg)
	if l.names.sourced() {
		t.Cleanup(func() { demolish(t, l) })
	}
	v := &vandal{log: l, js: mustJetStream(t, l)}
	return storetest.Store{
		Log:       l,
		Snapshots: l.Snapshots(),
		Again:     func(t *testing.T) store.Log { return again(t, servers, l, shelf) },
		Shelf:     shelf,
		Truncate: func(ctx context.Context, id store.StreamID, below store.Head) error {
			err := l.Truncate(ctx, id, below)
			eventually(t, "all servers have the same", func() bool { return servers.agree(t, l) })
			return err
		},
		Bare:          func(t *testing.T) store.Log { return again(t, servers, l, nil) },
		Faults:        disturb(l),
		Forge:         v.forge,
		Flip:          v.flip,
		Remove:        v.remove,
		ForgeSnapshot: v.forgeSnapshot,
		TearSnapshot:  v.tearSnapshot,

		SnapshotsAgain: l.Snapshots(),
	}
}

// again opens the namespace of a log once more.
func again(t *testing.T, servers *fixture, l *Log, archive store.Archive) *Log {
	t.Helper()
	return open(t, servers, Config{
		Namespace: l.cfg.Namespace, Codec: l.cfg.Codec, InMemory: l.cfg.InMemory, Partitions: l.cfg.Partitions,
		LogStreams: l.cfg.LogStreams, Archive: archive,
	})
}

// agree reports whether all servers hold the same messages of a log: one that is
// behind still has what was truncated.
func (f *fixture) agree(t *testing.T, l *Log) bool {
	t.Helper()
	counts := map[string][]uint64{}
	for _, s := range f.servers {
		info, err := s.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, account := range info.AccountDetails {
			for _, stream := range account.Streams {
				counts[stream.Name] = append(counts[stream.Name], stream.State.Msgs, stream.State.LastSeq)
			}
		}
	}
	for _, k := range l.names.all() {
		of := counts[k.name]
		for i := 2; i < len(of); i++ {
			if of[i] != of[i-2] {
				return false
			}
		}
	}
	return true
}

// demolish deletes what a log is kept in, so that hundreds of streams do not burden
// the tests that follow.
func demolish(t *testing.T, l *Log) {
	t.Helper()
	js := mustJetStream(t, l)
	for _, k := range l.names.all() {
		if err := js.DeleteStream(context.Background(), k.name); err != nil {
			t.Log(err)
		}
	}
	if err := js.DeleteKeyValue(context.Background(), l.names.bucket); err != nil {
		t.Log(err)
	}
}

func mustJetStream(tb testing.TB, l *Log) natsjs.JetStream {
	tb.Helper()
	js, err := natsjs.New(l.cfg.Conn)
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

// vandal harms what a log has stored.
type vandal struct {
	log *Log
	js  natsjs.JetStream
}

func (v *vandal) forge(t *testing.T, id store.StreamID, data []byte) {
	t.Helper()
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.js.Publish(context.Background(), v.log.names.subject(id, token), data); err != nil {
		t.Fatal(err)
	}
}

func (v *vandal) forgeSnapshot(t *testing.T, id store.StreamID, data []byte) {
	t.Helper()
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.js.Publish(context.Background(), v.log.names.key(id, token), data); err != nil {
		t.Fatal(err)
	}
}

// tearSnapshot removes the second part of a snapshot that is kept in parts.
func (v *vandal) tearSnapshot(t *testing.T, id store.StreamID) {
	t.Helper()
	s := v.log.Snapshots().(*snapshots)
	at, err := s.placeOf(id)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.look(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	p, split, err := store.DecodeSnapshotParts(id, m.data)
	if err != nil || !split {
		t.Fatalf("the snapshot of %s is not in parts: %v", id, err)
	}
	part := at.part(p.Generation, 1)
	if err := s.purge(t.Context(), part); err != nil {
		t.Fatal(err)
	}
	// A replica may have it a moment longer, and answer for it.
	missed := 0
	eventually(t, "the part is gone everywhere", func() bool {
		if _, err := v.log.fetchNear(t.Context(), v.log.names.snapshots.directGet, lastOn(part)); errors.Is(err, errNone) {
			missed++
		} else {
			missed = 0
		}
		return missed > 20
	})
}

func (v *vandal) flip(t *testing.T, c *store.Commit) {
	t.Helper()
	v.rewrite(t, c.Stream, func(m *natsjs.RawStreamMsg) {
		if m.Sequence == c.Local {
			m.Data[len(m.Data)/2] ^= 0x10
		}
	})
}

// remove takes a commit out of its stream. Another stream's stands in its place,
// for sequences have no gaps that a client could make.
func (v *vandal) remove(t *testing.T, c *store.Commit) {
	t.Helper()
	other := stream("elsewhere")
	for i := 0; v.log.names.streamOf(other) != v.log.names.streamOf(c.Stream); i++ {
		other = stream(fmt.Sprint("elsewhere-", i))
	}
	v.rewrite(t, c.Stream, func(m *natsjs.RawStreamMsg) {
		if m.Sequence != c.Local {
			return
		}
		data, err := store.EncodeCommit(v.log.cfg.Codec, commitOf(other, store.Head{}, 1))
		if err != nil {
			t.Fatal(err)
		}
		m.Subject, m.Data, m.Header = v.log.names.subject(other, other.ID), data, nil
	})
}

// rewrite replaces the whole log stream by a changed copy: the server changes no
// message that it holds. An order that sources stays as it is.
func (v *vandal) rewrite(t *testing.T, id store.StreamID, change func(m *natsjs.RawStreamMsg)) {
	t.Helper()
	ctx := context.Background()
	if v.log.names.sourced() {
		v.detach(t)
	}
	name := v.log.names.streams[v.log.names.streamOf(id)].name
	all := v.dump(t, name)
	info, err := v.js.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	// On a busy machine a stream that is made anew may find the old one's files.
	eventually(t, "the stream is empty", func() bool {
		if err := v.js.DeleteStream(ctx, name); err != nil {
			t.Fatal(err)
		}
		made, err := v.js.CreateStream(ctx, info.CachedInfo().Config)
		if err != nil {
			t.Fatal(err)
		}
		return made.CachedInfo().State.LastSeq == 0
	})
	for _, m := range all {
		change(m)
		v.republish(t, m)
	}
}

// detach ends the sourcing, and returns what was sourced.
func (v *vandal) detach(t *testing.T) (sources []*natsjs.StreamSource) {
	t.Helper()
	v.resource(t, func(c *natsjs.StreamConfig) { sources, c.Sources = c.Sources, nil })
	return sources
}

// attach lets the sourcing go on.
func (v *vandal) attach(t *testing.T, sources []*natsjs.StreamSource) {
	t.Helper()
	v.resource(t, func(c *natsjs.StreamConfig) { c.Sources, c.Subjects = sources, nil })
}

func (v *vandal) resource(t *testing.T, change func(c *natsjs.StreamConfig)) {
	t.Helper()
	s, err := v.js.Stream(context.Background(), v.log.names.order.name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	change(&cfg)
	if _, err := v.js.UpdateStream(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
}

func (v *vandal) dump(t *testing.T, name string) []*natsjs.RawStreamMsg {
	t.Helper()
	ctx := context.Background()
	s, err := v.js.Stream(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	var all []*natsjs.RawStreamMsg
	for sequence := range s.CachedInfo().State.LastSeq {
		m, err := s.GetMsg(ctx, sequence+1)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

// republish stores a message again, without its expectation if that does not
// hold any more.
func (v *vandal) republish(t *testing.T, m *natsjs.RawStreamMsg) {
	t.Helper()
	ctx := context.Background()
	msg := newMsg(m.Subject, m.Data)
	if expected := m.Header.Get(expectedLastSubject); expected != "" {
		msg.Header.Set(expectedLastSubject, expected)
	}
	ack, err := v.js.PublishMsg(ctx, msg)
	if err != nil {
		ack, err = v.js.PublishMsg(ctx, newMsg(m.Subject, m.Data))
	}
	if err != nil || ack.Sequence != m.Sequence {
		t.Fatalf("store %d again: %+v, %v", m.Sequence, ack, err)
	}
}
