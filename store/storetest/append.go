package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

var appendCases = []testCase{
	{"every field", "a commit is read back with every field as it was written, and with the sequence and hash of the log", appendEveryField},
	{"epoch", "the epoch under which a commit was written comes back from a read and from a feed, and none as none", appendEpoch},
	{"fields that may be empty", "what a command may leave out is read back as left out", appendEmptyFields},
	{"many events in one commit", "the largest commit is stored whole, with contiguous versions and positions", appendManyEvents},
	{"versions are contiguous", "a stream is its commits one after the other, each holding the head of the one before", appendContiguous},
	{"expectation too low", "a commit that follows an old head is a conflict that names the true version, and changes nothing", appendTooLow},
	{"expectation too high", "a commit that follows a head that is not there is a conflict, not a gap", appendTooHigh},
	{"expectation of another stream", "the sequence of another stream's commit is no expectation of this one", appendOtherStream},
	{"two beginnings", "of two commits that begin a stream the second is a conflict", appendTwoBeginnings},
	{"says where", "an append says where the commit was stored: in its log stream and in the total order, as a read says it", appendSaysWhere},
	{"identical again", "the identical commit again answers the same head and place and stores nothing", appendIdentical},
	{"identical again, later", "a commit is known as stored when others have followed it", appendIdenticalLater},
	{"refused for ever", "what can never be stored is refused with the reason, nothing is stored, and the store stays usable", appendInvalid},
	{"too large", "a commit over the limit is refused as too large before it is sent, and the store stays usable", appendTooLarge},
	{"the commit stays the caller's", "what the caller does to a commit after the append does not reach the log", appendNotKept},
	{"no time left", "when ctx has ended the outcome is unknown, and a later append of the identical commit settles it", appendNoTime},
}

func appendEveryField(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	c := w.next(t, 3)
	c.Time = time.Date(2012, 3, 1, 9, 30, 15, 123456000, time.UTC)
	c.Commands = []store.Command{
		{
			ID: "client-1", Name: "deposit", BodyHash: 1<<64 - 1, CorrelationID: "request 7",
			CausationID: "event é", Principal: "ann@example.org", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		},
		{ID: "client-2", Name: "withdraw-all", BodyHash: 1},
	}
	c.Events[1].Schema = 3
	c.Events[2].Command, c.Events[2].Type = 1, "emptied"
	head, err := s.Log.Append(contextOf(t), c)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	w.took(t, c, head)
	w.check(t)
}

func appendEpoch(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	for _, epoch := range []uint64{0, 1, 1_767_225_600_123, 1<<64 - 1} {
		c := w.next(t, 2)
		c.Epoch = epoch
		head, err := s.Log.Append(contextOf(t), c)
		if err != nil {
			t.Fatalf("append with epoch %d: %v", epoch, err)
		}
		w.took(t, c, head)
	}
	w.check(t)
	wantCommits(t, "what a feed delivers", take(t, follow(t, s.Log, store.Follow{}), len(w.stored)), w.stored)
}

func appendEmptyFields(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	c := w.next(t, 1)
	c.Commands = []store.Command{{ID: "x", Name: "open"}}
	c.Events[0].Data = dataOf(t, s.Log, struct{}{})
	head, err := s.Log.Append(contextOf(t), c)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	w.took(t, c, head)
	w.check(t)
}

func appendManyEvents(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 2, store.MaxEvents, 1)
	w.check(t)
	version, last := uint64(0), store.Position(0)
	for _, c := range mustRead(t, s.Log, w.id, store.Head{}) {
		for e := range c.Recorded() {
			if version++; e.Version != version {
				t.Fatalf("event has version %d, want %d", e.Version, version)
			}
			if e.Position <= last {
				t.Fatalf("event %d has position %d, not after %d", version, e.Position, last)
			}
			last = e.Position
		}
	}
	if want := uint64(2 + store.MaxEvents + 1); version != want {
		t.Fatalf("%d events, want %d", version, want)
	}
}

