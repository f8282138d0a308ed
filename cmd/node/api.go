package node

import (
	"context"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cmd/node/boot"
	"github.com/annals-go/annals/cmd/node/web"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/gateway/httpapi"
)

// api is the part by which the web's server has the HTTP API. It asks by a
// connection of its own, as any client does: what it sends does not stand in the
// way of what the node answers.
type api struct {
	session *Session
	web     *web.Server
	asked   asked
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
	a.web.Serve(handler)
	return nil
}

func (a *api) handler() (http.Handler, error) {
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: a.conn, Namespace: a.session.Namespace()})
	if err != nil {
		return nil, err
	}
	return httpapi.New(httpapi.Config{Client: client, Tokens: a.asked.web.Verifier(), Logger: a.session.Logger()})
}

func (a *api) close() error {
	a.web.Serve(nil)
	a.conn.Close()
	return nil
}
