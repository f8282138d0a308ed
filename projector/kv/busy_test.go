package kv_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/projector/kv"
)

// overtaken has something happen before each question for the document that
// follows in the stream.
type overtaken struct{ before func() }

func (o *overtaken) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	return &overtakenConn{conn, o}, err
}

type overtakenConn struct {
	net.Conn
	o *overtaken
}

func (c *overtakenConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("next_by_subj")) && bytes.Contains(b, []byte(".d.\\u003e")) {
		c.o.before()
	}
	return c.Conn.Write(b)
}

// Whoever loads a checkpoint reads documents of others who write faster than that,
// but not for as long as they do.
func TestLoadDoesNotFollowThoseWhoWrite(t *testing.T) {
	server := startServer(t)
	busy := openWith(t, kv.Config{Conn: connect(t, server), Namespace: "app"})
	mine, err := busy.Commit(t.Context(), projector.Write{Checkpoint: projector.Checkpoint{Worker: "0", Position: 1}})
	if err != nil {
		t.Fatal(err)
	}
	other, asked := projector.Checkpoint{Worker: "1"}, 0
	const enough = 50 // then it ends by itself
	dialer := &overtaken{func() {
		if asked++; asked > enough {
			return
		}
		other.Position++
		var err error
		if other, err = busy.Commit(t.Context(), projector.Write{Checkpoint: other, Documents: at(other.Position, "a", "b")}); err != nil {
			t.Error(err)
		}
	}}
	conn, err := nats.Connect(server.URL(), nats.SetCustomDialer(dialer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	got, err := openWith(t, kv.Config{Conn: conn, Namespace: "app"}).Load(t.Context(), "0")
	if err != nil || got.Position != mine.Position || got.Revision != mine.Revision || got.Furthest < 1 {
		t.Errorf("checkpoint is %+v, %v", got, err)
	}
	if asked < 2 || asked > 10 {
		t.Errorf("asked %d times for the next document", asked)
	}
}
