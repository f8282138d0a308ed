package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// bucket is what a [Cluster] needs of the directory's store and of the network.
// Tests replace it.
type bucket interface {
	// write sets a key that is at revision expected, 0 for one that has no value
	// and never had; an empty value removes it. A ttl of 0 is none. It returns the
	// new revision, errMoved if the key is elsewhere, and any other error when the
	// outcome is not known.
	write(ctx context.Context, key string, value []byte, expected uint64, ttl time.Duration) (revision uint64, err error)
	// changes calls yield with what changed after a revision, in order: the last
	// change of each key only. It may be behind.
	changes(ctx context.Context, after uint64, yield func(change)) error
	// ping returns nil if the session's process answers, errNobody if there
	// certainly is no connection that would, and any other error otherwise.
	ping(ctx context.Context, session string) error
	// answer makes this process answer the pings of a session, until stop.
	answer(session string) (stop func(), err error)
	// announce tells all nodes, as a hint, that there is something to read.
	announce(revision uint64)
	// hints calls hint at each announcement, until stop.
	hints(hint func(revision uint64)) (stop func(), err error)
}

// change is one entry of the directory. An empty value says that the key was
// removed.
type change struct {
	key      string
	value    []byte
	revision uint64
	// before is the revision that the writer named as the one it replaced, and
	// that was checked; 0 if there was none, or if nobody wrote: the server
	// removed what had expired.
	before uint64
}

// natsBucket is a bucket on JetStream.
type natsBucket struct {
	conn      *nats.Conn
	js        natsjs.JetStream
	namespace string
	stream    string
	prefix    string // "$KV.<bucket>."
}

// markerTTL is how long the mark of a removed key can be read. Whoever did not
// read for longer reads everything anew.
const markerTTL = 10 * time.Minute

func newNATSBucket(conn *nats.Conn, namespace string) (*natsBucket, error) {
	js, err := natsjs.New(conn)
	if err != nil {
		return nil, err
	}
	name := "ANNALS_" + namespace + "_cluster"
	return &natsBucket{conn: conn, js: js, namespace: namespace, stream: "KV_" + name, prefix: "$KV." + name + "."}, nil
}

// create makes the bucket if it is not there. Its revisions begin at the
// present time in milliseconds, so that they stay above those of a bucket of
// the same name that was removed: a node writes less than a thousand times a
// second, and epochs must never go back.
func (b *natsBucket) create(ctx context.Context, replicas int, inMemory bool) error {
	if exists, err := b.exists(ctx); exists || err != nil {
		return err
	}
	storage := natsjs.FileStorage
	if inMemory {
		storage = natsjs.MemoryStorage
	}
	_, err := b.js.CreateStream(ctx, natsjs.StreamConfig{
		Name:                   b.stream,
		Description:            "Annals: the directory of " + b.namespace,
		Subjects:               []string{b.prefix + ">"},
		MaxMsgsPerSubject:      1,
		MaxMsgs:                -1,
		MaxBytes:               -1,
		MaxConsumers:           -1,
		MaxMsgSize:             64 << 10,
		Discard:                natsjs.DiscardNew,
		Duplicates:             2 * time.Minute,
		Storage:                storage,
		Replicas:               replicas,
		AllowRollup:            true,
		DenyDelete:             true,
		AllowDirect:            true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: markerTTL,
		FirstSeq:               uint64(time.Now().UnixMilli()),
	})
	if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
		return nil // another node was quicker
	}
	return err
}

func (b *natsBucket) exists(ctx context.Context) (bool, error) {
	_, err := b.js.Stream(ctx, b.stream)
	if errors.Is(err, natsjs.ErrStreamNotFound) {
		return false, nil
	}
	return err == nil, err
}

const (
	codeWrongLastSequence = 10071
	codeWriteInProgress   = 10164
	kvOperation           = "KV-Operation"
	markerReason          = "Nats-Marker-Reason"
)

