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

// What is imported is compared with the notices in the log, as all that is written: it is not
// sealed under a key that one of them names, and brings nobody back of whom the key store knows nothing any more.
func TestImportIsComparedWithNotices(t *testing.T) {
	t.Parallel()
	other := store.StreamID{Type: "application", ID: "other"}
	ann := field{"email", "ann@example.net", "ann"}
	t.Run("record put back", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, store.MsgPack)
		putBack(t, s.keys, s.old)
		younger := commitOf(t, store.MsgPack, other, store.Head{}, ann)
		younger.Time = time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
		mustAppend(t, privacy.NewImportLog(s.memory, ringOf(t, s.keys, s.file)), younger)
		fresh, _ := s.node(t)
		if len(mustRead(t, fresh, other)[0].Events[0].Personal) != 1 {
			t.Error("what was imported reads as forgotten")
		}
		if reads(t, fresh) {
			t.Error("what was forgotten is read")
		}
	})
	t.Run("record lost", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, store.MsgPack)
		s.keys = privacy.NewMemory()
		ring := ringOf(t, s.keys, s.file)
		log := privacy.NewImportLog(s.memory, ring)
		old := commitOf(t, store.MsgPack, other, store.Head{}, ann)
		old.Time = time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
		if at, err := ring.Forgotten(t.Context(), "ann"); err != nil || !at.After(old.Time) {
			t.Errorf("forgotten at %v, %v", at, err)
		}
		if at, err := ring.Forgotten(t.Context(), "bob"); err != nil || !at.IsZero() {
			t.Errorf("bob was never forgotten, and was at %v, %v", at, err)
		}
		_, err := log.Append(t.Context(), old)
		wantError(t, "import of what is older than a notice", err, store.ErrErased)
		if all := mustRead(t, s.memory, other); len(all) > 0 {
			t.Errorf("it was stored: %+v", all)
		}
	})
	t.Run("record lost, and not to be mended", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, store.MsgPack)
		s.keys = privacy.NewMemory()
		unchecked := privacy.NewLog(store.NewMemory(store.MemoryConfig{}), ringOf(t, s.keys, s.file))
		mustAppend(t, unchecked, commitOf(t, store.MsgPack, other, store.Head{}, ann))
		log := privacy.NewImportLog(s.memory, ringOf(t, &nobodyKnows{Keys: s.keys, err: store.ErrRefused}, s.file))
		old := commitOf(t, store.MsgPack, other, store.Head{}, ann)
		old.Time = time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
		_, err := log.Append(t.Context(), old)
		wantError(t, "import of what is older than a notice", err, store.ErrErased)
	})
}
