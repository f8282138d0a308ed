package projectortest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var pageCases = []testCase{
	{"an empty view has one empty page", emptyList},
	{"documents are listed in the order of their last change", listOrder},
	{"every limit gives every document once", everyLimit},
	{"a document that changed many times is listed once", changedManyTimes},
	{"paging gets past any number of replaced values and misses none", manyReplaced},
	{"a document that changes between pages is not missed", changedBetween},
	{"nothing is missed while everything changes", changedAllTheTime},
	{"a foreign cursor is refused", foreignCursor},
	{"checkpoints of other workers are not listed", onlyDocuments},
}

func emptyList(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := load(t, v)
	if keys := list(t, v, c, 10, nil); len(keys) != 0 {
		t.Errorf("listed %v", keys)
	}
	c = commit(t, v, c)
	if keys := list(t, v, c, 10, nil); len(keys) != 0 {
		t.Errorf("listed %v beside a checkpoint", keys)
	}
}

func listOrder(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1), doc("c", 1, 1))
	c = commit(t, v, c, doc("a", 2, 2))
	c = commit(t, v, c, doc("d", 3, 1), doc("b", 3, 2))
	if diff := cmp.Diff([]string{"c", "a", "d", "b"}, list(t, v, c, 100, nil)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}

func everyLimit(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := load(t, v)
	var want []string
	for i := range 12 {
		key := fmt.Sprintf("key-%d", i)
		want = append(want, key)
		c = commit(t, v, c, doc(key, store.Position(i+1), i))
	}
	for _, limit := range limits {
		if diff := cmp.Diff(want, list(t, v, c, limit, nil)); diff != "" {
			t.Errorf("limit %d: listed (-want +got):\n%s", limit, diff)
		}
	}
}

// limits are sizes of pages: smaller than, as large as and larger than what
// cases with about twelve documents have.
var limits = []int{1, 2, 5, 6, 11, 12, 13, projector.MaxPage}

func changedManyTimes(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1), doc("c", 1, 1), doc("d", 1, 1))
	for i := 2; i < 9; i++ {
		c = commit(t, v, c, doc("a", store.Position(i), i), doc("c", store.Position(i), i))
	}
	c = commit(t, v, c, doc("b", 9, 9))
	for _, limit := range limits {
		if diff := cmp.Diff([]string{"d", "a", "c", "b"}, list(t, v, c, limit, nil)); diff != "" {
			t.Errorf("limit %d: listed (-want +got):\n%s", limit, diff)
		}
	}
	docs, _, err := v.List(within(t), "", projector.MaxPage, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 8, 8, 9} {
		if got := valueOf(t, docs[i]); got != want {
			t.Errorf("document %s is %d, want %d", docs[i].Key, got, want)
		}
	}
}

// manyReplaced has many more replaced values in a row than pages have room,
// before, between and behind documents that never change.
func manyReplaced(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	const documents = 300
	c := commit(t, v, load(t, v), many(documents, 0)...)
	var kept, changed []projector.Document
	for i, d := range many(documents, 1) {
		d.Position = 2
		if i%100 == 42 {
			kept = append(kept, d)
		} else {
			changed = append(changed, d)
		}
	}
	c = commit(t, v, c, changed...)
	var want []string
	for _, d := range slices.Concat(kept, changed) {
		want = append(want, d.Key)
	}
	for _, limit := range []int{1, 2, 7, 150, documents - 1, documents, projector.MaxPage} {
		if diff := cmp.Diff(want, list(t, v, c, limit, nil)); diff != "" {
			t.Errorf("limit %d: listed (-want +got):\n%s", limit, diff)
		}
	}
}

func changedBetween(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1), doc("c", 1, 1), doc("d", 1, 1))
	keys := list(t, v, c, 2, func(page int) {
		if page == 1 {
			commit(t, v, c, doc("a", 2, 2), doc("d", 2, 2))
		}
	})
	for _, key := range []string{"a", "b", "c", "d"} {
		if !slices.Contains(keys, key) {
			t.Errorf("%s was missed: listed %v", key, keys)
		}
	}
	if last := keys[len(keys)-2:]; !slices.Equal(last, []string{"a", "d"}) {
		t.Errorf("what changed is not at the end: listed %v", keys)
	}
}

func changedAllTheTime(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	const documents = 60
	c := commit(t, v, load(t, v), many(documents, 0)...)
	since := c
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		r := rand.New(rand.NewPCG(1, 1))
		for at := store.Position(2); ; at++ {
			select {
			case <-stop:
				return
			default:
			}
			key := fmt.Sprintf("key-%d", r.IntN(documents))
			next, err := v.Commit(within(t), projector.Write{Checkpoint: moved(c, doc(key, at, 1)), Documents: []projector.Document{doc(key, at, 1)}})
			if err != nil {
				t.Error(err)
				return
			}
			c = next
		}
	}()
	for range 20 {
		seen := map[string]bool{}
		for _, key := range list(t, v, since, 7, nil) {
			seen[key] = true
		}
		if len(seen) != documents {
			t.Errorf("saw %d documents of %d", len(seen), documents)
		}
	}
	close(stop)
	<-stopped
}

func foreignCursor(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	for _, cursor := range []string{"x", "-1", "1 ", "99999999999999999999999999"} {
		if _, _, err := v.List(within(t), cursor, 10, c); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("cursor %q: %v, want ErrInvalid", cursor, err)
		}
	}
}

func onlyDocuments(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 1))
	for i := range 5 {
		other, err := v.Load(within(t), fmt.Sprintf("w%d", i))
		if err != nil {
			t.Fatal(err)
		}
		commit(t, v, other)
	}
	c = commit(t, v, c, doc("b", 2, 1))
	if diff := cmp.Diff([]string{"a", "b"}, list(t, v, c, 2, nil)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
}
