package store_test

import (
	"testing"

	"github.com/annals-go/annals/store"
)

// What runs for each command or event stays cheap. It cannot run in parallel:
// allocations are counted for the whole process.
func TestAllocations(t *testing.T) {
	types := accountEvents()
	small, err := store.MsgPack.Marshal(tenFields{})
	if err != nil {
		t.Fatal(err)
	}
	commit := fullCommit(t, store.MsgPack)
	commit.Stream.ID = "173688"
	stored := mustEncode(t, store.MsgPack, commit)
	var fields tenFields
	event := accountEvent(opened{Owner: "ann"})
	for _, test := range []struct {
		name string
		most float64
		run  func()
	}{
		{"token of a plain id", 0, func() { _, _ = store.EncodeToken("application-173688") }},
		{"partition of a stream", 0, func() { _ = commit.Stream.Partition(128) }},
		{"wire name of a type", 0, func() { _, _ = types.Name(event) }},
		{"guard of a usual value", 0, func() { _ = store.GuardMsgPack(small) }},
		{"check of a usual value", 0, func() { _ = store.FitsMsgPack(small, &fields) }},
		{"looking for sealed values", 0, func() { _ = store.MayHoldSealed(store.MsgPack, small) }},
		{"encoding a commit", 1, func() { _, _ = store.EncodeCommit(store.MsgPack, commit) }},
		{"decoding a commit: itself, commands, events, texts", 4, func() { _, _ = store.DecodeCommit(store.MsgPack, stored, sequence) }},
	} {
		if got := testing.AllocsPerRun(100, test.run); got > test.most {
			t.Errorf("%s: %v allocations, want at most %v", test.name, got, test.most)
		}
	}
}

// Types without personal fields pay nothing for those that have some.
func TestAllocationsOfImpersonal(t *testing.T) {
	types := store.NewTypes(map[string]any{"submitted": tenFields{}})
	v := any(tenFields{ID: "42", Employee: "emp-7"})
	for _, codec := range codecs {
		data, err := codec.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		_, alone := allocations(func() { _, _ = codec.Marshal(v) })
		if got, _ := allocations(func() { _, _ = types.Encode(codec, v) }); got > alone {
			t.Errorf("%s: encoding with types makes %v allocations, without %v", codec.Name(), got, alone)
		}
		if got := testing.AllocsPerRun(100, func() { _, _, _, _ = store.OpenSealed(codec, data, nil) }); got > 0 {
			t.Errorf("%s: opening what holds nothing sealed makes %v allocations", codec.Name(), got)
		}
	}
}

// allocations returns the least and the most of several counts: pools, which encoding/json
// has, lose something now and then, and under the race detector often.
func allocations(run func()) (least, most float64) {
	least = testing.AllocsPerRun(100, run)
	most = least
	for range 4 {
		n := testing.AllocsPerRun(100, run)
		least, most = min(least, n), max(most, n)
	}
	return least, most
}

// Types with personal fields pay little: their spans, the names in these, and room for the
// walk. Opening pays for the data, the spans and the paths.
func TestAllocationsOfPersonal(t *testing.T) {
	types := store.NewTypes(map[string]any{"submitted": tenPersonal{}})
	v := any(tenPersonal{ID: "42", Employee: "emp-7", Branch: "utrecht"})
	for _, codec := range codecs {
		_, alone := allocations(func() { _, _ = codec.Marshal(v) })
		if got, _ := allocations(func() { _, _ = types.Encode(codec, v) }); got > alone+5 {
			t.Errorf("%s: encoding makes %v allocations, without personal fields %v", codec.Name(), got, alone)
		}
	}
	commit := fullCommit(t, store.MsgPack)
	if got := testing.AllocsPerRun(100, func() {
		for range commit.Recorded() {
		}
	}); got > 0 {
		t.Errorf("naming events makes %v allocations", got)
	}
}
