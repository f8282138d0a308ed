package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/cluster/embedded"
	"github.com/annals-go/annals/cmd/node/permissions"
	"github.com/annals-go/annals/store"
)

const (
	// barrierSubject is where the process of an embedded server answers when
	// all that the server had acknowledged is on the disk: empty, or with what is
	// wrong. It is the server's, not a namespace's.
	barrierSubject = permissions.SyncSubject
	// barrierWait is how long it is waited for.
	barrierWait = 30 * time.Second
)

// offerBarrier lets other processes wait for the server's barrier, for as long as
// the connection is open.
func offerBarrier(conn *nats.Conn, barrier func(context.Context) error) error {
	_, err := conn.Subscribe(barrierSubject, func(m *nats.Msg) {
		ctx, cancel := context.WithTimeout(context.Background(), barrierWait)
		defer cancel()
		var reason []byte
		if err := barrier(ctx); err != nil {
			reason = []byte(err.Error())
		}
		_ = m.Respond(reason) // who asked waits no longer than that
	})
	if err == nil {
		err = conn.Flush() // from here on whoever asks is heard
	}
	return err
}

// diskBarrier is the barrier of a server that runs in another process.
type diskBarrier struct {
	conn    *nats.Conn
	offered atomic.Bool // it was there once: from then on it is needed
}

// barrierOf returns the barrier of the server that a connection leads to. Where
// nobody offers one, now or when it is waited for, it waits for nothing: the
// server's acknowledgements are then as durable as they get.
func barrierOf(ctx context.Context, conn *nats.Conn) (func(context.Context) error, error) {
	b := &diskBarrier{conn: conn}
	return b.wait, b.wait(ctx)
}

func (b *diskBarrier) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, barrierWait)
	defer cancel()
	m, err := b.ask(ctx)
	switch {
	case errors.Is(err, nats.ErrNoResponders) && !b.offered.Load():
		return nil
	case err != nil:
		return fmt.Errorf("sync the server's disk: %w: %w", store.ErrUnavailable, err)
	case len(m.Data) > 0:
		return fmt.Errorf("sync the server's disk: %w: %.200s", embedded.ErrNotDurable, m.Data)
	}
	b.offered.Store(true)
	return nil
}

// ask is a request that does not wait for an answer where the server refused it: it says so before it
// answers the flush.
func (b *diskBarrier) ask(ctx context.Context) (*nats.Msg, error) {
	inbox := b.conn.NewInbox()
	sub, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := b.conn.PublishRequest(barrierSubject, inbox, nil); err != nil {
		return nil, err
	}
	if err := b.conn.FlushWithContext(ctx); err != nil {
		return nil, err
	}
	if last := b.conn.LastError(); errors.Is(last, nats.ErrPermissionViolation) && strings.Contains(last.Error(), `"`+barrierSubject+`"`) {
		return nil, last
	}
	return sub.NextMsgWithContext(ctx)
}
