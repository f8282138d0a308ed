package projectortest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var noteCases = []testCase{
	{"a new view has no notes", noNotes},
	{"notes are read as they were written", notesAsWritten},
	{"notes are stored with their checkpoint", notesWithCheckpoint},
	{"a fenced commit stores no notes", fencedNotes},
	{"notes are the worker's own", ownNotes},
	{"notes are no documents", notesApart},
	{"there may be many notes", manyNotes},
	{"more changes than the store takes are refused, notes counted", overfullNotes},
	{"a note whose key has no token is refused", oddNotes},
}

func note(key string, n int) projector.Note {
	return projector.Note{Key: key, Value: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}
}

func notes(t *testing.T, v projector.View, worker string) []projector.Note {
	t.Helper()
	found, err := v.Notes(within(t), worker)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func noNotes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	if got := notes(t, v, worker); len(got) != 0 {
		t.Errorf("notes are %v", got)
	}
	commit(t, v, load(t, v), doc("a", 1, 1))
	if got := notes(t, v, worker); len(got) != 0 {
		t.Errorf("beside a document, notes are %v", got)
	}
}

func notesAsWritten(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	want := []projector.Note{
		{Key: "*", Value: json.RawMessage(`"<&> é"`)},
		{Key: "A", Value: json.RawMessage(`null`)},
		{Key: "a b", Value: json.RawMessage(`[1,2,{"b":null}]`)},
		{Key: strings.Repeat("k", store.MaxIDBytes), Value: json.RawMessage(`{}`)},
		{Key: "parked.loan=2E7.x", Value: json.RawMessage(`12345678901234567890`)},
		{Key: "é", Value: json.RawMessage(`{"a":""}`)},
	}
	backwards := slices.Clone(want)
	slices.Reverse(backwards)
	write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Notes: backwards})
	for _, v := range []projector.View{v, open(t, s)} {
		if diff := cmp.Diff(want, notes(t, v, worker)); diff != "" {
			t.Errorf("notes (-want +got):\n%s", diff)
		}
	}
}

func notesWithCheckpoint(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1)}, Notes: []projector.Note{note("x", 1), note("y", 1)},
	})
	c = write(t, v, projector.Write{Checkpoint: moved(c), Notes: []projector.Note{note("y", 2), {Key: "x"}, {Key: "never was"}, note("z", 2)}})
	if diff := cmp.Diff([]projector.Note{note("y", 2), note("z", 2)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	write(t, v, projector.Write{Checkpoint: moved(c), Documents: []projector.Document{doc("a", 9, 9)}, Notes: []projector.Note{note("x", 3), {Key: "z"}}})
	if diff := cmp.Diff([]projector.Note{note("x", 3), note("y", 2)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func fencedNotes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	stale := write(t, v, projector.Write{Checkpoint: moved(load(t, v)), Notes: []projector.Note{note("x", 1)}})
	commit(t, v, stale)
	for _, notes := range [][]projector.Note{{note("x", 9), note("y", 9)}, {{Key: "x"}}} {
		if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(stale), Notes: notes}); !errors.Is(err, projector.ErrFenced) {
			t.Errorf("commit: %v, want ErrFenced", err)
		}
	}
	if diff := cmp.Diff([]projector.Note{note("x", 1)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

func ownNotes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	mine, other := load(t, v), loadOf(t, v, "00")
	mine = write(t, v, projector.Write{Checkpoint: moved(mine), Notes: []projector.Note{note("x", 1), note("y", 1)}})
	write(t, v, projector.Write{Checkpoint: moved(other), Notes: []projector.Note{note("x", 2), {Key: "y"}}})
	write(t, v, projector.Write{Checkpoint: moved(mine), Notes: []projector.Note{note("y", 3)}})
	if diff := cmp.Diff([]projector.Note{note("x", 1), note("y", 3)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]projector.Note{note("x", 2)}, notes(t, v, "00")); diff != "" {
		t.Errorf("the other's notes (-want +got):\n%s", diff)
	}
}

func notesApart(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: []projector.Document{doc("a", 1, 1)}, Notes: []projector.Note{note("a", 2), note("b", 2)},
	})
	found := get(t, v, c, "a", "b")
	if len(found) != 1 || valueOf(t, found["a"]) != 1 {
		t.Errorf("documents are %v", found)
	}
	if diff := cmp.Diff([]string{"a"}, list(t, v, c, 1, nil)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	c = write(t, v, projector.Write{Checkpoint: moved(c), Documents: []projector.Document{deletion("a", 2)}})
	if diff := cmp.Diff([]projector.Note{note("a", 2), note("b", 2)}, notes(t, v, worker)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if got := load(t, v); got.Furthest != 0 || got.Revision != c.Revision {
		t.Errorf("checkpoint is %+v, want %+v", got, c)
	}
}

// manyNotes has more notes than any store gives in one answer, some of them
// changed and some deleted again.
func manyNotes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	const number = 2500
	c, want := load(t, v), map[string]int{}
	put := func(keys []int, n int) {
		for piece := range slices.Chunk(keys, min(900, v.MaxChanges())) {
			var notes []projector.Note
			for _, key := range piece {
				name := fmt.Sprintf("note-%04d", key)
				notes = append(notes, note(name, n))
				want[name] = n
				if n == 0 {
					notes[len(notes)-1].Value = nil
					delete(want, name)
				}
			}
			c = write(t, v, projector.Write{Checkpoint: moved(c), Notes: notes})
		}
	}
	var all, thirds, fifths []int
	for i := range number {
		all = append(all, i)
		if i%3 == 0 {
			thirds = append(thirds, i)
		}
		if i%5 == 0 {
			fifths = append(fifths, i)
		}
	}
	put(all, 1)
	put(thirds, 2)
	put(fifths, 0)
	found := notes(t, v, worker)
	if len(found) != len(want) {
		t.Errorf("%d notes, want %d", len(found), len(want))
	}
	for i, n := range found {
		if i > 0 && found[i-1].Key >= n.Key {
			t.Fatalf("note %s comes after %s", n.Key, found[i-1].Key)
		}
		if diff := cmp.Diff(note(n.Key, want[n.Key]), n); diff != "" {
			t.Fatalf("note (-want +got):\n%s", diff)
		}
	}
}

func overfullNotes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	w := projector.Write{Checkpoint: moved(load(t, v)), Documents: many(v.MaxChanges(), 1), Notes: []projector.Note{note("x", 1)}}
	if _, err := v.Commit(within(t), w); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("commit: %v, want ErrTooLarge", err)
	}
	if got := notes(t, v, worker); len(got) != 0 || load(t, v).Revision != 0 {
		t.Errorf("something was stored: %v", got)
	}
	w.Documents = w.Documents[1:]
	write(t, v, w)
}

func oddNotes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v))
	for _, bad := range []string{"", "a\x00", string([]byte{0xff}), strings.Repeat("k", store.MaxIDBytes+1)} {
		if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c), Notes: []projector.Note{note(bad, 1)}}); err == nil {
			t.Errorf("a note under %q was stored", bad)
		}
	}
}