func appendContiguous(t *testing.T, s Store) {
	w, other := newWriter(s.Log, account("1")), newWriter(s.Log, account("2"))
	for _, n := range []int{1, 3, 1, 2, 5, 1} {
		w.add(t, n)
		other.add(t, 1)
	}
	w.check(t)
	other.check(t)
	head := store.Head{}
	for _, c := range mustRead(t, s.Log, w.id, store.Head{}) {
		if c.After != head {
			t.Fatalf("a commit follows %+v, want %+v", c.After, head)
		}
		head = c.Head()
	}
}

func appendTooLow(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	old := w.head
	w.add(t, 2)
	_, err := s.Log.Append(contextOf(t), commitOf(t, s.Log, w.id, old, 1))
	wantConflict(t, err, w.id, 1, 3)
	_, err = s.Log.Append(contextOf(t), commitOf(t, s.Log, w.id, store.Head{}, 1))
	wantConflict(t, err, w.id, 0, 3)
	w.check(t)
	w.add(t, 1)
	w.check(t)
}

func appendTooHigh(t *testing.T, s Store) {
	w, empty := newWriter(s.Log, account("1")), account("empty")
	w.add(t, 1)
	beyond := store.Head{Version: 9, Sequence: w.head.Sequence + 5, Hash: store.HashOf([]byte("beyond"))}
	_, err := s.Log.Append(contextOf(t), commitOf(t, s.Log, w.id, beyond, 1))
	wantConflict(t, err, w.id, 9, 1)
	_, err = s.Log.Append(contextOf(t), commitOf(t, s.Log, empty, beyond, 1))
	wantConflict(t, err, empty, 9, 0)
	w.check(t)
	if got := mustRead(t, s.Log, empty, store.Head{}); len(got) != 0 {
		t.Fatalf("a stream that refused its first commit has %d", len(got))
	}
}

func appendOtherStream(t *testing.T, s Store) {
	a, b := newWriter(s.Log, account("a")), newWriter(s.Log, account("b"))
	// In log streams of their own the two count alike, so they differ in length.
	a.add(t, 1)
	b.add(t, 1, 1, 1)
	_, err := s.Log.Append(contextOf(t), commitOf(t, s.Log, a.id, b.head, 1))
	wantConflict(t, err, a.id, 3, 1)
	_, err = s.Log.Append(contextOf(t), commitOf(t, s.Log, b.id, a.head, 1))
	wantConflict(t, err, b.id, 1, 3)
	a.check(t)
	b.check(t)
}

func appendTwoBeginnings(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	late := w.next(t, 2)
	w.add(t, 1)
	_, err := s.Log.Append(contextOf(t), late)
	wantConflict(t, err, w.id, 0, 1)
	w.check(t)
}

func appendSaysWhere(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	places := map[uint64]bool{}
	for i := range 12 {
		other := newWriter(s.Log, account(fmt.Sprint("other ", i)))
		other.add(t, 1)
		w.add(t, 1)
		for _, c := range []*store.Commit{other.stored[0], w.stored[i]} {
			if places[c.Sequence] || c.Sequence > uint64(2*i+2) {
				t.Fatalf("commit %d is at %d", 2*i, c.Sequence)
			}
			places[c.Sequence] = true
		}
		if w.stored[i].Sequence < other.stored[0].Sequence {
			t.Fatalf("what was appended later is at %d, before %d", w.stored[i].Sequence, other.stored[0].Sequence)
		}
	}
	w.check(t)
}

func appendIdentical(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2)
	for range 3 {
		wantSameHead(t, s.Log, w.stored[1], w.head)
	}
	w.check(t)
}

func appendIdenticalLater(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 2, 1, 3)
	for _, c := range w.stored {
		wantSameHead(t, s.Log, c, c.Head())
	}
	w.check(t)
}

func wantSameHead(t *testing.T, log store.Log, c *store.Commit, want store.Head) {
	t.Helper()
	again := *c
	again.Sequence, again.Local, again.Hash = 0, 0, store.Hash{}
	head, err := log.Append(contextOf(t), &again)
	if err != nil || head != want || again.Sequence != c.Sequence || again.Head() != want {
		t.Fatalf("append of a commit that is stored: %+v at %d, %v, want %+v at %d", head, again.Sequence, err, want, c.Sequence)
	}
}

