package jetstream

import (
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

// link tells everybody who waits for the server that the connection was
// interrupted: what was on its way then never arrives, and need not be waited
// for until a timer ends.
type link struct {
	conn     *nats.Conn
	inbox    *inbox
	statuses chan nats.Status
	done     chan struct{}

	mu     sync.Mutex
	lost   chan struct{}
	closed bool
}

// errClosed is what calls of a closed log fail with.
var errClosed = errors.New("the log is closed")

func newLink(conn *nats.Conn, inbox *inbox) *link {
	k := &link{
		conn:     conn,
		inbox:    inbox,
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
		k.interrupt()
	}
}

func (k *link) interrupt() {
	k.inbox.interrupt()
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.lost)
	k.lost = make(chan struct{})
}

// interrupted returns a channel that is closed at the next interruption, for
// feeds. Calls are told by the inbox: one channel that all of them wait on
// would be a lock that all of them want.
func (k *link) interrupted() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost
}

// err returns why nobody will ever be asked again, or nil.
func (k *link) err() error {
	if k.conn.IsClosed() {
		return nats.ErrConnectionClosed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return errClosed
	}
	return nil
}

// close ends all waiting. It is safe to call twice.
func (k *link) close() {
	k.mu.Lock()
	first := !k.closed
	k.closed = true
	k.mu.Unlock()
	if first {
		k.conn.RemoveStatusListener(k.statuses)
		<-k.done
		k.interrupt()
	}
}
