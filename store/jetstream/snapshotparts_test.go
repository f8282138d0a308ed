package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
)

func sized(id store.StreamID, version uint64, size int) *store.Snapshot {
	return &store.Snapshot{
		Stream: id, Head: store.Head{Version: version, Sequence: version}, Position: store.PositionOf(version, 0),
		Time: time.Unix(1_700_000_000, 0).UTC(), Schema: 1, State: bytes.Repeat([]byte{byte(version)}, size),
	}
}

func mustSave(t *testing.T, s store.Snapshots, snapshot *store.Snapshot) {
	t.Helper()
	if err := s.Save(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
}

// partsOf returns the subjects of all parts that the bucket has of a stream.
func partsOf(t *testing.T, s *snapshots, id store.StreamID) (subjects []string) {
	t.Helper()
	at, err := s.placeOf(id)
	if err != nil {
		t.Fatal(err)
	}
	state, err := s.log.state(t.Context(), &s.log.names.snapshots, []byte(`{"subjects_filter":"`+at.key+`.>"}`))
	if err != nil {
		t.Fatal(err)
	}
	for subject := range state.Subjects {
		subjects = append(subjects, strings.TrimPrefix(subject, at.key+"."))
	}
	return subjects
}

// Nothing is kept but what the key names, whatever took whose place.
func TestPartsOfOldSnapshotsAreRemoved(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	s, other := l.Snapshots().(*snapshots), l.Snapshots().(*snapshots)
	id := stream("1")
	want := func(what string, n int) {
		t.Helper()
		if got := partsOf(t, s, id); len(got) != n {
			t.Fatalf("%s: %d parts are kept, want %d: %v", what, len(got), n, got)
		}
	}
	mustSave(t, s, sized(id, 1, 2<<20))
	want("a snapshot of 2 MiB", 3)
	mustSave(t, s, sized(id, 2, 5<<20))
	want("one of 5 MiB in its place", 7)
	mustSave(t, other, sized(id, 3, 1<<20))
	want("another writer's of 1 MiB", 2)
	if _, err := s.Load(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	mustSave(t, s, sized(id, 4, 10))
	want("a small one of who has loaded it", 0)
	mustSave(t, s, sized(id, 5, 2<<20))
	if err := s.Delete(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	want("deleted", 0)
}

// TestPartsOfTheDeadAreRemoved: a writer that died left parts that nothing names.
func TestPartsOfTheDeadAreRemoved(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	s := l.Snapshots().(*snapshots)
	id := stream("1")
	at, err := s.placeOf(id)
	if err != nil {
		t.Fatal(err)
	}
	leave := func(generation string) {
		for n := range 3 {
			if err := s.put(t.Context(), &nats.Msg{Subject: at.part(generation, n), Data: []byte("part")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	leave("1-dead")
	leave("_-no-time")
	working := newGeneration()
	leave(working)
	mustSave(t, s, sized(id, 1, 2<<20))
	kept := partsOf(t, s, id)
	if len(kept) != 6 {
		t.Fatalf("kept: %v, want the snapshot's and those of the writer at work", kept)
	}
	for _, name := range kept {
		if strings.HasPrefix(name, "1-dead") || strings.HasPrefix(name, "_-") {
			t.Errorf("part %s is kept", name)
		}
	}
}

// A writer that gives up leaves the snapshot that was there, and nothing else.
func TestSaveInPartsThatEndsEarly(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	s := l.Snapshots().(*snapshots)
	id := stream("1")
	mustSave(t, s, sized(id, 1, 2<<20))
	for _, wait := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		err := s.Save(ctx, sized(id, 2, 6<<20))
		cancel()
		got, loadErr := s.Load(t.Context(), id)
		if loadErr != nil {
			t.Fatal(loadErr)
		}
		if err == nil {
			return // it was done before
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("save: %v", err)
		}
		if version := got.Head.Version; version != 1 && version != 2 || len(got.State) != int(4*version-2)<<20 {
			t.Fatalf("after %s version %d has %d bytes", wait, version, len(got.State))
		}
		mustSave(t, s, sized(id, 1, 2<<20))
	}
}

func TestSnapshotOfSixtyFourMebibytes(t *testing.T) {
	t.Parallel()
	l := open(t, &single, Config{})
	s := l.Snapshots()
	want := sized(stream("1"), 1, store.MaxSnapshotBytes-1024)
	mustSave(t, s, want)
	got, err := s.Load(t.Context(), want.Stream)
	if err != nil || !bytes.Equal(got.State, want.State) {
		t.Fatalf("loaded %v", err)
	}
	small := open(t, &single, Config{Namespace: l.cfg.Namespace, SnapshotBytes: 1 << 20}).Snapshots()
	var tooLarge *store.TooLargeError
	if _, err := small.Load(t.Context(), want.Stream); !errors.As(err, &tooLarge) || tooLarge.Limit != 1<<20 {
		t.Errorf("load where 1 MiB is the limit: %v", err)
	}
	if err := small.Save(t.Context(), sized(want.Stream, 2, 2<<20)); !errors.As(err, &tooLarge) {
		t.Errorf("save where 1 MiB is the limit: %v", err)
	}
	if err := s.Delete(t.Context(), want.Stream); err != nil {
		t.Fatal(err)
	}
}

// A server that takes small messages only has more parts.
func TestPartsOfASmallPayload(t *testing.T) {
	t.Parallel()
	srv := startOwn(t, func(o *server.Options) { o.MaxPayload = 64 << 10 })
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l, err := Open(t.Context(), Config{Conn: nc, Namespace: "small"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := l.Snapshots().(*snapshots)
	want := sized(stream("1"), 1, 1<<20)
	mustSave(t, s, want)
	if n := len(partsOf(t, s, want.Stream)); n != 17 {
		t.Errorf("%d parts, want 17", n)
	}
	got, err := s.Load(t.Context(), want.Stream)
	if err != nil || !bytes.Equal(got.State, want.State) {
		t.Fatalf("loaded %v", err)
	}
}

func TestSnapshotBytesOutOfRange(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, store.MaxSnapshotBytes + 1} {
		c := Config{Conn: &nats.Conn{}, Namespace: "a", SnapshotBytes: n}.withDefaults()
		if err := c.validate(); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func BenchmarkSnapshotInParts(b *testing.B) {
	for _, size := range []int{1 << 20, 5 << 20, 64<<20 - 1024} {
		b.Run(fmt.Sprint(size>>20, " MiB"), func(b *testing.B) {
			s := open(b, &single, Config{}).Snapshots()
			snapshot := sized(stream("1"), 1, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := s.Save(b.Context(), snapshot); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Load(b.Context(), snapshot.Stream); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
