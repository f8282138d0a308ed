package jetstream

import (
	"sync"

	"github.com/nats-io/nats.go"
)

// link tells everybody who waits for an answer that the connection was
// interrupted: what was on its way then never arrives, and need not be waited
// for until a timer ends.
type link struct {
	conn     *nats.Conn
	statuses chan nats.Status
	done     chan struct{}

	mu   sync.Mutex
	lost chan struct{}
}

func newLink(conn *nats.Conn) *link {
	k := &link{
		conn:     conn,
		statuses: conn.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CONNECTED, nats.CLOSED),
		done:     make(chan struct{}),
		lost:     make(chan struct{}),
	}
	go k.watch()
	return k
}

func (k *link) watch() {
	defer close(k.done)
	for range k.statuses {
		k.mu.Lock()
		close(k.lost)
		k.lost = make(chan struct{})
		k.mu.Unlock()
	}
}

// interrupted returns a channel that is closed at the next interruption.
func (k *link) interrupted() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost
}

func (k *link) close() {
	k.conn.RemoveStatusListener(k.statuses)
	<-k.done
}
