package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/annals-go/annals/store"
)

func someParts() store.SnapshotParts {
	return store.SnapshotParts{
		Stream: store.StreamID{Type: "application", ID: "173688/é"}, Generation: "tfl3ks-0123abcd", Parts: 7, Bytes: 5 << 20,
	}
}

func TestSnapshotPartsRoundTrip(t *testing.T) {
	t.Parallel()
	want := someParts()
	stored, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "snapshot-parts.msgpack", stored, true)
	if got, ok, err := store.DecodeSnapshotParts(want.Stream, stored); err != nil || !ok || got != want {
		t.Fatalf("got %+v, %v, %v", got, ok, err)
	}
	if _, _, err := store.DecodeSnapshotParts(store.StreamID{Type: "application", ID: "2"}, stored); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("parts of another stream: %v", err)
	}
	if _, err := store.DecodeSnapshot(stored); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("taken for a whole snapshot: %v", err)
	}
	whole := mustEncodeSnapshot(t, fullSnapshot())
	if _, ok, err := store.DecodeSnapshotParts(want.Stream, whole); ok || err != nil {
		t.Errorf("a whole snapshot taken for parts: %v, %v", ok, err)
	}
}

// A bit that is wrong makes it damage, or something that is no snapshot either.
func TestSnapshotPartsNoticeEveryBit(t *testing.T) {
	t.Parallel()
	p := someParts()
	stored, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	noticesEveryBit(t, stored, func(stored []byte) error {
		if _, ok, err := store.DecodeSnapshotParts(p.Stream, stored); ok || err != nil {
			return err
		}
		_, err := store.DecodeSnapshot(stored)
		return err
	})
}

func TestSnapshotPartsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*store.SnapshotParts){
		"no generation":      func(p *store.SnapshotParts) { p.Generation = "" },
		"generation of dots": func(p *store.SnapshotParts) { p.Generation = "a.b" },
		"long generation":    func(p *store.SnapshotParts) { p.Generation = strings.Repeat("a", 65) },
		"no parts":           func(p *store.SnapshotParts) { p.Parts = 0 },
		"empty parts":        func(p *store.SnapshotParts) { p.Bytes = p.Parts - 1 },
		"over the limit":     func(p *store.SnapshotParts) { p.Bytes = store.MaxSnapshotBytes + 1 },
		"no stream":          func(p *store.SnapshotParts) { p.Stream.ID = "" },
	} {
		p := someParts()
		spoil(&p)
		if _, err := p.Encode(); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeSnapshotParts(f *testing.F) {
	p := someParts()
	stored, err := p.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(store.Unsealed(store.MsgPack, stored), true)
	f.Add(stored, false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			data = store.Sealed(store.MsgPack, data)
		}
		p, ok, err := store.DecodeSnapshotParts(p.Stream, data)
		switch {
		case err != nil && !errors.Is(err, store.ErrDamaged):
			t.Fatalf("an error that is no damage: %v", err)
		case ok && err == nil:
			if _, err := p.Encode(); err != nil {
				t.Fatalf("decoded what cannot be encoded: %+v: %v", p, err)
			}
		}
	})
}
