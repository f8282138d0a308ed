//go:build linux

package fleet

import (
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
)

// Clients are ordinary clients, each with a connection of its own.
type Clients struct {
	All   []*gateway.Client
	conns []*nats.Conn
}

// Clients connects a client for each list of servers, to one of them, from the
// place of the first.
func (f *Fleet) Clients(lists ...[]*Server) (*Clients, error) {
	c := &Clients{}
	for _, servers := range lists {
		conn, err := f.Connect(servers...)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.conns = append(c.conns, conn)
		client, err := gateway.NewClient(gateway.ClientConfig{Conn: conn, Namespace: Namespace})
		if err != nil {
			c.Close()
			return nil, err
		}
		c.All = append(c.All, client)
	}
	return c, nil
}

// Senders returns the clients as the load takes them.
func (c *Clients) Senders() []Client {
	var all []Client
	for _, client := range c.All {
		all = append(all, client)
	}
	return all
}

// Close closes the connections.
func (c *Clients) Close() {
	for _, conn := range c.conns {
		conn.Close()
	}
}

// Rotations returns n lists of all servers, each beginning with the next one,
// so that connections spread.
func (f *Fleet) Rotations(n int) [][]*Server {
	lists := make([][]*Server, n)
	for i := range lists {
		at := i % len(f.Servers)
		lists[i] = append(append(lists[i], f.Servers[at:]...), f.Servers[:at]...)
	}
	return lists
}
