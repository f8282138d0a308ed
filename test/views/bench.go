package main

import (
	"context"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/store/jetstream"
)

// bench is what all trials stand on: a server with the logs, and its data.
type bench struct {
	dir    string
	server *embedded.Server
	conn   *nats.Conn
}

// start starts the server on the data. Filling needs no syncs, for nobody cuts
// the power here; what is measured syncs each write, as in production.
func (b *bench) start(sync embedded.Sync) (err error) {
	if b.server, err = embedded.Start(embedded.Config{Dir: filepath.Join(b.dir, "nats"), Sync: sync}); err != nil {
		return err
	}
	b.conn, err = b.server.Connect(nats.MaxReconnects(-1))
	return err
}

func (b *bench) stop() {
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server = nil
	}
}

func (b *bench) log(ctx context.Context, namespace string) (*jetstream.Log, error) {
	return jetstream.Open(ctx, jetstream.Config{Conn: b.conn, Namespace: namespace})
}
