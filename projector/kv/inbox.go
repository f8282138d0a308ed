package kv

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// inbox receives the answers to all requests on one subscription. A call is
// known by the last token of its reply subject, which is never used again: a
// late answer cannot be taken for another call's.
type inbox struct {
	conn   *nats.Conn
	prefix string
	flows  flows

	mu    sync.Mutex
	calls map[string]*call
	last  uint64
}

// call is where the answers to one request arrive.
type call struct {
	inbox      *inbox
	token      string
	answers    chan *nats.Msg
	reconnects uint64 // of the connection before the request was sent
}

// How long one answer is waited for: to a question, and to a commit, which is
// sent again the sooner because its outcome can be asked for meanwhile.
const (
	answerWait = 2 * time.Second
	commitWait = time.Second
)

// lookAfter is how often a call looks whether the connection was interrupted:
// an answer that was on its way then never arrives.
const lookAfter = 100 * time.Millisecond

var errInterrupted = errors.New("the connection was interrupted")

func newInbox(conn *nats.Conn) (*inbox, error) {
	b := &inbox{conn: conn, prefix: conn.NewInbox() + ".", flows: newFlows(), calls: map[string]*call{}}
	if _, err := conn.Subscribe(b.prefix+"*", b.deliver); err != nil {
		return nil, err
	}
	return b, nil
}

// open begins a call with room for so many answers; more are dropped.
func (b *inbox) open(room int) *call {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	c := &call{
		inbox:      b,
		token:      strconv.FormatUint(b.last, 36),
		answers:    make(chan *nats.Msg, room),
		reconnects: b.conn.Stats().Reconnects,
	}
	b.calls[c.token] = c
	return c
}

func (c *call) reply() string { return c.inbox.prefix + c.token }

func (c *call) close() {
	c.inbox.mu.Lock()
	defer c.inbox.mu.Unlock()
	delete(c.inbox.calls, c.token)
}

// deliver never blocks: one slow caller must not hold up the answers of others.
func (b *inbox) deliver(m *nats.Msg) {
	b.mu.Lock()
	c := b.calls[strings.TrimPrefix(m.Subject, b.prefix)]
	b.mu.Unlock()
	if c == nil {
		return
	}
	select {
	case c.answers <- m:
	default:
	}
}

// next returns the next answer, which is waited for no longer than most.
func (c *call) next(ctx context.Context, most time.Duration) (*nats.Msg, error) {
	look := time.NewTicker(lookAfter)
	defer look.Stop()
	giveUp := time.NewTimer(most)
	defer giveUp.Stop()
	for {
		select {
		case m := <-c.answers:
			if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
				return nil, nats.ErrNoResponders
			}
			return m, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-giveUp.C:
			return nil, nats.ErrTimeout
		case <-look.C:
			if c.inbox.conn.Stats().Reconnects != c.reconnects || c.inbox.conn.IsClosed() {
				return nil, errInterrupted
			}
		}
	}
}

// askAgain is after how long a question is put once more: while a stream has no
// leader nobody hears it.
const askAgain = 500 * time.Millisecond

// request sends a question and returns the first answer.
func (b *inbox) request(ctx context.Context, subject string, data []byte) (*nats.Msg, error) {
	c := b.open(1)
	defer c.close()
	for began := time.Now(); ; {
		if err := b.conn.PublishRequest(subject, c.reply(), data); err != nil {
			return nil, err
		}
		m, err := c.next(ctx, askAgain)
		if !errors.Is(err, nats.ErrTimeout) || time.Since(began) >= answerWait {
			return m, err
		}
	}
}
