package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/annals-go/annals/store"
)

const (
	// maxPartBytes is what is kept in one message: below what a NATS server takes
	// unless it was told otherwise (1 MiB).
	maxPartBytes = 768 << 10
	// partsAtOnce is how many parts of a snapshot are on their way at once.
	partsAtOnce = 4
	// switchTries is how often a snapshot in parts is put in the place of one
	// that others keep replacing, and how often such a one is loaded anew.
	switchTries = 8
	// abandonedAfter is how old parts are that no snapshot names when they are
	// taken for what a writer left that died. Should its clock have been wrong,
	// and it be at work still, its snapshot is torn, and costs a replay.
	abandonedAfter = time.Hour
	// removeWait bounds how long parts are removed for that nobody needs.
	removeWait = 5 * time.Second
)

// errReplaced says that the key was written by another since it was looked at.
var errReplaced = errors.New("the snapshot was replaced meanwhile")

// partBytes is how many bytes one message takes.
func (s *snapshots) partBytes() int {
	return min(maxPartBytes, int(s.log.cfg.Conn.MaxPayload())-maxHeaderBytes)
}

// newGeneration returns a name that no other writer chooses, and that tells
// about when it was chosen.
func newGeneration() string {
	return strconv.FormatInt(time.Now().Unix(), 36) + "-" + uuid.New().String()[:13]
}

// isAbandoned reports whether parts were written too long ago to be still
// without the key that names them.
func isAbandoned(generation string, now time.Time) bool {
	text, _, _ := strings.Cut(generation, "-")
	made, err := strconv.ParseInt(text, 36, 64)
	return err != nil || now.Sub(time.Unix(made, 0)) > abandonedAfter
}

// saveParts stores the parts, then the key that names them in one step, and
// removes what that replaced.
func (s *snapshots) saveParts(ctx context.Context, at place, data []byte) (err error) {
	p := store.SnapshotParts{Stream: at.id, Generation: newGeneration(), Parts: 1 + (len(data)-1)/s.partBytes(), Bytes: len(data)}
	remove := []string{p.Generation} // if it does not come to be named
	defer func() { s.removeParts(ctx, at, remove...) }()
	if err := s.putParts(ctx, at, p, data); err != nil {
		return err
	}
	key, err := p.Encode()
	if err != nil {
		return err
	}
	replaced, err := s.name(ctx, at, p, key)
	if err != nil {
		remove = nil // the key may be on its way
		return err
	}
	s.note(at.id, p.Generation)
	remove = append(s.abandoned(ctx, at), replaced)
	return nil
}

func (s *snapshots) putParts(ctx context.Context, at place, p store.SnapshotParts, data []byte) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	size := s.partBytes()
	for n := range p.Parts {
		part := data[n*size : min((n+1)*size, len(data))]
		g.Go(func() error {
			return s.put(ctx, &nats.Msg{Subject: at.part(p.Generation, n), Data: part})
		})
	}
	return g.Wait()
}

// name makes the key name the parts, and returns the generation that it named
// before. Each writer removes what it replaced, and only that: so none takes away
// what another has just stored, and nothing stays. (Where an acknowledgement is
// lost and another writer comes at that moment, the snapshot may be torn.)
func (s *snapshots) name(ctx context.Context, at place, p store.SnapshotParts, key []byte) (replaced string, err error) {
	for range switchTries {
		before, err := s.look(ctx, at)
		if err != nil && !errors.Is(err, errNone) {
			return "", err
		}
		var sequence uint64
		if before != nil {
			sequence = before.sequence
			if was, _, _ := store.DecodeSnapshotParts(at.id, before.data); was.Generation != p.Generation {
				replaced = was.Generation
			} else {
				return replaced, nil // an answer was lost
			}
		}
		err = s.replace(ctx, &nats.Msg{Subject: at.key, Data: key, Header: nats.Header{expectedLastSubject: {strconv.FormatUint(sequence, 10)}}})
		if !errors.Is(err, errReplaced) {
			return replaced, err
		}
	}
	return "", fmt.Errorf("%w: %w", store.ErrUnavailable, errReplaced)
}

