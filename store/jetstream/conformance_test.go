package jetstream

import (
	"context"
	"testing"

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
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, storetest.Harness{Open: func(t *testing.T) storetest.Store {
				return openStore(t, c.servers, c.config)
			}})
		})
	}
}

// openStore opens a log that can be disturbed, and what harms it otherwise.
func openStore(t *testing.T, servers *fixture, cfg Config) storetest.Store {
	t.Helper()
	l := open(t, servers, cfg)
	v := &vandal{log: l, js: mustJetStream(t, l)}
	return storetest.Store{
		Log:       l,
		Snapshots: l.Snapshots(),
		Again: func(t *testing.T) store.Log {
			return open(t, servers, Config{
				Namespace: l.cfg.Namespace, Codec: l.cfg.Codec, InMemory: l.cfg.InMemory, Partitions: l.cfg.Partitions,
			})
		},
		Faults:        disturb(l),
		Forge:         v.forge,
		Flip:          v.flip,
		Remove:        v.remove,
		ForgeSnapshot: v.forgeSnapshot,
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

func (v *vandal) flip(t *testing.T, sequence uint64) {
	t.Helper()
	v.rewrite(t, func(m *natsjs.RawStreamMsg) {
		if m.Sequence == sequence {
			m.Data[len(m.Data)/2] ^= 0x10
		}
	})
}

// remove takes a commit out of its stream. Another stream's stands in its place,
// for sequences have no gaps that a client could make.
func (v *vandal) remove(t *testing.T, sequence uint64) {
	t.Helper()
	other := stream("elsewhere")
	v.rewrite(t, func(m *natsjs.RawStreamMsg) {
		if m.Sequence != sequence {
			return
		}
		data, err := store.EncodeCommit(v.log.cfg.Codec, commitOf(other, store.Head{}, 1))
		if err != nil {
			t.Fatal(err)
		}
		m.Subject, m.Data, m.Header = v.log.names.subject(other, other.ID), data, nil
	})
}

// rewrite replaces the whole stream by a changed copy: the server changes no
// message that it holds.
func (v *vandal) rewrite(t *testing.T, change func(m *natsjs.RawStreamMsg)) {
	t.Helper()
	ctx := context.Background()
	all := v.dump(t)
	info, err := v.js.Stream(ctx, v.log.names.stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.js.DeleteStream(ctx, v.log.names.stream); err != nil {
		t.Fatal(err)
	}
	if _, err := v.js.CreateStream(ctx, info.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		change(m)
		v.republish(t, m)
	}
}

func (v *vandal) dump(t *testing.T) []*natsjs.RawStreamMsg {
	t.Helper()
	ctx := context.Background()
	s, err := v.js.Stream(ctx, v.log.names.stream)
	if err != nil {
		t.Fatal(err)
	}
	end, err := v.log.lastSequence(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var all []*natsjs.RawStreamMsg
	for sequence := range end {
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
