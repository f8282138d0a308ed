package backup

import (
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// A clock that was set back does not put a backup before the one that it goes on
// from.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	v, err := segment.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := store.NewMemory(store.MemoryConfig{})
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last := ""
	for i := range 5 {
		at := now.Add(-time.Duration(i) * time.Hour)
		m, err := Create(t.Context(), v, "shop", Source{Log: log}, Options{Full: i == 3, now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		if m.ID <= last || i != 3 && m.Parent != last {
			t.Errorf("backup %s, after %q, comes after %s", m.ID, m.Parent, last)
		}
		last = m.ID
		if b, err := Open(t.Context(), v, "shop", ""); err != nil || b.Manifest().ID != last {
			t.Errorf("the last is not %s: %v", last, err)
		}
	}
}