// replace is put with an expectation. errReplaced: that did not hold, perhaps
// because an earlier try was stored.
func (s *snapshots) replace(ctx context.Context, m *nats.Msg) error {
	late := false
	err := s.log.firmly(ctx, func(ctx context.Context) error {
		err := s.putOnce(ctx, m)
		var api *apiError
		late = errors.As(err, &api) && verdictOf(api.ErrCode) == moved
		if late {
			return nil
		}
		return err
	})
	if err == nil && late {
		return errReplaced
	}
	return err
}

// whole returns the bytes of the snapshot that the key holds, or names. If parts
// are not there it looks whether another snapshot took its place meanwhile.
func (s *snapshots) whole(ctx context.Context, at place, m *message) ([]byte, error) {
	for range switchTries {
		p, split, err := store.DecodeSnapshotParts(at.id, m.data)
		if err != nil || !split {
			return m.data, err
		}
		if p.Bytes > s.limit {
			return nil, &store.TooLargeError{What: "snapshot of " + at.id.String(), Size: p.Bytes, Limit: s.limit}
		}
		data, err := s.gather(ctx, at, p)
		if err == nil {
			s.note(at.id, p.Generation)
			return data, nil
		}
		if !errors.Is(err, errNone) {
			return nil, err
		}
		now, err := s.look(ctx, at)
		switch {
		case errors.Is(err, errNone) || err == nil && now.removed:
			return nil, store.ErrNotFound
		case err != nil:
			return nil, err
		case now.sequence == m.sequence:
			return nil, fmt.Errorf("%w: parts of the snapshot are not there", store.ErrDamaged)
		}
		m = now
	}
	return nil, fmt.Errorf("%w: %w", store.ErrUnavailable, errReplaced)
}

// gather reads all parts. errNone: one is not there.
func (s *snapshots) gather(ctx context.Context, at place, p store.SnapshotParts) ([]byte, error) {
	parts := make([][]byte, p.Parts)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	for n := range parts {
		g.Go(func() (err error) {
			parts[n], err = s.part(ctx, at.part(p.Generation, n))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	data := make([]byte, 0, p.Bytes)
	for _, part := range parts {
		data = append(data, part...)
	}
	return data, nil // the check sum is over all of them
}

// part reads one part, from any replica if that has it: a part never changes.
func (s *snapshots) part(ctx context.Context, subject string) ([]byte, error) {
	m, err := s.log.fetchNear(ctx, s.log.names.snapshots.directGet, lastOn(subject))
	if err != nil {
		m, err = s.log.fetchFirmly(ctx, s.log.names.snapshots.leaderGet, lastOn(subject))
	}
	if err != nil {
		return nil, err
	}
	return m.data, nil
}

func (at place) part(generation string, n int) string {
	return at.key + "." + generation + "." + strconv.Itoa(n)
}

// abandoned returns the generations of the stream's parts that a writer left
// behind that died. It may return none though there are some.
func (s *snapshots) abandoned(ctx context.Context, at place) (generations []string) {
	ask := append(append([]byte(`{"subjects_filter":"`), at.key...), `.>"}`...)
	state, err := s.log.state(ctx, &s.log.names.snapshots, ask)
	if err != nil {
		return nil
	}
	seen := map[string]bool{}
	for subject := range state.Subjects {
		generation, _, _ := strings.Cut(strings.TrimPrefix(subject, at.key+"."), ".")
		if generation != pasts && !seen[generation] && isAbandoned(generation, time.Now()) {
			generations = append(generations, generation)
		}
		seen[generation] = true
	}
	return generations
}

// removeParts removes parts that nothing names, also when ctx has ended. What
// cannot be removed stays until the stream's next snapshot in parts.
func (s *snapshots) removeParts(ctx context.Context, at place, generations ...string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeWait)
	defer cancel()
	for _, generation := range generations {
		if generation == "" {
			continue
		}
		if err := s.purge(ctx, at.key+"."+generation+".>"); err != nil {
			s.log.cfg.Logger.Warn("parts of an old snapshot are not removed", "stream", at.id.String(), "generation", generation, "err", err)
		}
	}
}

// purge removes everything on the subjects, and leaves no marks.
func (s *snapshots) purge(ctx context.Context, subjects string) error {
	return s.log.firmly(ctx, func(ctx context.Context) error {
		m, err := s.log.request(ctx, s.log.names.bucketPurge, []byte(`{"filter":"`+subjects+`"}`))
		if err != nil {
			return err
		}
		return readAPIError(m.Data)
	})
}
