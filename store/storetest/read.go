package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/annals-go/annals/store"
)

var readCases = []testCase{
	{"no stream", "a stream without commits yields nothing, and is no error", readNoStream},
	{"after a head", "reading after any head of the stream yields exactly what followed it", readAfterEachHead},
	{"after an old head", "what is read after the head of an old snapshot, folded onto it, is the whole stream", readAfterOldHead},
	{"long stream", "a stream longer than any batch is read whole and in order", readLong},
	{"kept commands", "what a commit keeps of its commands, and what they correct, comes back, beside commits without", readKept},
	{"stopped early", "a reader may stop at any commit", readStopped},
	{"head beyond the end", "a head beyond the stream's end is an error of its own kind: the log lost its end", readAhead},
	{"head with another hash", "a head whose sequence is right and whose hash is not is damage, in the middle and at the end", readWrongHash},
	{"head of another stream", "a head that another stream has had is damage, not a place to start", readOtherHead},
	{"no time left", "a read that cannot be made for lack of time is unavailable, and says nothing about the stream", readNoTime},
	{"bad id", "an id that no stream can have is invalid", readBadID},
}

func readNoStream(t *testing.T, s Store) {
	newWriter(s.Log, account("other")).add(t, 1)
	if got := mustRead(t, s.Log, account("none"), store.Head{}); len(got) != 0 {
		t.Fatalf("%d commits of a stream that has none", len(got))
	}
}

func readAfterEachHead(t *testing.T, s Store) {
	w, other := newWriter(s.Log, account("1")), newWriter(s.Log, account("2"))
	for _, n := range []int{1, 4, 1, 2} {
		w.add(t, n)
		other.add(t, 1, 1)
	}
	for i, c := range w.stored {
		wantCommits(t, "what follows a head", mustRead(t, s.Log, w.id, c.Head()), w.stored[i+1:])
	}
}

func readKept(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	for i, change := range []func(*store.Command){
		func(*store.Command) {},
		func(c *store.Command) { c.Data, c.Schema = dataOf(t, s.Log, deposited{Note: "<&>"}), 3 },
		func(c *store.Command) { c.Corrects = w.id.String() + "/1" },
		func(c *store.Command) {
			c.Data, c.Schema, c.Corrects = dataOf(t, s.Log, deposited{}), 1, uuid.NewString()
		},
		func(*store.Command) {},
	} {
		c := w.next(t, 2)
		c.Epoch = uint64(i)
		change(&c.Commands[0])
		head, err := s.Log.Append(contextOf(t), c)
		if err != nil {
			t.Fatalf("append commit %d: %v", i, err)
		}
		w.took(t, c, head)
	}
	w.check(t)
}

func readAfterOldHead(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 2, 1, 3)
	old := w.head
	before := mustRead(t, s.Log, w.id, store.Head{})
	w.add(t, 1, 1, 2)
	wantCommits(t, "snapshot and tail", append(before, mustRead(t, s.Log, w.id, old)...), w.stored)
}

func readLong(t *testing.T, s Store) {
	w, other := newWriter(s.Log, account("1")), newWriter(s.Log, account("2"))
	for range 300 {
		w.add(t, 1, 2)
		other.add(t, 1)
	}
	w.check(t)
	wantCommits(t, "the second half", mustRead(t, s.Log, w.id, w.stored[299].Head()), w.stored[300:])
}

func readStopped(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 1, 1, 1)
	for stop := range 4 {
		n := 0
		for c, err := range s.Log.Read(contextOf(t), w.id, store.Head{}) {
			if err != nil || c.Sequence != w.stored[n].Sequence {
				t.Fatalf("commit %d: %v, %v", n, c, err)
			}
			if n == stop {
				break
			}
			n++
		}
		if n != stop {
			t.Fatalf("read %d commits, wanted to stop at %d", n, stop)
		}
	}
	w.check(t)
}

func readAhead(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 1)
	newWriter(s.Log, account("other")).add(t, 1, 1, 1)
	beyond := store.Head{Version: 5, Sequence: w.head.Sequence + 3, Hash: store.HashOf([]byte("lost"))}
	for _, id := range []store.StreamID{w.id, account("none")} {
		got, err := readAll(contextOf(t), s.Log, id, beyond)
		wantError(t, "read beyond the end", err, store.ErrAhead)
		var ahead *store.AheadError
		if !errors.As(err, &ahead) || ahead.What == "" || ahead.Has <= ahead.Log {
			t.Fatalf("read beyond the end: %v, want an AheadError with both positions", err)
		}
		if len(got) != 0 {
			t.Fatalf("read beyond the end yields %d commits", len(got))
		}
	}
	w.check(t)
}

func readWrongHash(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1, 1, 1)
	for _, c := range []*store.Commit{w.stored[0], w.stored[2]} {
		head := c.Head()
		head.Hash[0] ^= 1
		got, err := readAll(contextOf(t), s.Log, w.id, head)
		wantDamage(t, err, w.id)
		if len(got) != 0 {
			t.Fatalf("%d commits are yielded after a head that is not the stream's", len(got))
		}
	}
	w.check(t)
}

func readOtherHead(t *testing.T, s Store) {
	w, other := newWriter(s.Log, account("1")), newWriter(s.Log, account("2"))
	w.add(t, 1)
	other.add(t, 1)
	w.add(t, 1)
	got, err := readAll(contextOf(t), s.Log, w.id, other.head)
	wantDamage(t, err, w.id)
	if len(got) != 0 {
		t.Fatalf("%d commits are yielded after another stream's head", len(got))
	}
}

// wantDamage checks that err is damage that names the stream.
func wantDamage(t *testing.T, err error, id store.StreamID) {
	t.Helper()
	_ = damageIn(t, err, id)
}

// damageIn returns the damage that err is, and checks that it names the stream.
func damageIn(t *testing.T, err error, id store.StreamID) *store.DamageError {
	t.Helper()
	wantError(t, "read of what is damaged", err, store.ErrDamaged)
	var damage *store.DamageError
	if !errors.As(err, &damage) {
		t.Fatalf("read of what is damaged: %v, want a DamageError", err)
	}
	if damage.Stream != id || damage.Version == 0 || damage.Reason == "" {
		t.Fatalf("read of what is damaged: %+v, want the stream %s, a version and a reason", *damage, id)
	}
	return damage
}

func readNoTime(t *testing.T, s Store) {
	w := newWriter(s.Log, account("1"))
	w.add(t, 1)
	ctx, cancel := context.WithCancel(contextOf(t))
	cancel()
	_, err := readAll(ctx, s.Log, w.id, store.Head{})
	wantError(t, "read without time", err, store.ErrUnavailable)
	w.check(t)
}

func readBadID(t *testing.T, s Store) {
	for _, id := range []store.StreamID{account(""), account("a\x00"), account("e\u0301"), {Type: "*", ID: "1"}, {Type: "", ID: "1"}} {
		_, err := readAll(contextOf(t), s.Log, id, store.Head{})
		wantError(t, "read of "+id.String(), err, store.ErrInvalid)
	}
}
