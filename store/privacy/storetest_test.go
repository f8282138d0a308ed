package privacy_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"iter"
	"slices"
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
	"github.com/annals-go/annals/store/storetest"
)

// The log keeps its promises with a keyring before it: for commits without personal
// data, and for commits in which everything is personal; with a network that loses
// things before the sealing and behind it.
func TestLogKeepsTheContract(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, store.Codec) storetest.Store{
		"nothing personal":         openPlain,
		"all personal":             openCovered,
		"all personal, lost below": openLostBelow,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachCodec(t, func(t *testing.T, codec store.Codec) {
				storetest.Run(t, storetest.Harness{Open: func(t *testing.T) storetest.Store {
					t.Helper()
					return open(t, codec)
				}})
			})
		})
	}
}

func openPlain(t *testing.T, codec store.Codec) storetest.Store {
	t.Helper()
	shelf := &storetest.Shelf{}
	m := store.NewMemory(store.MemoryConfig{Codec: codec, Archive: shelf})
	k, _ := newRing(t)
	log := privacy.NewLog(m, k)
	lossy := storetest.NewLossy(log)
	return storetest.Store{
		Log: lossy, Faults: lossy, Snapshots: privacy.NewSnapshots(m, k),
		Again: func(*testing.T) store.Log { return privacy.NewLog(m, k) },
		Shelf: shelf, Truncate: log.Truncate,
	}
}

func openCovered(t *testing.T, codec store.Codec) storetest.Store {
	t.Helper()
	m := store.NewMemory(store.MemoryConfig{Codec: codec})
	keys, w := privacy.NewMemory(), wrapper(t)
	node := func() (store.Log, *privacy.Keyring) {
		k := ringOf(t, keys, w)
		return &covering{privacy.NewLog(m, k)}, k
	}
	log, k := node()
	rival, other := node()
	lossy := storetest.NewLossy(log)
	return storetest.Store{
		Log: lossy, Faults: lossy,
		Snapshots:      &coveringSnapshots{privacy.NewSnapshots(m, k), k},
		SnapshotsAgain: &coveringSnapshots{privacy.NewSnapshots(m, other), other},
		Again:          func(*testing.T) store.Log { return rival },
	}
}

func openLostBelow(t *testing.T, codec store.Codec) storetest.Store {
	t.Helper()
	m := store.NewMemory(store.MemoryConfig{Codec: codec})
	k, _ := newRing(t)
	lossy := storetest.NewLossy(m)
	return storetest.Store{
		Log: &covering{privacy.NewLog(lossy, k)}, Faults: lossy,
		Again: func(*testing.T) store.Log { return &covering{privacy.NewLog(m, k)} },
	}
}

// covering is a log all of whose data are personal. It puts them into a map of one
// member, which is sealed, and takes them out again.
type covering struct{ store.Log }

// mostCovered is how long data may be to be sealed: in JSON they grow by a third, and
// the limit of a commit is that of its stored bytes.
const mostCovered = store.MaxCommitBytes / 2

func (l *covering) cover(data []byte) ([]byte, []store.Personal) {
	if len(data) > mostCovered {
		return data, nil
	}
	var head, tail []byte
	if l.Codec() == store.JSON {
		head, tail = []byte(`{"v":`), []byte("}")
	} else {
		head = []byte{0x81, 0xa1, 'v'}
		data = append(binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(len(data))), data...)
	}
	span := store.Personal{Path: "v", Start: len(head), End: len(head) + len(data)}
	return slices.Concat(head, data, tail), []store.Personal{span}
}

func (l *covering) uncover(data []byte, spans []store.Personal) []byte {
	if len(spans) == 0 {
		return data
	}
	data = data[spans[0].Start:spans[0].End:spans[0].End]
	if l.Codec() == store.JSON {
		return data
	}
	return data[5:]
}

