package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// Log is a [store.Log] in one JetStream stream, or in several. All methods may be called from
// many goroutines.
type Log struct {
	cfg      Config
	names    names
	replicas int
	keeps    bool // the commands

	truncated atomic.Bool // known to have been, for which there is no way back

	inbox   *inbox
	link    *link
	order   *order     // nil if there is one log stream
	durable durability // counts in the order
	step    pace       // of one request

	// send publishes a commit; tests replace it to lose and to repeat. ackWait is
	// firstAckWait; tests shorten it.
	send    func(*nats.Msg) error
	ackWait time.Duration
}

var _ store.Log = (*Log)(nil)

// Open opens the namespace, and creates it if it is not there. A namespace that
// is there but kept otherwise than it must be is refused with a
// [*SettingsError] and left as it is. While a cluster has no leader Open waits,
// up to 30 seconds; then the error matches [store.ErrUnavailable].
func Open(ctx context.Context, cfg Config) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	l := &Log{
		cfg:     cfg,
		names:   newNames(cfg.Namespace, cfg.Partitions, cfg.LogStreams),
		durable: durability{barrier: cfg.Barrier},
		send:    cfg.Conn.PublishMsg,
		ackWait: firstAckWait,
	}
	l.order = newOrder(l)
	made, err := provision(ctx, cfg, &l.names)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", cfg.Namespace, err)
	}
	l.replicas, l.keeps = made.replicas, made.keeps
	l.truncated.Store(made.truncated)
	if l.inbox, err = newInbox(cfg.Conn); err != nil {
		return nil, fmt.Errorf("open log of %s: %w: %w", cfg.Namespace, store.ErrUnavailable, err)
	}
	l.link = newLink(cfg.Conn, l.inbox)
	if made.created {
		l.spread(ctx)
	}
	if made.truncated {
		l.warnOfArchive()
	}
	if most := cfg.Conn.MaxPayload(); most < store.MaxCommitBytes+maxHeaderBytes {
		cfg.Logger.Warn("the server's maximum payload limits commits", "namespace", cfg.Namespace, "max_payload", most)
	}
	return l, nil
}

// Close ends what the log has open on the connection, and leaves the connection
// itself alone. Calls and feeds that are under way fail; whoever follows still
// closes the feed. It is safe to call twice.
func (l *Log) Close() error {
	l.link.close()
	l.order.close()
	err := l.inbox.unsubscribe()
	if err != nil && !errors.Is(err, nats.ErrBadSubscription) && !l.cfg.Conn.IsClosed() {
		return fmt.Errorf("close log of %s: %w", l.cfg.Namespace, err)
	}
	return nil
}

// Partitions returns the number of partitions of the namespace.
func (l *Log) Partitions() int { return l.cfg.Partitions }

// Codec returns how the namespace encodes values.
func (l *Log) Codec() store.Codec { return l.cfg.Codec }

// decode reads the commit that the order has at a place, and its log stream at
// local.
func (l *Log) decode(data []byte, place, local uint64) (*store.Commit, error) {
	c, err := store.DecodeCommit(l.cfg.Codec, data, local)
	if err == nil {
		c.Sequence = place
	}
	return c, err
}
