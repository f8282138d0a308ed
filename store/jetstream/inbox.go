package jetstream

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// answerRoom is how many answers a call keeps unread.
const answerRoom = 8

// inbox receives the answers of all calls on one subscription. A call is known
// by the last token of its reply subject, which is never used again: a late
// answer cannot be taken for another call's.
type inbox struct {
	prefix string
	sub    *nats.Subscription
	idle   sync.Pool // of *call

	mu    sync.Mutex
	calls map[uint64]*call
	next  uint64
}

// call is where the answers to one caller's messages arrive.
type call struct {
	id      uint64
	reply   string
	answers chan *nats.Msg // nil says that the connection was interrupted
	timer   *time.Timer    // stopped while nobody waits
}

func newInbox(conn *nats.Conn) (*inbox, error) {
	b := &inbox{prefix: conn.NewInbox() + ".", calls: map[uint64]*call{}}
	b.idle.New = func() any { return newCall(answerRoom) }
	sub, err := conn.Subscribe(b.prefix+"*", b.deliver)
	if err != nil {
		return nil, err
	}
	b.sub = sub
	return b, nil
}

func newCall(room int) *call {
	c := &call{answers: make(chan *nats.Msg, room), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	return c
}

// open starts a call. If more than answerRoom answers stay unread, more are
// dropped.
func (b *inbox) open() *call { return b.add(b.idle.Get().(*call)) }

// openFor starts a call that has room for so many answers.
func (b *inbox) openFor(room int) *call { return b.add(newCall(room)) }

func (b *inbox) add(c *call) *call {
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
	// Nothing is delivered any more, so the channel is empty after this.
	for c.late() != nil {
	}
	if cap(c.answers) == answerRoom && len(c.answers) == 0 {
		b.idle.Put(c)
	}
}

// deliver never blocks: one slow caller must not hold up the answers of others.
func (b *inbox) deliver(m *nats.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, b.prefix), 36, 64)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.calls[id]; c != nil {
		c.put(m)
	}
}

// interrupt tells all open calls that the connection was interrupted.
func (b *inbox) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		c.put(nil)
	}
}

func (b *inbox) unsubscribe() error { return b.sub.Unsubscribe() }

// put is called with the inbox's lock.
func (c *call) put(m *nats.Msg) {
	select {
	case c.answers <- m:
	default:
	}
}

// wait returns the next answer. When none comes in time the error is
// [nats.ErrTimeout], [nats.ErrDisconnected] or ctx's.
func (c *call) wait(ctx context.Context, most time.Duration) (*nats.Msg, error) {
	c.timer.Reset(most)
	defer c.timer.Stop()
	select {
	case m := <-c.answers:
		if m == nil {
			return nil, nats.ErrDisconnected
		}
		return m, nil
	case <-c.timer.C:
		return nil, nats.ErrTimeout
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// late returns an answer that has arrived, or nil.
func (c *call) late() *nats.Msg {
	for {
		select {
		case m := <-c.answers:
			if m != nil {
				return m
			}
		default:
			return nil
		}
	}
}
