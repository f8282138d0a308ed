package node

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
)

// door is where the web's server finds the HTTP API: there is none before the
// node serves, and none after it has begun to stop.
type door struct{ handler atomic.Pointer[http.Handler] }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := d.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "no commands and queries are served here, or not yet", http.StatusServiceUnavailable)
}

// api is the part that opens the door and closes it. It asks by a connection of
// its own, as any client does: what it sends does not stand in the way of what
// the node answers.
type api struct {
	session *Session
	door    *door
	access  httpAccess
	dial    func(ctx context.Context, opts ...nats.Option) (*nats.Conn, error)
	conn    *nats.Conn
}

func (a *api) part() boot.Part { return boot.Part{Name: "api", Open: a.open, Close: a.close} }

func (a *api) open(ctx context.Context) (err error) {
	if a.conn, err = a.dial(ctx, nats.Name(a.session.app.Name+" http api"), nats.MaxReconnects(-1)); err != nil {
		return err
	}
	handler, err := a.handler()
	if err != nil {
		a.conn.Close()
		return err
	}
	a.door.handler.Store(&handler)
	return nil
}

func (a *api) handler() (http.Handler, error) {
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: a.conn, Namespace: a.session.Namespace()})
	if err != nil {
		return nil, err
	}
	return httpapi.New(httpapi.Config{Client: client, Tokens: a.access.verifier(), Logger: a.session.Logger()})
}

func (a *api) close() error {
	a.door.handler.Store(nil)
	a.conn.Close()
	return nil
}
