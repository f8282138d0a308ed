package projector

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/store"
)

// listed begins a watch of thirty documents, calls once the first page has come,
// and returns what came until everything had, by key.
func (w *watched) listed(open opener, once func()) (docs map[string]Document, err error) {
	docs = map[string]Document{}
	for d, err := range w.hub.watch(w.t.Context(), open, Watch{Progress: true}) {
		if err != nil || d.Key == "" {
			return docs, err
		}
		if age(d, docs[d.Key]) < 0 {
			w.t.Errorf("%+v came after %+v", d, docs[d.Key])
		}
		if docs[d.Key] = d; len(docs) == 20 && once != nil {
			then := once
			once = nil
			then()
		}
	}
	return docs, errors.New("it ended without an error")
}

func newThirty(t testing.TB) *watched {
	w := newWatched(t)
	for i := range 30 {
		w.write(false, fmt.Sprintf("k%02d", i))
	}
	return w
}

// A document that came with one page and is deleted before the next one is asked
// for does not stay with the watcher, however long that waits for its turn.
func TestADeletionWhileItIsListedIsWatched(t *testing.T) {
	t.Parallel()
	for what, changes := range map[string]int{"a deletion": 0, "and many changes while others read": maxChanges + 1} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newThirty(t)
				docs, err := w.listed(w.open, func() {
					w.write(false, "k00!")
					if changes == 0 {
						return
					}
					for range maxListings {
						w.hub.listings <- struct{}{}
					}
					go func() {
						for range changes {
							synctest.Wait()
							w.write(false, "k01")
						}
						for range maxListings {
							<-w.hub.listings
						}
					}()
				})
				if err != nil {
					t.Fatal(err)
				}
				if d, came := docs["k00"]; !came || d.Document != nil || d.Position != 31 {
					t.Errorf("the watcher has %+v of what was deleted", d)
				}
				if len(docs) != 30 || docs["k01"].Position != w.docs["k01"].Position {
					t.Errorf("%d documents came, the last to change is %+v, want %+v", len(docs), docs["k01"], w.docs["k01"])
				}
			})
		})
	}
}

// replica is a model's copy that is behind: who does not ask for the revision from
// is shown what was there before.
type replica struct {
	View
	from uint64
	old  []Document
	next string // cursor of the next page
}

func (r *replica) isBehind(since []Checkpoint) bool {
	for _, c := range since {
		if c.Revision >= r.from {
			return false
		}
	}
	return true
}

func (r *replica) Get(ctx context.Context, keys []string, since ...Checkpoint) ([]Document, error) {
	if r.isBehind(since) {
		return r.old, nil
	}
	return r.View.Get(ctx, keys, since...)
}

func (r *replica) List(ctx context.Context, cursor string, limit int, since ...Checkpoint) (docs []Document, next string, err error) {
	if r.isBehind(since) {
		return r.old, "", nil
	}
	docs, r.next, err = r.View.List(ctx, cursor, limit, since...)
	return docs, r.next, err
}

// What is committed between the beginning of a watch and what it reads is in what
// it reads, from a replica that is behind, too.
func TestAWatchReadsWhatItHasPassed(t *testing.T) {
	t.Parallel()
	t.Run("one key", func(t *testing.T) {
		t.Parallel()
		w := newWatched(t)
		w.write(false, "a")
		var got []store.Position
		open := func(ctx context.Context, min store.Position) (View, []Checkpoint, error) {
			v, since, err := w.open(ctx, min)
			r := &replica{View: v, old: []Document{w.docs["a"]}}
			w.write(false, "a")
			r.from = w.at.Revision
			return r, since, err
		}
		for d, err := range w.hub.watch(t.Context(), open, Watch{Key: "a", Progress: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Key == "" {
				break
			}
			got = append(got, d.Position)
		}
		if diff := cmp.Diff([]store.Position{2}, got); diff != "" {
			t.Errorf("positions that came (-want +got):\n%s", diff)
		}
	})
	t.Run("a list", func(t *testing.T) {
		t.Parallel()
		w := newThirty(t)
		r := &replica{}
		open := func(ctx context.Context, min store.Position) (View, []Checkpoint, error) {
			v, since, err := w.open(ctx, min)
			r.View = v
			return r, since, err
		}
		docs, err := w.listed(open, func() {
			r.old, _, _ = w.view.List(t.Context(), r.next, 20)
			w.write(false, "k25")
			r.from = w.at.Revision
		})
		if err != nil || len(docs) != 30 || docs["k25"].Position != 31 {
			t.Errorf("%d documents, the one that changed is %+v, %v", len(docs), docs["k25"], err)
		}
	})
}

// Who has everything up to where the workers are need not have what is folded
// late there: once nobody has kept that, the model is to be read.
func TestALateChangeThatIsForgottenIsMissed(t *testing.T) {
	t.Parallel()
	all := func(h *hub, has store.Position) bool {
		_, _, all := h.resume(has, func(Document) bool { return true }, &place{})
		return all
	}
	h := newHub(1)
	h.begin(Checkpoint{Worker: "0", Position: 5, Revision: 1})
	if !all(h, 5) {
		t.Error("nothing has changed, and the model is read")
	}
	h.committed(Checkpoint{Worker: "0", Position: 5, Revision: 2}, []Document{{Key: "a", Position: 1, Late: Late{Parked: 1, Position: 2}}})
	h.committed(Checkpoint{Worker: "0", Position: 8, Revision: 3}, nil)
	if !all(h, 5) {
		t.Error("the late change is there, and the model is read")
	}
	h.drop(1)
	if all(h, 5) {
		t.Error("a late change was forgotten, and who may lack it is told that it has everything")
	}
	if !all(h, 6) {
		t.Error("who came further than the late change has it, and the model is read")
	}
	h.begin(Checkpoint{Worker: "0", Position: 8, Revision: 4})
	if all(h, 8) {
		t.Error("somebody wrote at the same position, and who may lack that is told that it has everything")
	}
	h.begin(Checkpoint{Worker: "0", Position: 10, Revision: 5})
	if !all(h, 10) {
		t.Error("who has everything reads the model")
	}
}
