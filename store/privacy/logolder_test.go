package privacy_test

import (
	"testing"
	"time"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// What was decided before somebody was forgotten does not come back by an import under the
// next key, whether the import had a key of the subject in hand or none.
func TestImportBringsNobodyBack(t *testing.T) {
	t.Parallel()
	forEachCodec(t, func(t *testing.T, codec store.Codec) {
		below := store.NewMemory(store.MemoryConfig{Codec: codec})
		w, keys := wrapper(t), privacy.NewMemory()
		node := ringOf(t, keys, w)
		ann := field{"email", "ann@example.org", "ann"}
		old := commitOf(t, codec, application, store.Head{}, ann)
		old.Time = time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
		mustAppend(t, privacy.NewLog(below, node), commitOf(t, codec, store.StreamID{Type: "application", ID: "before"}, store.Head{}, ann))
		importing := ringOf(t, keys, w) // it has seen no record when the file was looked at
		inHand := ringOf(t, keys, w)
		if _, err := privacy.NewImportLog(store.NewMemory(store.MemoryConfig{Codec: codec}), inHand).Append(t.Context(), commitOf(t, codec, application, store.Head{}, ann)); err != nil {
			t.Fatalf("nobody was forgotten: %v", err)
		}
		mustForget(t, forgetter(t, keys, node), "ann")
		for range 2 {
			_, err := privacy.NewImportLog(below, importing).Append(t.Context(), old)
			wantError(t, "import of what is older", err, store.ErrErased)
		}
		if all := mustRead(t, below, application); len(all) > 0 {
			t.Fatalf("it was stored: %+v", all)
		}
		// Who has the old key in hand seals under it, for nobody.
		mustAppend(t, privacy.NewImportLog(below, inHand), old)
		if got := mustRead(t, privacy.NewLog(below, node), application)[0]; texts(t, codec, got.Events[0].Data)["email"] != "" {
			t.Errorf("ann is back: %+v", got)
		}
		// What was decided later is hers again, and without an import times do not matter.
		later := commitOf(t, codec, store.StreamID{Type: "application", ID: "later"}, store.Head{}, ann)
		later.Time = time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
		mustAppend(t, privacy.NewImportLog(below, importing), later)
		behind := commitOf(t, codec, store.StreamID{Type: "application", ID: "behind"}, store.Head{}, ann)
		behind.Time = old.Time
		mustAppend(t, privacy.NewLog(below, importing), behind)
	})
}
