package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
//
// What does not fit into one message is kept in parts, under
// <type>.<id token>.<generation>.<number>; the key itself then names the
// generation, and is written last.
func (l *Log) Snapshots() store.Snapshots {
	return &snapshots{log: l, limit: l.cfg.SnapshotBytes, split: map[store.StreamID]string{}}
}

type snapshots struct {
	log   *Log
	limit int

	mu sync.Mutex
	// split has the generation of the streams whose snapshot was last seen in
	// parts, so that the first small one after it removes them.
	split map[store.StreamID]string
}

// maxSplit bounds what is remembered of snapshots in parts. Of those beyond it
// the parts stay until the stream's next snapshot in parts, or its deletion.
const maxSplit = 1 << 16

// place is where a stream's snapshot is kept.
type place struct {
	id  store.StreamID
	key string // a subject; those of parts begin with it
}

// Save replaces the stream's snapshot.
func (s *snapshots) Save(ctx context.Context, snapshot *store.Snapshot) error {
	at, err := s.placeOf(snapshot.Stream)
	if err != nil {
		return err
	}
	data, err := store.EncodeSnapshotWithin(s.limit, snapshot)
	if err != nil {
		return err
	}
	if len(data) > s.partBytes() {
		err = s.saveParts(ctx, at, data)
	} else if err = s.put(ctx, &nats.Msg{Subject: at.key, Data: data}); err == nil {
		s.removeParts(ctx, at, s.forget(at.id))
	}
	if err != nil {
		return fmt.Errorf("save snapshot of %s: %w", snapshot.Stream, err)
	}
	return nil
}

// Load returns the stream's snapshot.
func (s *snapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	at, err := s.placeOf(id)
	if err != nil {
		return nil, err
	}
	m, err := s.look(ctx, at)
	if errors.Is(err, errNone) || err == nil && m.removed {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("load snapshot of %s: %w", id, err)
	}
	data, err := s.whole(ctx, at, m)
	if err != nil {
		return nil, fmt.Errorf("load snapshot of %s: %w", id, err)
	}
	return store.DecodeSnapshotOf(id, data)
}

// Delete removes the stream's snapshot.
func (s *snapshots) Delete(ctx context.Context, id store.StreamID) error {
	at, err := s.placeOf(id)
	if err != nil {
		return err
	}
	if err = s.put(ctx, &nats.Msg{Subject: at.key, Header: nats.Header{kvOperation: {"DEL"}}}); err == nil {
		s.forget(id)
		err = s.purge(ctx, at.key+".>")
	}
	if err != nil {
		return fmt.Errorf("delete snapshot of %s: %w", id, err)
	}
	return nil
}

// placeOf returns where the stream's snapshot is kept.
func (s *snapshots) placeOf(id store.StreamID) (place, error) {
	if err := store.ValidateName("aggregate type", id.Type); err != nil {
		return place{}, err
	}
	token, err := store.EncodeToken(id.ID)
	if err != nil {
		return place{}, err
	}
	return place{id: id, key: s.log.names.key(id, token)}, nil
}

// look returns what the bucket's leader has under the stream's key, or errNone.
func (s *snapshots) look(ctx context.Context, at place) (*message, error) {
	return s.log.fetchFirmly(ctx, s.log.names.snapshots.leaderGet, lastOn(at.key))
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

// note remembers that the stream's snapshot is kept in parts.
func (s *snapshots) note(id store.StreamID, generation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.split[id]; known || len(s.split) < maxSplit {
		s.split[id] = generation
	}
}

// forget returns what was noted of the stream, "" if nothing was.
func (s *snapshots) forget(id store.StreamID) (generation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	generation = s.split[id]
	delete(s.split, id)
	return generation
}
