//go:build linux

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/cmd/loans/application"
	"github.com/annals-go/annals/store"
)

// world is a log with the journal of those who wrote it, which a case then
// spoils.
type world struct {
	t       *testing.T
	book    *book
	journal *journal
	next    uint64
	heads   map[store.StreamID]store.Head
}

func newWorld(t *testing.T) *world {
	return &world{t: t, book: newBook(), journal: newJournal(), next: 1, heads: map[store.StreamID]store.Head{}}
}

func stream(id string) store.StreamID { return store.StreamID{Type: aggregateType, ID: id} }

// commit stores one event for each command id, and has each acknowledged.
func (w *world) commit(id string, commands ...string) *store.Commit {
	w.t.Helper()
	s := stream(id)
	c := &store.Commit{Stream: s, ID: uuid.New(), After: w.heads[s], Time: time.Unix(1_700_000_000, 0).UTC()}
	for i, command := range commands {
		submitted, err := application.Applications.Events.Encode(store.MsgPack, application.Submitted{Amount: int64(100 * (i + 1))})
		if err != nil {
			w.t.Fatal(err)
		}
		c.Commands = append(c.Commands, store.Command{ID: command, Name: "submit"})
		c.Events = append(c.Events, submitted.Event(i))
	}
	w.store(c)
	for i, command := range commands {
		o := order{id: command, stream: s, name: "submit"}
		w.journal.send(o)
		w.journal.acknowledge(o, receipt{Version: c.After.Version + uint64(i) + 1, Position: store.PositionOf(c.Sequence, i)})
	}
	return c
}

func (w *world) store(c *store.Commit) {
	w.t.Helper()
	data, err := store.EncodeCommit(store.MsgPack, c)
	if err != nil {
		w.t.Fatal(err)
	}
	c.Sequence, c.Local, c.Hash = w.next, w.next, store.HashOf(data)
	w.next++
	w.book.add(subjectOf(c.Stream), c.Sequence, data)
	w.heads[c.Stream] = c.Head()
}

func TestCheckLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(w *world)
		want  findings // counts only
		says  string
	}{
		{name: "all is well", spoil: func(*world) {}},
		{
			name: "an acknowledged command is not in the log",
			spoil: func(w *world) {
				o := order{id: "gone", stream: stream("a")}
				w.journal.send(o)
				w.journal.acknowledge(o, receipt{Version: 1})
			},
			want: findings{lost: 1}, says: "gone",
		},
		{
			name: "acknowledged at another version",
			spoil: func(w *world) {
				o := w.journal.sent["a1"]
				w.journal.acknowledge(o, receipt{Version: 9, Position: w.journal.receipts["a1"].Position})
			},
			want: findings{wrong: 1}, says: "a1",
		},
		{
			name: "acknowledged for another stream",
			spoil: func(w *world) {
				o := w.journal.sent["a1"]
				o.stream = stream("b")
				w.journal.send(o)
			},
			want: findings{wrong: 1}, says: "a1",
		},
		{
			name: "nobody sent it",
			spoil: func(w *world) {
				delete(w.journal.sent, "b1")
				delete(w.journal.receipts, "b1")
			},
			want: findings{wrong: 1}, says: "never sent",
		},
		{
			name:  "denied and stored",
			spoil: func(w *world) { w.journal.deny(order{id: "b1"}, "REJECTED") },
			want:  findings{wrong: 1}, says: "denied",
		},
		{
			name:  "took effect twice",
			spoil: func(w *world) { w.commit("c", "a1") },
			// The second acknowledgement replaced the first, and the log says the first.
			want: findings{wrong: 2}, says: "twice",
		},
		{
			name: "a commit is missing in the middle",
			spoil: func(w *world) {
				w.heads[stream("a")] = store.Head{Version: 5, Sequence: 2, Hash: w.heads[stream("a")].Hash}
				w.commit("a", "a9")
			},
			want: findings{wrong: 2}, says: "damaged",
		},
		{
			name:  "an answer spoke of more than there is",
			spoil: func(w *world) { w.journal.read(store.PositionOf(99, 0), "document x") },
			want:  findings{ahead: 1}, says: "document x",
		},
		{
			name:  "an odd answer",
			spoil: func(w *world) { w.journal.odd("command a1 was refused") },
			want:  findings{wrong: 1}, says: "refused",
		},
		{
			name: "an odd answer without power",
			spoil: func(w *world) {
				w.journal.darken()
				w.journal.odd("command a1 was refused")
			},
			want: findings{groundless: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.commit("a", "a1", "a2")
			w.commit("b", "b1")
			w.commit("a", "a3")
			c.spoil(w)
			got := checkLog(w.book, w.journal)
			if got.lost != c.want.lost || got.ahead != c.want.ahead || got.wrong != c.want.wrong || got.groundless != c.want.groundless {
				t.Errorf("found %+v, want the counts of %+v", got, c.want)
			}
			if !strings.Contains(fmt.Sprint(got.notes), c.says) {
				t.Errorf("said %q, want something of %q", got.notes, c.says)
			}
		})
	}
}

func TestLossIsCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.commit("a", "a1")
	w.journal.acknowledge(order{id: "gone", stream: stream("a")}, receipt{Version: 2, Position: store.PositionOf(2, 0)})
	if n := countLost(w.book, w.journal); n != 1 {
		t.Errorf("lost %d, want 1", n)
	}
	if f := checkLog(w.book, w.journal); f.lost != 1 || f.ahead != 1 {
		t.Errorf("found %+v, want it lost, and its answer ahead", f)
	}
	w.journal.settle(w.book)
	if f := checkLog(w.book, w.journal); f.lost != 0 || f.ahead != 0 {
		t.Errorf("found again: %+v", f)
	}
}

func TestCheckStandings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.commit("a", "a1", "a2").Last()
	f := checkStandings(w.book, []standing{{"at the end", tip}, {"before", 1}, {"beyond", tip + 1}})
	if f.ahead != 1 || !strings.Contains(fmt.Sprint(f.notes), "beyond") {
		t.Errorf("found %+v", f)
	}
}

func TestCheckSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.commit("a", "a1"), w.commit("a", "a2")
	other := first.Head()
	other.Hash[0]++
	beyond := second.Head()
	beyond.Version++
	for _, c := range []struct {
		name     string
		snapshot store.Snapshot
		want     findings
	}{
		{"of an earlier version", store.Snapshot{Stream: stream("a"), Head: first.Head()}, findings{}},
		{"of the last version", store.Snapshot{Stream: stream("a"), Head: second.Head()}, findings{}},
		{"of another history", store.Snapshot{Stream: stream("a"), Head: other}, findings{wrong: 1}},
		{"beyond the end", store.Snapshot{Stream: stream("a"), Head: beyond}, findings{ahead: 1}},
		{"of a stream that is gone", store.Snapshot{Stream: stream("b"), Head: first.Head()}, findings{ahead: 1}},
	} {
		if got := checkSnapshot(w.book, &c.snapshot); got.ahead != c.want.ahead || got.wrong != c.want.wrong {
			t.Errorf("%s: found %+v", c.name, got)
		}
	}
}
