package projectortest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
)

var workerCases = []testCase{
	{"workers have checkpoints of their own", ownCheckpoints},
	{"workers are fenced apart", ownFences},
	{"a read is as new as the checkpoints of all workers", sinceAll},
	{"workers that write at once do not hold each other up", writeAtOnce},
	{"what one worker wrote does not look torn to another", othersAhead},
	{"a checkpoint is what it is while others write", loadMeanwhile},
}

func ownCheckpoints(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	mine := commit(t, v, load(t, v), doc("a", 10, 1))
	if other := commit(t, v, loadOf(t, v, "1"), doc("b", 20, 2)); other.Worker != "1" || other.Position != 20 {
		t.Errorf("the other's checkpoint is %+v", other)
	}
	if got := load(t, v); got.Position != mine.Position || got.Revision != mine.Revision {
		t.Errorf("checkpoint is %+v, want %+v", got, mine)
	}
	commit(t, v, mine, doc("a", 11, 3))
}

func ownFences(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	stale := commit(t, v, load(t, v), doc("a", 1, 1))
	other := commit(t, v, loadOf(t, v, "1"), doc("b", 1, 1))
	commit(t, v, stale, doc("a", 2, 2))
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(stale)}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	other = commit(t, v, other, doc("b", 3, 3))
	if found := get(t, v, other, "a", "b"); valueOf(t, found["a"]) != 2 || valueOf(t, found["b"]) != 3 {
		t.Errorf("documents are %v", found)
	}
}

func sinceAll(t *testing.T, h Harness) {
	s := h.Open(t)
	v, reader := open(t, s), open(t, s)
	all := []projector.Checkpoint{load(t, v), loadOf(t, v, "1"), loadOf(t, v, "2")}
	for i := range 60 {
		w := i % len(all)
		all[w] = commit(t, v, all[w], doc(fmt.Sprint(w), all[w].Position+1, i))
		docs, err := reader.Get(within(t), []string{"0", "1", "2"}, all...)
		if err != nil || len(docs) != min(i+1, len(all)) {
			t.Fatalf("after commit %d there are %v, %v", i, docs, err)
		}
		for _, d := range docs {
			if d.Key == fmt.Sprint(w) && valueOf(t, d) != i {
				t.Fatalf("after commit %d document %s is %d", i, d.Key, valueOf(t, d))
			}
		}
		keys := listSince(t, reader, 10, nil, all...)
		if len(keys) != len(docs) || keys[len(keys)-1] != fmt.Sprint(w) {
			t.Fatalf("after commit %d listed %v", i, keys)
		}
	}
}

func writeAtOnce(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	const workers, commits = 4, 25
	var all sync.WaitGroup
	for w := range workers {
		name := fmt.Sprint(w)
		c := loadOf(t, v, name)
		all.Go(func() {
			for i := 1; i <= commits; i++ {
				d := doc(name, c.Position+1, i)
				next, err := v.Commit(within(t), projector.Write{
					Checkpoint: moved(c, d), Documents: []projector.Document{d}, Notes: []projector.Note{note("n", i)},
				})
				if err != nil {
					t.Errorf("worker %s, commit %d: %v", name, i, err)
					return
				}
				c = next
			}
		})
	}
	all.Wait()
	for w := range workers {
		name := fmt.Sprint(w)
		c := loadOf(t, v, name)
		if c.Position != commits || c.Worker != name {
			t.Errorf("checkpoint of worker %s is %+v", name, c)
		}
		if got := valueOf(t, get(t, v, c, name)[name]); got != commits {
			t.Errorf("document of worker %s is %d", name, got)
		}
		if diff := cmp.Diff([]projector.Note{note("n", commits)}, notes(t, v, name)); diff != "" {
			t.Errorf("notes of worker %s (-want +got):\n%s", name, diff)
		}
	}
}

// othersAhead has one worker write much while the other rests: what lies after
// the checkpoint of that one is no sign that a commit was torn.
func othersAhead(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	mine := commit(t, v, load(t, v), doc("mine", 5, 5))
	other := loadOf(t, v, "1")
	for i := range 5 {
		docs := many(min(200, v.MaxChanges()), i)
		for j := range docs {
			docs[j].Position = other.Position + 1
		}
		other = commit(t, v, other, docs...)
	}
	again := open(t, s)
	got := load(t, again)
	if got.Position != mine.Position || got.Revision != mine.Revision || got.Furthest > other.Position {
		t.Errorf("checkpoint is %+v, want %+v", got, mine)
	}
	got.Furthest = 0
	commit(t, again, got, doc("mine", 6, 6))
	commit(t, again, other)
}

// loadMeanwhile loads one worker's checkpoint and notes, whose commit was a large
// one, while another writes without rest.
func loadMeanwhile(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	mine := write(t, v, projector.Write{
		Checkpoint: moved(load(t, v)), Documents: many(min(50, v.MaxChanges()-1), 1), Notes: []projector.Note{note("n", 1)},
	})
	other := loadOf(t, v, "1")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			w := projector.Write{Checkpoint: moved(other), Notes: []projector.Note{note("n", i), note(fmt.Sprint(i%7), i)}}
			for n := range 5 {
				w.Documents = append(w.Documents, doc(fmt.Sprintf("other-%d", (i+n)%20), w.Checkpoint.Position, i))
			}
			next, err := v.Commit(within(t), w)
			if err != nil {
				t.Errorf("commit: %v", err)
				return
			}
			other = next
		}
	}()
	for range 40 {
		if got := load(t, v); got.Revision != mine.Revision || got.Position != mine.Position {
			t.Errorf("checkpoint is %+v, want %+v", got, mine)
			break
		}
		if diff := cmp.Diff([]projector.Note{note("n", 1)}, notes(t, v, worker)); diff != "" {
			t.Errorf("notes (-want +got):\n%s", diff)
			break
		}
	}
	close(stop)
	<-stopped
}
