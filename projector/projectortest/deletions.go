package projectortest

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var deletionCases = []testCase{
	{"a deleted document is gone", deleted},
	{"a document that never was is deleted", deletedBefore},
	{"a deleted document may be made again", madeAgain},
	{"a fenced deletion deletes nothing", fencedDeletion},
	{"lists pass over any number of deleted documents", listDeleted},
	{"what is deleted while it is listed hides nothing else", deletedBetween},
	{"a late event is told with its document where commits may be torn", late},
	{"documents are ahead of no checkpoint where commits are whole", neverAhead},
}

func deletion(key string, position store.Position) projector.Document {
	return projector.Document{Key: key, Position: position}
}

// deletedAs makes sure that a document is what the view may still know of a
// deleted one: nothing where commits are whole, its position where they are not.
func deletedAs(t *testing.T, v projector.View, c projector.Checkpoint, want projector.Document) {
	t.Helper()
	d, known := get(t, v, c, want.Key)[want.Key]
	switch {
	case !v.Torn() && known:
		t.Errorf("a view whose commits are whole knows of a deleted document: %+v", d)
	case v.Torn() && (!known || d.Document != nil || d.Position != want.Position):
		t.Errorf("the deleted document is %+v, known %t, want position %d and no value", d, known, want.Position)
	}
}

func deleted(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1))
	c = commit(t, v, c, deletion("a", 2))
	for _, v := range []projector.View{v, open(t, s)} {
		deletedAs(t, v, c, deletion("a", 2))
		if found := get(t, v, c, "b"); valueOf(t, found["b"]) != 1 {
			t.Errorf("the other document is %v", found)
		}
		if diff := cmp.Diff([]string{"b"}, list(t, v, c, 10, nil)); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

func deletedBefore(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), deletion("a", 1), doc("b", 1, 1))
	deletedAs(t, v, c, deletion("a", 1))
	c = commit(t, v, c, deletion("a", 2)) // and once more
	deletedAs(t, v, c, deletion("a", 2))
	if diff := cmp.Diff([]string{"b"}, list(t, v, c, 10, nil)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func madeAgain(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1))
	for i := 2; i < 10; i += 2 {
		c = commit(t, v, c, deletion("a", store.Position(i)))
		deletedAs(t, v, c, deletion("a", store.Position(i)))
		c = commit(t, v, c, doc("a", store.Position(i+1), i))
		if d := get(t, v, c, "a")["a"]; valueOf(t, d) != i || d.Position != store.Position(i+1) {
			t.Errorf("document made again is %+v", d)
		}
		if diff := cmp.Diff([]string{"b", "a"}, list(t, v, c, 1, nil)); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
}

func fencedDeletion(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	stale := commit(t, v, load(t, v), doc("a", 1, 1))
	last := commit(t, v, stale, doc("b", 2, 2))
	docs := []projector.Document{deletion("a", 9)}
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(stale, docs...), Documents: docs}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	if found := get(t, v, last, "a"); valueOf(t, found["a"]) != 1 {
		t.Errorf("documents are %v", found)
	}
}

// listDeleted has many more deleted documents in a row than pages have room.
func listDeleted(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	const documents = 300
	c := commit(t, v, load(t, v), many(documents, 0)...)
	var want []string
	var deletions []projector.Document
	for i, d := range many(documents, 0) {
		if i%100 == 42 {
			want = append(want, d.Key)
		} else {
			deletions = append(deletions, deletion(d.Key, 2))
		}
	}
	c = commit(t, v, c, deletions...)
	for _, limit := range []int{1, 2, 7, documents, projector.MaxPage} {
		if diff := cmp.Diff(want, list(t, v, c, limit, nil)); diff != "" {
			t.Errorf("limit %d: listed (-want +got):\n%s", limit, diff)
		}
	}
	c = commit(t, v, c, doc("late", 3, 3))
	if diff := cmp.Diff(append(want, "late"), list(t, v, c, 2, nil)); diff != "" {
		t.Errorf("with one more, listed (-want +got):\n%s", diff)
	}
}

func deletedBetween(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1), doc("c", 1, 1), doc("d", 1, 1), doc("e", 1, 1))
	keys := list(t, v, c, 2, func(page int) {
		if page == 1 {
			commit(t, v, c, deletion("a", 2), deletion("d", 2))
		}
	})
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"a", "b", "c", "e"}, keys); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func late(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	want := doc("a", 7, 1)
	want.Late = projector.Late{Parked: 1<<52 + 3, Position: 1<<52 + 4}
	dropped := deletion("b", 8)
	dropped.Late = projector.Late{Parked: 3, Position: 5}
	c := commit(t, v, load(t, v), want, dropped)
	if !v.Torn() {
		want.Late = projector.Late{}
	}
	if diff := cmp.Diff(want, get(t, v, c, "a")["a"]); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	deletedAs(t, v, c, dropped)
	if d, known := get(t, v, c, "b")["b"]; known && d.Late != dropped.Late {
		t.Errorf("the deleted document has %+v", d.Late)
	}
	c = commit(t, v, c, doc("a", 9, 2))
	if diff := cmp.Diff(doc("a", 9, 2), get(t, v, c, "a")["a"]); diff != "" {
		t.Errorf("document without (-want +got):\n%s", diff)
	}
}

func neverAhead(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	if v.Torn() {
		t.Skip("SKIPPED, NOT PASSED: the store says that its commits may be torn")
	}
	if v.MaxChanges() < projector.MaxKeys {
		t.Fatalf("commits of %d changes are whole, but one event may touch %d documents", v.MaxChanges(), projector.MaxKeys)
	}
	c := commit(t, v, load(t, v), many(projector.MaxKeys, 1)...)
	c = commit(t, v, c, many(projector.MaxKeys, 2)...)
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}
