package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

var _ store.PastSnapshots = (*snapshots)(nil)

// pasts stands in the key of a past snapshot where a part has its generation:
// <type>.<id token>.past.<mark>.
const pasts = "past"

func (at place) past(mark uint64) string {
	return at.key + "." + pasts + "." + strconv.FormatUint(mark, 10)
}

// SavePast keeps a snapshot under a mark, if one message takes it: several of
// some MiB each are not worth their room.
func (s *snapshots) SavePast(ctx context.Context, mark uint64, snapshot *store.Snapshot) error {
	at, err := s.placeOf(snapshot.Stream)
	if err != nil {
		return err
	}
	data, err := store.EncodeSnapshotWithin(min(s.limit, s.partBytes()), snapshot)
	if err != nil {
		return err
	}
	if err := s.put(ctx, &nats.Msg{Subject: at.past(mark), Data: data}); err != nil {
		return fmt.Errorf("save past snapshot of %s: %w", snapshot.Stream, err)
	}
	return nil
}

// DropPast removes what is under a mark.
func (s *snapshots) DropPast(ctx context.Context, id store.StreamID, mark uint64) error {
	at, err := s.placeOf(id)
	if err == nil {
		err = s.purge(ctx, at.past(mark))
	}
	if err != nil {
		return fmt.Errorf("drop past snapshot of %s: %w", id, err)
	}
	return nil
}

// Pasts returns the marks of a stream.
func (s *snapshots) Pasts(ctx context.Context, id store.StreamID) ([]uint64, error) {
	at, err := s.placeOf(id)
	if err != nil {
		return nil, err
	}
	prefix := at.key + "." + pasts + "."
	state, err := s.log.state(ctx, &s.log.names.snapshots, []byte(`{"subjects_filter":"`+prefix+`*"}`))
	if err != nil {
		return nil, fmt.Errorf("list past snapshots of %s: %w", id, err)
	}
	var marks []uint64
	for subject := range state.Subjects {
		if mark, err := strconv.ParseUint(strings.TrimPrefix(subject, prefix), 10, 64); err == nil {
			marks = append(marks, mark)
		}
	}
	slices.Sort(marks)
	return marks, nil
}

// LoadPast returns what is under a mark.
func (s *snapshots) LoadPast(ctx context.Context, id store.StreamID, mark uint64) (*store.Snapshot, error) {
	at, err := s.placeOf(id)
	if err != nil {
		return nil, err
	}
	m, err := s.log.fetchFirmly(ctx, s.log.names.snapshots.leaderGet, lastOn(at.past(mark)))
	if errors.Is(err, errNone) {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("load past snapshot of %s: %w", id, err)
	}
	return store.DecodeSnapshotOf(id, m.data)
}
