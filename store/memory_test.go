package store_test

import (
	"testing"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		t.Run(codec.Name(), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, storetest.Harness{Open: func(*testing.T) storetest.Store { return openMemory(codec) }})
		})
	}
}

func openMemory(codec store.Codec) storetest.Store {
	shelf := &storetest.Shelf{}
	m := store.NewMemory(store.MemoryConfig{Codec: codec, Archive: shelf})
	s := openOver(m, m)
	s.Shelf = shelf
	return s
}

// openOver opens a log that stands on m.
func openOver(m *store.Memory, log store.Log) storetest.Store {
	lossy := storetest.NewLossy(log)
	return storetest.Store{
		Log:           lossy,
		Snapshots:     m,
		Again:         func(*testing.T) store.Log { return m },
		Faults:        lossy,
		Forge:         func(_ *testing.T, id store.StreamID, data []byte) { m.Forge(id, data) },
		Flip:          func(_ *testing.T, c *store.Commit) { m.Flip(c.Sequence) },
		Remove:        func(_ *testing.T, c *store.Commit) { m.Remove(c.Sequence) },
		Truncate:      m.Truncate,
		Bare:          func(*testing.T) store.Log { return m.WithoutArchive() },
		ForgeSnapshot: func(_ *testing.T, id store.StreamID, data []byte) { m.ForgeSnapshot(id, data) },
	}
}
