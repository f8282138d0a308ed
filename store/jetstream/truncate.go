package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// metaTruncated is in the order's metadata once any commit was taken out of the
// log: what is missing from then on is in the archive, or lost.
const metaTruncated = "annals.truncated"

// purgeLen is how many sequences one purge goes over. The server answers nothing
// else of the stream meanwhile.
const purgeLen = 1 << 16

// purgeWait is how long one purge may take until it is asked for again, which
// then has less to do; purgePatience how often that may be.
const (
	purgeWait     = 20 * time.Second
	purgePatience = 2 * time.Minute
)

var _ store.Truncater = (*Log)(nil)

// Truncate takes out of the log what the archive holds, as [store.Truncater]
// says. The server is asked to purge the stream's subject, in steps, up to the
// head, behind which a commit was seen: so a subject is never purged empty.
func (l *Log) Truncate(ctx context.Context, id store.StreamID, below store.Head) error {
	token, err := store.EncodeToken(id.ID)
	if err == nil {
		err = id.Validate()
	}
	if err != nil {
		return err
	}
	t := &truncation{log: l, id: id, subject: l.names.subject(id, token), below: below, stream: &l.names.streams[l.names.streamOf(id)]}
	if err := t.run(ctx); err != nil {
		return fmt.Errorf("truncate %s: %w", id, err)
	}
	return nil
}

// truncation is one Truncate under way.
type truncation struct {
	log     *Log
	id      store.StreamID
	subject string
	below   store.Head
	stream  *kept
}

func (t *truncation) run(ctx context.Context) error {
	if t.log.cfg.Archive == nil {
		return fmt.Errorf("%w: this log was opened without an archive to truncate to", store.ErrArchived)
	}
	first, err := t.first(ctx)
	if err != nil {
		return err
	}
	if first.After.Version >= t.below.Version {
		return nil
	}
	if err := t.isInside(ctx); err != nil {
		return err
	}
	var last *store.Commit
	_, err = store.ReadArchived(ctx, t.log.cfg.Archive, t.id, first.After, t.below, func(c *store.Commit) error {
		last = c
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.log.markTruncated(ctx); err != nil {
		return err
	}
	// The order's is the last, for its first commit says what is left to do.
	if t.log.names.sourced() {
		if err := t.purge(ctx, t.stream, first.Local, last.Local); err != nil {
			return err
		}
	}
	return t.purge(ctx, &t.log.names.order, first.Sequence, last.Sequence)
}

// first returns the first commit of the stream that the order has.
func (t *truncation) first(ctx context.Context) (*store.Commit, error) {
	m, err := t.log.fetchFirmly(ctx, t.log.names.order.leaderGet, nextOn(t.subject, 1))
	if errors.Is(err, errNone) {
		return nil, &store.InvalidError{What: "end of a truncation of", Value: t.id.String(), Reason: "the log has no such stream"}
	}
	if err != nil {
		return nil, err
	}
	c, err := t.log.decode(m.data, m.sequence, m.local)
	if err != nil {
		return nil, &store.DamageError{Stream: t.id, Sequence: m.sequence, Reason: err.Error()}
	}
	return c, nil
}

// isInside checks that the stream has had the head, and has a commit behind it.
func (t *truncation) isInside(ctx context.Context) error {
	m, err := t.log.fetchFirmly(ctx, t.stream.leaderGet, nextOn(t.subject, t.below.Sequence+1))
	if errors.Is(err, errNone) {
		return &store.InvalidError{What: "end of a truncation of", Value: t.id.String(), Reason: fmt.Sprintf("no commit follows version %d", t.below.Version)}
	}
	if err != nil {
		return err
	}
	_, err = store.DecodeNext(t.log.cfg.Codec, m.data, m.local, t.id, t.below)
	return err
}

// purge takes the stream's messages from first to last out of what is kept on
// the server.
func (t *truncation) purge(ctx context.Context, k *kept, first, last uint64) error {
	for next := first; next <= last; {
		next = min(next+purgeLen, last+1)
		request := fmt.Appendf(nil, `{"filter":%q,"seq":%d}`, t.subject, next)
		err := t.log.firmlyFor(ctx, purgePatience, func(ctx context.Context) error { return t.log.command(ctx, k.purge, request) })
		if err != nil {
			return err
		}
	}
	return nil
}

// command sends a request that is answered by success or an error.
func (l *Log) command(ctx context.Context, subject string, request []byte) error {
	m, err := l.exchangeWithin(ctx, purgeWait, &nats.Msg{Subject: subject, Data: request})
	if err != nil {
		return err
	}
	var body struct {
		Error   *apiError `json:"error"`
		Success bool      `json:"success"`
	}
	if err := json.Unmarshal(m.Data, &body); err != nil {
		return fmt.Errorf("unreadable answer: %w", err)
	}
	if body.Error != nil {
		return body.Error
	}
	if !body.Success {
		return fmt.Errorf("unreadable answer: %.80q", m.Data)
	}
	return nil
}

// isTruncated reports whether commits were ever taken out of the log.
func (l *Log) isTruncated(ctx context.Context) (bool, error) {
	if l.truncated.Load() {
		return true, nil
	}
	config, err := l.orderSettings(ctx)
	if err != nil || config.Metadata[metaTruncated] == "" {
		return false, err
	}
	l.truncated.Store(true)
	return true, nil
}

func (l *Log) orderSettings(ctx context.Context) (config natsjs.StreamConfig, err error) {
	js, err := natsjs.New(l.cfg.Conn)
	if err != nil {
		return config, unavailable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	err = patiently(ctx, func(ctx context.Context) error {
		stream, err := js.Stream(ctx, l.names.order.name)
		if err == nil {
			config = stream.CachedInfo().Config
		}
		return err
	})
	if err != nil {
		return config, unavailable(err)
	}
	return config, nil
}

// markTruncated notes in the order's metadata that something will be taken out.
func (l *Log) markTruncated(ctx context.Context) error {
	config, err := l.orderSettings(ctx)
	if err != nil || config.Metadata[metaTruncated] != "" {
		return err
	}
	js, err := natsjs.New(l.cfg.Conn)
	if err != nil {
		return unavailable(err)
	}
	config.Metadata[metaTruncated] = "true"
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	err = patiently(ctx, func(ctx context.Context) error {
		_, err := js.UpdateStream(ctx, config)
		return err
	})
	if err != nil {
		return unavailable(err)
	}
	return nil
}
