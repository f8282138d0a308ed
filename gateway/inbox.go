package gateway

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// inbox receives the answers to a client's commands on one subscription. All
// attempts at one command share a reply subject: the answer to the first, when
// it comes late, says more than that to the second, which calls the command a
// duplicate.
type inbox struct {
	prefix string

	mu      sync.Mutex
	waiting map[string]chan *nats.Msg
	last    uint64
}

// answerRoom is how many answers to one command may wait to be read: there are
// as many as attempts, and all but the first few say the same.
const answerRoom = 4

func newInbox(conn *nats.Conn) (*inbox, error) {
	b := &inbox{prefix: conn.NewInbox() + ".", waiting: make(map[string]chan *nats.Msg)}
	_, err := conn.Subscribe(b.prefix+"*", b.deliver)
	return b, err
}

// open returns a reply subject that is never used again, and where the answers
// to it arrive until close.
func (b *inbox) open() (reply string, arrived <-chan *nats.Msg) {
	arrives := make(chan *nats.Msg, answerRoom)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	token := strconv.FormatUint(b.last, 36)
	b.waiting[token] = arrives
	return b.prefix + token, arrives
}

func (b *inbox) close(reply string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, strings.TrimPrefix(reply, b.prefix))
}

// deliver never blocks: one slow sender must not hold up the others.
func (b *inbox) deliver(m *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.waiting[strings.TrimPrefix(m.Subject, b.prefix)] <- m: // a nil channel takes nothing
	default:
	}
}

const noResponders = "503"

// next waits for an answer.
func next(ctx context.Context, arrived <-chan *nats.Msg) (*nats.Msg, error) {
	select {
	case m := <-arrived:
		if len(m.Data) == 0 && m.Header.Get("Status") == noResponders {
			return nil, nats.ErrNoResponders
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
