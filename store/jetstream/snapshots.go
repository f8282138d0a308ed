package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

// kvOperation marks a message in a bucket that holds no value.
const kvOperation = "KV-Operation"

// Snapshots returns the namespace's snapshots, in the bucket
// ANNALS_<ns>_snapshots under the key <type>.<id token>. The bucket's leader is
// asked, so that what was saved is found. Nothing here waits for a barrier:
// whoever saves a snapshot takes it from commits that Append or Read returned,
// which are durable.
func (l *Log) Snapshots() store.Snapshots { return &snapshots{log: l} }

type snapshots struct{ log *Log }

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
	if limit := int(s.log.cfg.Conn.MaxPayload()) - maxHeaderBytes; len(data) > limit {
		return &store.TooLargeError{What: "snapshot of " + snapshot.Stream.String(), Size: len(data), Limit: limit}
	}
	if err := s.put(ctx, &nats.Msg{Subject: key, Data: data}); err != nil {
		return fmt.Errorf("save snapshot of %s: %w", snapshot.Stream, err)
	}
	return nil
}

// Load returns the stream's snapshot.
func (s *snapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	key, err := s.key(id)
	if err != nil {
		return nil, err
	}
	var m *message
	err = s.log.firmly(ctx, func(ctx context.Context) error {
		m, err = s.log.fetch(ctx, s.log.names.keyGet, lastOn(key))
		return err
	})
	if errors.Is(err, errNone) || err == nil && m.removed {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("load snapshot of %s: %w", id, err)
	}
	return store.DecodeSnapshotOf(id, m.data)
}

// Delete removes the stream's snapshot.
func (s *snapshots) Delete(ctx context.Context, id store.StreamID) error {
	key, err := s.key(id)
	if err != nil {
		return err
	}
	if err := s.put(ctx, &nats.Msg{Subject: key, Header: nats.Header{kvOperation: {"DEL"}}}); err != nil {
		return fmt.Errorf("delete snapshot of %s: %w", id, err)
	}
	return nil
}

// key returns the subject that the stream's snapshot is kept on.
func (s *snapshots) key(id store.StreamID) (string, error) {
	if err := store.ValidateName("aggregate type", id.Type); err != nil {
		return "", err
	}
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		return "", err
	}
	return s.log.names.key(id, token), nil
}

// put publishes and waits for the acknowledgement, again while nobody answers:
// to write the same value twice does no harm.
func (s *snapshots) put(ctx context.Context, m *nats.Msg) error {
	return s.log.firmly(ctx, func(ctx context.Context) error { return s.putOnce(ctx, m) })
}

func (s *snapshots) putOnce(ctx context.Context, m *nats.Msg) error {
	answered, err := s.log.exchange(ctx, m)
	if err != nil {
		return err
	}
	got := readAnswer(answered)
	var api *apiError
	if errors.As(got.reason, &api) && api.ErrCode == codeTooLarge {
		return fmt.Errorf("%w: %w", store.ErrTooLarge, got.reason)
	}
	return got.reason
}
