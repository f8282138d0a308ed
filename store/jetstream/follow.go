package jetstream

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

const (
	// namedIdle and anonymousIdle are how long the server keeps a consumer that
	// nobody uses: one with a name long enough for an operator to see how far
	// behind a view is whose program does not run, one without until a reader
	// that died can be told from a slow one.
	namedIdle     = 7 * 24 * time.Hour
	anonymousIdle = 5 * time.Minute
	// ackWait is after how long the server delivers again what was not
	// acknowledged. The feed drops what comes twice; it should be rare.
	ackWait = time.Hour
	// maxUnacknowledged is how many commits may be delivered and not
	// acknowledged before the server waits.
	maxUnacknowledged = 100_000
	// takeOverTries bounds a race of several that want the same name.
	takeOverTries = 8
	closeWait     = 2 * time.Second
)

// Follow delivers commits by a pull consumer, as [store.Log] says. A feed with a
// name has a durable consumer of that name, deleted and created again each time:
// the reader's checkpoint is the starting point, never what the server
// remembers. The consumer has one copy, in memory, whatever the stream has; it
// holds nothing that matters.
func (l *Log) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	end, err := l.checkpoint(ctx, f)
	if err != nil {
		return nil, err
	}
	// All up to here is waited for at once, by the first commits delivered.
	l.durable.see(end)
	feed, err := l.newFeed(f)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", unavailable(err))
	}
	feed.end = end
	if err := feed.attach(ctx, l.consumerConfig(f, feed.pulls.group)); err != nil {
		feed.unsubscribe()
		return nil, fmt.Errorf("follow: %w", unavailable(err))
	}
	return feed, nil
}

// checkpoint checks the reader's checkpoint against the log's end, and returns
// the end's sequence.
func (l *Log) checkpoint(ctx context.Context, f store.Follow) (uint64, error) {
	for try := 0; ; try++ {
		tip, err := l.tip(ctx, nil)
		if err != nil {
			return 0, fmt.Errorf("follow: %w", err)
		}
		if f.After <= tip {
			return tip.Sequence(), nil
		}
		if l.replicas < 2 || try == aheadTries {
			return 0, &store.AheadError{What: "checkpoint of feed " + f.Name, Has: f.After, Log: tip}
		}
		if err := pause(ctx, try+3); err != nil {
			return 0, fmt.Errorf("follow: %w", unavailable(err))
		}
	}
}

// consumerConfig is the consumer of a feed. Its one priority group is known to
// this feed alone: the server refuses pulls that name another group, so a feed
// whose name was taken over cannot pull from its successor's consumer.
func (l *Log) consumerConfig(f store.Follow, group string) natsjs.ConsumerConfig {
	c := natsjs.ConsumerConfig{
		Durable:           f.Name,
		Description:       "Annals: a feed of " + l.cfg.Namespace,
		DeliverPolicy:     natsjs.DeliverByStartSequencePolicy,
		OptStartSeq:       max(1, f.After.Sequence()),
		AckPolicy:         natsjs.AckAllPolicy,
		AckWait:           ackWait,
		MaxAckPending:     maxUnacknowledged,
		MaxDeliver:        -1,
		InactiveThreshold: namedIdle,
		Replicas:          1,
		MemoryStorage:     true,
		PriorityPolicy:    natsjs.PriorityPolicyOverflow,
		PriorityGroups:    []string{group},
		Metadata:          map[string]string{metaKind: "feed"},
	}
	if f.Name == "" {
		c.AckPolicy, c.AckWait, c.MaxAckPending = natsjs.AckNonePolicy, 0, 0
		c.InactiveThreshold = anonymousIdle
	}
	return c
}

// create makes the consumer, in the place of one that has the name already.
func (l *Log) create(ctx context.Context, config natsjs.ConsumerConfig) (info *natsjs.ConsumerInfo, err error) {
	js, err := natsjs.New(l.cfg.Conn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	for try := range takeOverTries {
		err = patiently(ctx, func(ctx context.Context) error {
			info, err = l.createOnce(ctx, js, config)
			return err
		})
		if !errors.Is(err, natsjs.ErrConsumerExists) {
			return info, err
		}
		if err := pause(ctx, try+3); err != nil {
			return nil, err
		}
	}
	return nil, err
}

func (l *Log) createOnce(ctx context.Context, js natsjs.JetStream, config natsjs.ConsumerConfig) (*natsjs.ConsumerInfo, error) {
	if config.Durable != "" {
		err := js.DeleteConsumer(ctx, l.names.order.name, config.Durable)
		if err != nil && !errors.Is(err, natsjs.ErrConsumerNotFound) {
			return nil, err
		}
	}
	consumer, err := js.CreateConsumer(ctx, l.names.order.name, config)
	if err != nil {
		return nil, err
	}
	return consumer.CachedInfo(), nil
}

// newGroup returns a name that no other feed has.
func newGroup() string {
	var b [8]byte
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b[:])
}
