package jetstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/annals-go/annals/store"
)

func TestAllSnapshots(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	want := map[store.StreamID]uint64{}
	for i := range 50 {
		id := stream(fmt.Sprint("a/", i))
		s := &store.Snapshot{
			Stream: id, Head: store.Head{Version: uint64(i) + 1, Sequence: 7}, Position: store.PositionOf(7, 0),
			Time: time.Unix(1, 0), Schema: 1, State: []byte("state"),
		}
		if err := l.Snapshots().Save(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		want[id] = s.Head.Version
	}
	if err := l.Snapshots().Delete(t.Context(), stream("a/7")); err != nil {
		t.Fatal(err)
	}
	delete(want, stream("a/7"))
	for s, err := range l.AllSnapshots(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if want[s.Stream] != s.Head.Version {
			t.Errorf("%s at %d", s.Stream, s.Head.Version)
		}
		delete(want, s.Stream)
	}
	if len(want) > 0 {
		t.Errorf("not listed: %v", want)
	}
	empty := open(t, &single, Config{})
	for s, err := range empty.AllSnapshots(t.Context()) {
		t.Errorf("an empty namespace has %v, %v", s, err)
	}
}
