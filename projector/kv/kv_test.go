package kv_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
	"github.com/annals-go/annals/projector/projectortest"
	"github.com/annals-go/annals/store"
)

// lossy dials connections that lose what they are told to lose, and break.
type lossy struct {
	mu   sync.Mutex
	lose part
}

// part is what the next commit on a connection loses.
type part int

const (
	nothing part = iota
	request
	answer
)

func (l *lossy) set(p part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = p
}

// take reports whether p is to be lost now, and that it is lost then.
func (l *lossy) take(p part) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lose != p {
		return false
	}
	l.lose = nothing
	return true
}

func (l *lossy) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &lossyConn{Conn: conn, lossy: l}, nil
}

type lossyConn struct {
	net.Conn
	lossy *lossy
}

// A commit ends with a message that expects a checkpoint; it is acknowledged
// with, or refused for, a sequence.
var (
	commitMark = []byte(nats.ExpectedLastSubjSeqHdr)
	ackMark    = []byte(`"seq":`)
	refusal    = []byte(`wrong last sequence`)
)

func (c *lossyConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, commitMark) && c.lossy.take(request) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

func (c *lossyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if (bytes.Contains(b[:n], ackMark) || bytes.Contains(b[:n], refusal)) && c.lossy.take(answer) {
		_ = c.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// flakyStore is a store whose connection can be harmed.
type flakyStore struct {
	*kv.Store
	namespace string
	conn      *nats.Conn
	lossy     *lossy
}

// silent keeps the client from printing the failures that are made on purpose.
var silent = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

// urls is a server, or a cluster, to connect to.
type urls interface{ URL() string }

func openOn(to urls, replicas int, memory bool) func(t *testing.T) projector.Store {
	return func(t *testing.T) projector.Store {
		s := &flakyStore{namespace: namespaceOf(t), lossy: &lossy{}}
		var err error
		s.conn, err = nats.Connect(to.URL(), nats.SetCustomDialer(s.lossy), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1), silent)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			s.conn.Close()
			if !s.lossy.take(nothing) {
				t.Error("what was to be lost never came")
			}
		})
		s.Store = kv.New(kv.Config{Conn: s.conn, Namespace: s.namespace, Replicas: replicas, InMemory: memory})
		return s
	}
}

// tear writes documents as the beginning of a batch that lost its end.
func tear(t *testing.T, s projector.Store, name string, version int, docs []projector.Document) {
	f := s.(*flakyStore)
	js, err := jetstream.New(f.conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		m := nats.NewMsg("$KV.ANNALS_" + f.namespace + "_view_" + name + "_v" + strconv.Itoa(version) + ".d." + d.Key)
		m.Data = d.Document
		m.Header.Set("Annals-Position", strconv.FormatUint(uint64(d.Position), 10))
		if d.Document == nil {
			m.Header.Set("KV-Operation", "DEL")
		}
		if _, err := js.PublishMsg(context.Background(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func harm(p part) func(*testing.T, projector.Store) {
	return func(_ *testing.T, s projector.Store) { s.(*flakyStore).lossy.set(p) }
}

func conform(t *testing.T, to urls, replicas int, memory bool) {
	projectortest.Run(t, projectortest.Harness{
		Open:        openOn(to, replicas, memory),
		Tear:        tear,
		LoseAnswer:  harm(answer),
		LoseRequest: harm(request),
	})
}

func TestConformsOnFile(t *testing.T) {
	t.Parallel()
	conform(t, startServer(t), 1, false)
}

func TestConformsInMemory(t *testing.T) {
	t.Parallel()
	conform(t, startServer(t), 1, true)
}

func TestConformsOnThreeServers(t *testing.T) {
	t.Parallel()
	conform(t, sharedThree(t), 3, false)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := connect(t, server)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "ANNALS_app_view_plain_v1"}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  kv.Config
		view string
	}{
		"no connection":              {kv.Config{Namespace: "app"}, "v"},
		"no namespace":               {kv.Config{Conn: conn}, "v"},
		"bad namespace":              {kv.Config{Conn: conn, Namespace: "a.b"}, "v"},
		"bad view":                   {kv.Config{Conn: conn, Namespace: "app"}, "a.b"},
		"a bucket that cannot batch": {kv.Config{Conn: conn, Namespace: "app"}, "plain"},
	} {
		if _, err := kv.New(c.cfg).Open(t.Context(), projector.Layout{Model: projector.Model{View: c.view, Version: 1}}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// What is kept is an ordinary KV bucket: any client reads it.
func TestDocumentsArePlainKeyValues(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := connect(t, server)
	v, err := kv.New(kv.Config{Conn: conn, Namespace: "app"}).Open(t.Context(), projector.Layout{Model: projector.Model{View: "totals", Version: 2}})
	if err != nil {
		t.Fatal(err)
	}
	doc := projector.Document{Key: "a b", Position: 5120, Document: []byte(`{"sum":1}`)}
	c, err := v.Commit(t.Context(), projector.Write{Checkpoint: projector.Checkpoint{Worker: "0", Position: 5120}, Documents: []projector.Document{doc}})
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), "ANNALS_app_view_totals_v2")
	if err != nil {
		t.Fatal(err)
	}
	entry, err := bucket.Get(t.Context(), "d.a=20b")
	if err != nil || string(entry.Value()) != `{"sum":1}` {
		t.Errorf("entry is %v, %v", entry, err)
	}
	stream, err := js.Stream(t.Context(), "KV_ANNALS_app_view_totals_v2")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.GetLastMsgForSubject(t.Context(), "$KV.ANNALS_app_view_totals_v2.d.a=20b"); err != nil || m.Header.Get("Annals-Position") != "5120" {
		t.Errorf("message is %v, %v", m, err)
	}
	// An operator's deletion is a document that is not there.
	if err := bucket.Delete(t.Context(), "d.a=20b"); err != nil {
		t.Fatal(err)
	}
	if docs, err := v.Get(t.Context(), []string{"a b"}, c); err != nil || len(docs) != 0 {
		t.Errorf("after its deletion the document is %v, %v", docs, err)
	}
}

func TestWithoutServer(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	conn := connect(t, server, silent)
	v, err := kv.New(kv.Config{Conn: conn, Namespace: "app"}).Open(t.Context(), projector.Layout{Model: projector.Model{View: "totals", Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	server.Shutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	c := projector.Checkpoint{Worker: "0"}
	if _, err := v.Load(ctx, "0"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("load: %v", err)
	}
	if _, err := v.Get(ctx, []string{"a"}, c); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("get: %v", err)
	}
	if _, _, err := v.List(ctx, "", 10, c); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("list: %v", err)
	}
	if _, err := v.Commit(ctx, projector.Write{Checkpoint: c}); !errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrUnknown) {
		t.Errorf("commit: %v", err)
	}
}
