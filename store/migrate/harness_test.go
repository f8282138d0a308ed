package migrate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/migrate"
)

// fill appends n commits of some streams, with one to three events each.
func fill(t testing.TB, log store.Log, n int) {
	t.Helper()
	heads := map[store.StreamID]store.Head{}
	for i := range n {
		stream := store.StreamID{Type: "parcel", ID: fmt.Sprint(i % 5)}
		c := &store.Commit{
			Stream: stream, ID: uuid.New(), After: heads[stream], Time: time.Unix(1e9+int64(i), 0).UTC(), Epoch: uint64(i % 2),
		}
		for j := range 1 + i%3 {
			if j != 1 {
				c.Commands = append(c.Commands, store.Command{ID: fmt.Sprintf("c-%d-%d", i, j), Name: "do", Principal: "ann"})
			}
			e := store.Event{Type: []string{"sent", "moved", "scanned"}[(i/3+j)%3], Schema: 1, Command: len(c.Commands) - 1, Data: fmt.Appendf(nil, `{"n":%d}`, i)}
			c.Events = append(c.Events, e)
		}
		head, err := log.Append(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		heads[stream] = head
	}
}

// reform splits what moved, drops what was scanned and leaves the rest alone.
var reform = migrate.Events(func(dst []store.Event, _ store.Codec, _ store.StreamID, e store.Event) ([]store.Event, error) {
	switch e.Type {
	case "moved":
		return append(dst, store.Event{Type: "departed", Schema: 1, Data: e.Data}, store.Event{Type: "arrived", Schema: 1, Data: e.Data}), nil
	case "scanned":
		return dst, nil
	}
	return append(dst, e), nil
})

var same = migrate.Events(func(dst []store.Event, _ store.Codec, _ store.StreamID, e store.Event) ([]store.Event, error) {
	return append(dst, e), nil
})

// loader appends to a log in memory, as long as it may.
type loader struct {
	log  store.Log
	end  uint64
	left int // how many more; negative: any number
}

var errKilled = fmt.Errorf("killed")

func newLoader(t testing.TB, log store.Log, left int) *loader {
	t.Helper()
	tip, err := log.Tip(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return &loader{log: log, end: tip.Sequence(), left: left}
}

func (l *loader) End() uint64 { return l.end }

func (l *loader) Place(ctx context.Context, c *store.Commit) (store.Head, error) {
	if l.left == 0 {
		return store.Head{}, errKilled
	}
	l.left--
	head, err := l.log.Append(ctx, c)
	l.end = c.Sequence
	return head, err
}

func (l *loader) Flush(context.Context) error { return nil }

func memory() *store.Memory { return store.NewMemory(store.MemoryConfig{Codec: store.JSON}) }

// run migrates into a log, storing at most so many commits.
func run(t testing.TB, from, to store.Log, transform migrate.Transform, left int) (migrate.Report, error) {
	t.Helper()
	m, err := migrate.New(migrate.Config{From: from, To: to, Loader: newLoader(t, to, left), Transform: transform})
	if err != nil {
		t.Fatal(err)
	}
	return m.Run(context.Background())
}

// told is an event as the tests compare it.
type told struct {
	Type    string
	N       int
	Version uint64
	Command string
	Time    time.Time
	ID      uuid.UUID
}

// histories are the streams of a log, each event with all that must be kept.
func histories(t testing.TB, log store.Log) map[string][]told {
	t.Helper()
	all := map[string][]told{}
	for id := range 5 {
		stream := store.StreamID{Type: "parcel", ID: fmt.Sprint(id)}
		for c, err := range log.Read(context.Background(), stream, store.Head{}) {
			if err != nil {
				t.Fatal(err)
			}
			for r := range c.Recorded() {
				var data struct{ N int }
				if err := json.Unmarshal(r.Data, &data); err != nil {
					t.Fatal(err)
				}
				all[stream.ID] = append(all[stream.ID], told{r.Type, data.N, r.Version, r.Command.ID, r.Time, r.ID})
			}
		}
	}
	return all
}
