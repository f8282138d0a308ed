package node

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/ledger"
	"github.com/annals-go/annals/store/privacy"
)

// Who was forgotten is left out of what is older also if the log alone still says so, because the key
// store was set back; what is younger stays, and so does what is about others.
func TestImportLeavesOutWhomTheLogForgot(t *testing.T) {
	t.Parallel()
	kek := filepath.Join(t.TempDir(), "kek")
	if err := privacy.GenerateFile(kek, "first"); err != nil {
		t.Fatal(err)
	}
	wrapper, err := privacy.OpenFile(kek)
	if err != nil {
		t.Fatal(err)
	}
	below, keys := store.NewMemory(store.MemoryConfig{}), privacy.NewMemory()
	notices := ledger.New(below)
	forgotten := privacy.Erasure{ID: uuid.New(), Key: store.KeyID(uuid.New()), At: time.Now().UTC()}
	if _, err := notices.Forget(t.Context(), "ann", forgotten); err != nil {
		t.Fatal(err)
	}
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: wrapper})
	if err != nil {
		t.Fatal(err)
	}
	log := privacy.NewImportLog(below, ring)
	in, err := newIntake(below.Codec(), App{Aggregates: []actor.Definition{guests}}, true, ring)
	if err != nil {
		t.Fatal(err)
	}
	event, err := guests.Events.Encode(below.Codec(), arrived{Name: "MARKER", Room: 7})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id   string
		at   time.Time
		want int
	}{
		{"ann", forgotten.At.Add(-time.Hour), 0}, {"ann", forgotten.At, 0}, {"ann", forgotten.At.Add(time.Hour), 1}, {"ben", forgotten.At.Add(-time.Hour), 1},
	} {
		commit := &store.Commit{
			Stream: store.StreamID{Type: "guest", ID: c.id}, ID: uuid.New(), Time: c.at.Truncate(time.Microsecond),
			Commands: []store.Command{{ID: uuid.NewString(), Name: "arrive"}}, Events: []store.Event{event.Event(0)},
		}
		take, err := in.take(t.Context(), commit)
		if err != nil || !take {
			t.Fatalf("%s at %v: %v, %v", c.id, c.at, take, err)
		}
		if spans, named := len(commit.Events[0].Personal), bytes.Contains(commit.Events[0].Data, []byte("MARKER")); spans != c.want || named != (c.want == 1) {
			t.Errorf("%s at %v: %d personal parts, want %d; the name is there: %v", c.id, c.at, spans, c.want, named)
		}
		if c.at.Equal(forgotten.At) { // one of a stream is enough
			if _, err := log.Append(t.Context(), commit); err != nil {
				t.Errorf("what is left of it is not stored: %v", err)
			}
		}
	}
}