func (l *covering) Append(ctx context.Context, c *store.Commit) (store.Head, error) {
	covered := *c
	covered.Events, covered.Commands = slices.Clone(c.Events), slices.Clone(c.Commands)
	for i := range covered.Events {
		e := &covered.Events[i]
		e.Data, e.Personal = l.cover(bytes.Clone(e.Data))
	}
	for i := range covered.Commands {
		if m := &covered.Commands[i]; len(m.Data) > 0 {
			m.Data, m.Personal = l.cover(bytes.Clone(m.Data))
		}
	}
	head, err := l.Log.Append(ctx, &covered)
	c.Sequence, c.Local, c.Hash = covered.Sequence, covered.Local, covered.Hash
	return head, err
}

func (l *covering) uncoverCommit(c *store.Commit) *store.Commit {
	for i := range c.Events {
		e := &c.Events[i]
		e.Data, e.Personal = l.uncover(e.Data, e.Personal), nil
	}
	for i := range c.Commands {
		m := &c.Commands[i]
		m.Data, m.Personal = l.uncover(m.Data, m.Personal), nil
	}
	return c
}

func (l *covering) Read(ctx context.Context, id store.StreamID, after store.Head) iter.Seq2[*store.Commit, error] {
	return func(yield func(*store.Commit, error) bool) {
		for c, err := range l.Log.Read(ctx, id, after) {
			if err == nil {
				c = l.uncoverCommit(c)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func (l *covering) Follow(ctx context.Context, f store.Follow) (store.Feed, error) {
	feed, err := l.Log.Follow(ctx, f)
	if err != nil {
		return nil, err
	}
	return &coveringFeed{feed, l}, nil
}

type coveringFeed struct {
	store.Feed
	log *covering
}

func (f *coveringFeed) Next(ctx context.Context, limit int) ([]*store.Commit, error) {
	commits, err := f.Feed.Next(ctx, limit)
	for _, c := range commits {
		f.log.uncoverCommit(c)
	}
	return commits, err
}

// coveringSnapshots gives every snapshot two subjects.
type coveringSnapshots struct {
	store.PastSnapshots
	ring *privacy.Keyring
}

func (s *coveringSnapshots) keyed(ctx context.Context, snap *store.Snapshot) (*store.Snapshot, error) {
	codec := store.MsgPack
	data, err := codec.Marshal(map[string]string{"a": "x", "b": "y"})
	if err != nil {
		return nil, err
	}
	var spans []store.Personal
	for i, subject := range []string{snap.Stream.ID, "second subject"} {
		at := bytes.Index(data, mustText(codec, []string{"x", "y"}[i]))
		spans = append(spans, store.Personal{Start: at, End: at + 2, Subject: subject})
	}
	slices.SortFunc(spans, func(a, b store.Personal) int { return a.Start - b.Start })
	_, refs, err := s.ring.Seal(ctx, privacy.Scope{}, codec, data, spans)
	if err != nil {
		return snap, nil //nolint:nilerr // the store below says what is wrong with it
	}
	keyed := *snap
	keyed.Keys = refs
	return &keyed, nil
}

func mustText(codec store.Codec, text string) []byte {
	data, err := codec.Marshal(text)
	if err != nil {
		panic(err)
	}
	return data
}

func (s *coveringSnapshots) Save(ctx context.Context, snap *store.Snapshot) error {
	keyed, err := s.keyed(ctx, snap)
	if err != nil {
		return err
	}
	return s.PastSnapshots.Save(ctx, keyed)
}

func (s *coveringSnapshots) SavePast(ctx context.Context, mark uint64, snap *store.Snapshot) error {
	keyed, err := s.keyed(ctx, snap)
	if err != nil {
		return err
	}
	return s.PastSnapshots.SavePast(ctx, mark, keyed)
}

func (s *coveringSnapshots) Load(ctx context.Context, id store.StreamID) (*store.Snapshot, error) {
	return unkeyed(s.PastSnapshots.Load(ctx, id))
}

func (s *coveringSnapshots) LoadPast(ctx context.Context, id store.StreamID, mark uint64) (*store.Snapshot, error) {
	return unkeyed(s.PastSnapshots.LoadPast(ctx, id, mark))
}

func unkeyed(snap *store.Snapshot, err error) (*store.Snapshot, error) {
	if snap != nil {
		snap.Keys = nil
	}
	return snap, err
}