func (b *natsBucket) write(ctx context.Context, key string, value []byte, expected uint64, ttl time.Duration) (uint64, error) {
	m := &nats.Msg{Subject: b.prefix + key, Data: value, Header: nats.Header{}}
	options := []natsjs.PublishOpt{natsjs.WithExpectLastSequencePerSubject(expected), natsjs.WithRetryAttempts(0)}
	if len(value) == 0 {
		m.Header.Set(kvOperation, "DEL")
		ttl = markerTTL
	}
	if ttl > 0 {
		options = append(options, natsjs.WithMsgTTL(ttl))
	}
	for pause := 2 * time.Millisecond; ; pause *= 2 {
		ack, err := b.js.PublishMsg(ctx, m, options...)
		var refused *natsjs.APIError
		switch {
		case err == nil:
			return ack.Sequence, nil
		case !errors.As(err, &refused):
			return 0, fmt.Errorf("write %s: %w", key, err)
		case refused.ErrorCode == codeWrongLastSequence:
			return 0, errMoved
		}
		// Another write to the key is not settled yet, which is no answer.
		if refused.ErrorCode != codeWriteInProgress || !tick(ctx, nil, pause) {
			return 0, fmt.Errorf("write %s: %w", key, err)
		}
	}
}

// changesAtOnce bounds one request for changes.
const changesAtOnce = 1024

func (b *natsBucket) changes(ctx context.Context, after uint64, yield func(change)) error {
	for {
		found, err := b.batch(ctx, after, func(c change) {
			after = c.revision
			yield(c)
		})
		if err != nil {
			return fmt.Errorf("read the directory: %w", err)
		}
		if found < changesAtOnce {
			return nil
		}
	}
}

// batch yields some of the changes. A batch that time has cut off ends as one that is whole does, which only its
// context tells: whoever took it for that would find removed what it did not hear of.
func (b *natsBucket) batch(ctx context.Context, after uint64, yield func(change)) (found int, err error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.conn.Opts.Timeout)
		defer cancel()
	}
	messages, err := jetstreamext.GetBatch(ctx, b.js, b.stream, changesAtOnce,
		jetstreamext.GetBatchSeq(after+1), jetstreamext.GetBatchSubject(b.prefix+">"))
	if err != nil {
		return 0, err
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, nil
		}
		if err != nil {
			return found, err
		}
		c := change{key: strings.TrimPrefix(m.Subject, b.prefix), value: m.Data, revision: m.Sequence}
		if m.Header.Get(kvOperation) != "" || m.Header.Get(markerReason) != "" {
			c.value = nil
		}
		c.before, _ = strconv.ParseUint(m.Header.Get(nats.ExpectedLastSubjSeqHdr), 10, 64)
		yield(c)
		found++
	}
	return found, ctx.Err()
}

func (b *natsBucket) ping(ctx context.Context, session string) error {
	_, err := b.conn.RequestWithContext(ctx, pingSubject(b.namespace, session), nil)
	if errors.Is(err, nats.ErrNoResponders) {
		return errNobody
	}
	return err
}

func (b *natsBucket) answer(session string) (func(), error) {
	return b.subscribe(pingSubject(b.namespace, session), func(m *nats.Msg) { _ = m.Respond(nil) })
}

func (b *natsBucket) hints(hint func(uint64)) (func(), error) {
	return b.subscribe(hintSubject(b.namespace), func(m *nats.Msg) {
		revision, _ := strconv.ParseUint(string(m.Data), 10, 64) // a foreign one is read as "look"
		hint(revision)
	})
}

// subscribe returns when the server knows of the subscription.
func (b *natsBucket) subscribe(subject string, handle nats.MsgHandler) (func(), error) {
	sub, err := b.conn.Subscribe(subject, handle)
	if err != nil {
		return nil, err
	}
	stop := func() { _ = sub.Unsubscribe() } // fails only where the connection is closed
	if err := b.conn.FlushTimeout(flushTimeout); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

const flushTimeout = 5 * time.Second

func (b *natsBucket) announce(revision uint64) {
	_ = b.conn.Publish(hintSubject(b.namespace), strconv.AppendUint(nil, revision, 10)) // a hint: everybody reads now and then anyway
}

func pingSubject(namespace, session string) string {
	return namespace + ".ctl.node." + session + ".ping"
}

func hintSubject(namespace string) string { return namespace + ".ctl.cluster.changed" }
