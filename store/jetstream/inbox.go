package jetstream

import (
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// inbox receives the answers of all calls on one subscription. A call is known
// by the last token of its reply subject, which is never used again: a late
// answer cannot be taken for another call's.
type inbox struct {
	prefix string
	sub    *nats.Subscription

	mu    sync.Mutex
	calls map[uint64]*call
	next  uint64
}

// call is where the answers to one caller's messages arrive.
type call struct {
	id      uint64
	reply   string
	answers chan *nats.Msg
}

func newInbox(conn *nats.Conn) (*inbox, error) {
	b := &inbox{prefix: conn.NewInbox() + ".", calls: map[uint64]*call{}}
	sub, err := conn.Subscribe(b.prefix+"*", b.deliver)
	if err != nil {
		return nil, err
	}
	b.sub = sub
	return b, nil
}

// open starts a call that has room for so many answers; more are dropped.
func (b *inbox) open(room int) *call {
	c := &call{answers: make(chan *nats.Msg, room)}
	b.mu.Lock()
	b.next++
	c.id = b.next
	b.calls[c.id] = c
	b.mu.Unlock()
	c.reply = string(strconv.AppendUint(append(make([]byte, 0, len(b.prefix)+16), b.prefix...), c.id, 36))
	return c
}

// close ends a call; answers that come later are dropped.
func (b *inbox) close(c *call) {
	b.mu.Lock()
	delete(b.calls, c.id)
	b.mu.Unlock()
}

// deliver never blocks: one slow caller must not hold up the answers of others.
func (b *inbox) deliver(m *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, b.prefix), 36, 64)
	if err != nil {
		return
	}
	b.mu.Lock()
	c := b.calls[id]
	b.mu.Unlock()
	if c == nil {
		return
	}
	select {
	case c.answers <- m:
	default:
	}
}

func (b *inbox) unsubscribe() error { return b.sub.Unsubscribe() }
