package exchange_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/exchange"
)

// Whatever bytes a log holds as an event's data, an export says enough to store
// the same again.
func FuzzStoredBytes(f *testing.F) {
	for _, v := range kindsOfValues() {
		data, err := store.MsgPack.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{0xc1})
	f.Add([]byte{0x82, 0x01, 0x02, 0xa1, '1', 0x03}) // the names 1 and "1"
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWriter(t, store.MsgPack)
		w.commit("1", 1)
		stream := store.StreamID{Type: "order", ID: "1"}
		c := commits(t, w.log)[0]
		c.ID, c.After, c.Events[0].Data, c.Commands[0].ID = uuid.New(), w.heads[stream], data, "other"
		if _, err := w.log.Append(context.Background(), c); errors.Is(err, store.ErrTooLarge) {
			return
		}
		to := store.NewMemory(store.MemoryConfig{})
		if _, err := exchange.Import(context.Background(), exchange.ImportConfig{Log: to}, file(lines(t, w.log, exchange.JSONLines))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(commits(t, w.log), commits(t, to)); diff != "" {
			t.Error(diff)
		}
	})
}
