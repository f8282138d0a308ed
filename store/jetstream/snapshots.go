package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// kvOperation marks a message in a bucket that holds no value.
const kvOperation = "KV-Operation"

// Snapshots returns the namespace's snapshots, in the bucket
// ANNALS_<ns>_snapshots under the key <type>.<id token>. Load may be answered by
// a replica that is behind: a snapshot is a cache, and an older one costs only
// the events after it. Nothing here waits for a barrier: whoever saves a
// snapshot takes it from commits that Append or Read returned, which are durable.
func (l *Log) Snapshots() store.Snapshots { return (*snapshots)(l) }

type snapshots Log

// Save replaces the stream's snapshot.
func (s *snapshots) Save(ctx context.Context, snapshot *store.Snapshot) error {
	key, err := s.key(snapshot.Stream)
	if err != nil {
		return err
	}
	data, err := store.EncodeSnapshot(snapshot)
	if err != nil {
		return err
	}
	if limit := int(s.cfg.Conn.MaxPayload()) - maxHeaderBytes; len(data) > limit {
		return &store.TooLargeError{What: "snapshot of " + snapshot.Stream.String(), Size: len(data), Limit: limit}
	}
	return s.put(ctx, &nats.Msg{Subject: s.names.keys + key, Data: data})
}

// Load returns the stream's snapshot.
func (s *snapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	key, err := s.key(id)
	if err != nil {
		return nil, err
	}
	var answer *nats.Msg
	l := (*Log)(s)
	err = l.firmly(ctx, func(ctx context.Context) error {
		answer, err = l.request(ctx, s.names.keyGet, lastOn(s.names.keys+key))
		return err
	})
	if err != nil {
		return nil, err
	}
	m, err := readDirect(answer)
	if errors.Is(err, errNone) || err == nil && answer.Header.Get(kvOperation) != "" {
		return nil, fmt.Errorf("snapshot of %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return store.DecodeSnapshotOf(id, m.data)
}

// Delete removes the stream's snapshot.
func (s *snapshots) Delete(ctx context.Context, id store.StreamID) error {
	key, err := s.key(id)
	if err != nil {
		return err
	}
	return s.put(ctx, &nats.Msg{Subject: s.names.keys + key, Header: nats.Header{kvOperation: {"DEL"}}})
}

func (s *snapshots) key(id store.StreamID) (string, error) {
	if err := store.ValidateName("aggregate type", id.Type); err != nil {
		return "", err
	}
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		return "", err
	}
	return s.names.key(id, token), nil
}

// put publishes and waits for the acknowledgement, again while nobody answers:
// to write the same value twice does no harm.
func (s *snapshots) put(ctx context.Context, m *nats.Msg) error {
	l := (*Log)(s)
	return l.firmly(ctx, func(ctx context.Context) error { return l.putOnce(ctx, m) })
}

func (l *Log) putOnce(ctx context.Context, m *nats.Msg) error {
	interrupted := l.link.interrupted()
	c := l.inbox.open(1)
	defer l.inbox.close(c)
	m.Reply = c.reply
	if err := l.cfg.Conn.PublishMsg(m); err != nil {
		return err
	}
	timer := time.NewTimer(requestWait)
	defer timer.Stop()
	select {
	case answered := <-c.answers:
		return putError(readAnswer(answered))
	case <-interrupted:
		return nats.ErrDisconnected
	case <-timer.C:
		return nats.ErrTimeout
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func putError(a answer) error {
	var api *apiError
	switch {
	case a.verdict == stored:
		return nil
	case errors.As(a.reason, &api) && api.ErrCode == codeTooLarge:
		return fmt.Errorf("%w: %w", store.ErrTooLarge, a.reason)
	}
	return a.reason
}
