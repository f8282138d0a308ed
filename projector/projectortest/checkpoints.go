package projectortest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
)

var checkpointCases = []testCase{
	{"a new view has no checkpoint", newView},
	{"a checkpoint is read as it was written", roundTrip},
	{"a checkpoint moves without documents", checkpointAlone},
	{"a writer whose checkpoint is not the last is fenced", fenced},
	{"a writer that knows of no checkpoint is fenced by any", fencedFromNothing},
	{"what was kept is there when the view is opened again", reopened},
}

func newView(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	if diff := cmp.Diff(projector.Checkpoint{Worker: worker}, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

func roundTrip(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	want := projector.Checkpoint{
		Worker:   worker,
		Version:  7,
		Types:    []string{"counter", "other"},
		Position: 1<<52 + 3,
		Time:     time.Date(2026, 2, 3, 4, 5, 6, 789_000, time.UTC),
		Commit:   projector.Hash{1, 2, 3, 255},
		Proof:    projector.Proof{Events: 12345678901, Hash: projector.Hash{9, 8, 7}},
		Furthest: 1<<52 + 4,
	}
	written, err := v.Commit(within(t), projector.Write{Checkpoint: want})
	if err != nil {
		t.Fatal(err)
	}
	if written.Revision == 0 {
		t.Error("the checkpoint has no revision")
	}
	want.Revision = written.Revision
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("returned (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, load(t, v)); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func checkpointAlone(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	first := commit(t, v, load(t, v), doc("a", 1, 1))
	second := commit(t, v, first)
	if second.Revision == first.Revision {
		t.Error("two writes have one revision")
	}
	if diff := cmp.Diff(second, load(t, v)); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
	if got := valueOf(t, get(t, v, second, "a")["a"]); got != 1 {
		t.Errorf("document is %d", got)
	}
}

func fenced(t *testing.T, h Harness) {
	s := h.Open(t)
	v, zombie := open(t, s), open(t, s)
	stale := commit(t, v, load(t, v), doc("a", 1, 1))
	last := commit(t, v, stale, doc("a", 2, 2))

	for _, docs := range [][]projector.Document{{doc("a", 9, 9), doc("b", 9, 9)}, nil} {
		if _, err := zombie.Commit(within(t), projector.Write{Checkpoint: moved(stale, docs...), Documents: docs}); !errors.Is(err, projector.ErrFenced) {
			t.Errorf("commit of %d documents: %v, want ErrFenced", len(docs), err)
		}
	}
	if diff := cmp.Diff(last, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	found := get(t, v, last, "a", "b")
	if len(found) != 1 || valueOf(t, found["a"]) != 2 {
		t.Errorf("documents are %v", found)
	}
	commit(t, v, last, doc("a", 3, 3)) // the other goes on as if nothing had happened
}

func fencedFromNothing(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	none := load(t, v)
	commit(t, v, none, doc("a", 1, 1))
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(none)}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
}

func reopened(t *testing.T, h Harness) {
	s := h.Open(t)
	v := open(t, s)
	want := commit(t, v, load(t, v), doc("a", 1, 1))
	again := open(t, s)
	if diff := cmp.Diff(want, load(t, again)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	if got := get(t, again, want, "a"); len(got) != 1 {
		t.Errorf("documents are %v", got)
	}
}
