package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

// firstHistory is a commit of the first build, with each of its events.
func firstHistory(t *testing.T, c store.Codec) *store.Commit {
	t.Helper()
	commit := &store.Commit{
		Stream:   store.StreamID{Type: "parcel", ID: "17 b"},
		ID:       uuid.MustParse("0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"),
		Time:     time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC),
		Commands: []store.Command{{ID: "c-1", Name: "import"}},
	}
	for _, v := range []any{
		registeredV1{First: "Ann", Last: "Lee", Grams: 1500}, movedV1{From: "Oslo", To: "Bonn"}, scannedV1{By: "Eve"}, deliveredV1{Hand: "Bob"},
	} {
		encoded, err := parcelV1().Encode(c, v)
		if err != nil {
			t.Fatal(err)
		}
		commit.Events = append(commit.Events, encoded.Event(0))
	}
	return commit
}

// What the first build stored is read for as long as there are logs: these bytes,
// by the types of the third.
func TestHistoryGolden(t *testing.T) {
	types := parcelEvents()
	eachCodec(t, func(t *testing.T, c store.Codec) {
		stored := mustEncode(t, c, firstHistory(t, c))
		golden(t, "history-v1."+c.Name(), stored, c != store.JSON)
		commit, err := store.DecodeCommit(c, stored, 7)
		if err != nil {
			t.Fatal(err)
		}
		var values []parcelEvent
		var parts []int
		for e := range commit.Recorded() {
			before := len(values)
			if values, err = types.DecodeAll(values, c, e.Type, e.Schema, e.Data); err != nil {
				t.Fatal(err)
			}
			for nth, v := range values[before:] {
				p := types.Part(e, nth, v)
				if name, _ := types.Name(v); p.Type != name || p.Version != e.Version || p.ID != e.ID || p.Position != e.Position || p.Schema != e.Schema {
					t.Errorf("part %d of %+v is %+v", nth, e, p)
				}
				parts = append(parts, p.Part)
			}
		}
		want := []parcelEvent{registered{"Ann Lee", 1.5}, departed{"Oslo"}, arrived{"Bonn"}, handedOver{"Bob"}}
		if !slices.Equal(values, want) || !slices.Equal(parts, []int{0, 0, 1, 0}) {
			t.Errorf("it reads as %v, parts %v, want %v", values, parts, want)
		}
	})
}
