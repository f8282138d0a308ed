package node

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// A log whose values look sealed here and there, and are not, may get a key store.
func TestFirstSealed(t *testing.T) {
	t.Parallel()
	plain, err := store.MsgPack.Marshal(map[string]string{"note": "\u01d8P"})
	if err != nil {
		t.Fatal(err)
	}
	name, err := store.MsgPack.Marshal("Ann")
	if err != nil {
		t.Fatal(err)
	}
	sealed := append([]byte{0x81}, append(name, store.SealedForm(store.MsgPack, []byte("~Ann"))...)...)
	for _, test := range []struct {
		events, commands []byte
		want             store.Position
	}{{plain, plain, 0}, {sealed, plain, 1}, {plain, sealed, 1}} {
		log := store.NewMemory(store.MemoryConfig{Codec: store.MsgPack})
		c := &store.Commit{
			Stream: store.StreamID{Type: "note", ID: "1"}, ID: uuid.New(), Time: time.Unix(1_300_000_000, 0).UTC(),
			Commands: []store.Command{{ID: "c", Name: "do", Data: test.commands, Schema: 1}},
			Events:   []store.Event{{Type: "done", Schema: 1, Data: test.events}},
		}
		if _, err := log.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		tip, err := log.Tip(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at, err := firstSealed(t.Context(), log, tip)
		if err != nil || at != test.want*tip {
			t.Errorf("the first sealed value is at %d, %v; want %d", at, err, test.want*tip)
		}
	}
}