func appendInvalid(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	bad := map[string]func(c *store.Commit){
		"no events":             func(c *store.Commit) { c.Events = nil },
		"no commands":           func(c *store.Commit) { c.Commands = nil },
		"no id":                 func(c *store.Commit) { c.ID = uuid.Nil },
		"id with a control":     func(c *store.Commit) { c.Stream.ID = "a\x00b" },
		"empty stream id":       func(c *store.Commit) { c.Stream.ID = "" },
		"type with a dot":       func(c *store.Commit) { c.Stream.Type = "acc.ount" },
		"command without id":    func(c *store.Commit) { c.Commands[0].ID = "" },
		"line break in header":  func(c *store.Commit) { c.Commands[0].Principal = "a\r\nNats-Rollup: all" },
		"event of no command":   func(c *store.Commit) { c.Events[0].Command = 1 },
		"event without schema":  func(c *store.Commit) { c.Events[0].Schema = 0 },
		"event type with space": func(c *store.Commit) { c.Events[0].Type = "de posited" },
		"head half given":       func(c *store.Commit) { c.After.Sequence = 0 },
	}
	for name, spoil := range bad {
		c := w.next(t, 1)
		spoil(c)
		_, err := s.Log.Append(contextOf(t), c)
		wantError(t, name, err, store.ErrRefused)
		wantError(t, name, err, store.ErrInvalid)
		wantOneOutcome(t, err)
	}
	w.add(t, 1)
	w.check(t)
}

func appendTooLarge(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	for _, size := range []int{store.MaxCommitBytes, 2 * store.MaxCommitBytes, 8 * store.MaxCommitBytes} {
		c := w.next(t, 1)
		c.Events[0].Data = bytes.Repeat([]byte{'1'}, size)
		_, err := s.Log.Append(contextOf(t), c)
		wantError(t, "too large", err, store.ErrRefused)
		wantError(t, "too large", err, store.ErrTooLarge)
		wantOneOutcome(t, err)
	}
	c := w.next(t, 2)
	c.Events[1].Command, c.Events[1].Type, c.Events[1].Schema = 0, "deposited", 1
	events := make([]store.Event, store.MaxEvents+1)
	for i := range events {
		events[i] = c.Events[0]
	}
	c.Events = events
	_, err := s.Log.Append(contextOf(t), c)
	wantError(t, "too many events", err, store.ErrTooLarge)

	// And what is just below the limit is stored.
	c = w.next(t, 1)
	c.Events[0].Data = dataOf(t, s.Log, deposited{Note: strings.Repeat("x", store.MaxCommitBytes-2048)})
	head, err := s.Log.Append(contextOf(t), c)
	if err != nil {
		t.Fatalf("append just below the limit: %v", err)
	}
	w.took(t, c, head)
	w.add(t, 1)
	w.check(t)
}

func appendNotKept(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	c := w.next(t, 1)
	kept := *c
	kept.Events = []store.Event{c.Events[0]}
	kept.Events[0].Data = bytes.Clone(c.Events[0].Data)
	head, err := s.Log.Append(contextOf(t), c)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	clear(c.Events[0].Data)
	c.Events[0].Type = "changed"
	kept.Sequence, kept.Local, kept.Hash = c.Sequence, c.Local, c.Hash
	w.took(t, &kept, head)
	w.check(t)

	// The same the other way round: what was read is the reader's.
	got := mustRead(t, s.Log, w.id, store.Head{})
	clear(got[0].Events[0].Data)
	w.check(t)
}

func appendNoTime(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	c := w.next(t, 1)
	ctx, cancel := context.WithCancel(contextOf(t))
	cancel()
	_, err := s.Log.Append(ctx, c)
	wantError(t, "append without time", err, store.ErrUnknown)
	wantOneOutcome(t, err)
	head, err := s.Log.Append(contextOf(t), c)
	if err != nil {
		t.Fatalf("append with time: %v", err)
	}
	w.took(t, c, head)
	w.check(t)
}
