package projectortest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

var faultCases = []testCase{
	{"documents ahead of the checkpoint are told", tornCommit},
	{"documents ahead are told whatever they replaced", tornOverHistory},
	{"documents without any checkpoint are told", tornFirstCommit},
	{"a deletion ahead of the checkpoint is told", tornDeletion},
	{"a commit whose answer is lost is stored once", lostAnswer},
	{"a commit that is lost on its way is sent again", lostRequest},
	{"a checkpoint alone whose answer is lost is stored once", lostAnswerAlone},
	{"a fenced writer learns so even when the answer is lost", lostFence},
	{"a commit that is given up leaves all or nothing", givenUp},
}

func tornCommit(t *testing.T, h Harness) {
	if h.Tear == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no Tear, for a store whose commits cannot be torn")
	}
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, load(t, v), doc("a", 10, 1), doc("b", 10, 1))
	h.Tear(t, s, viewName, viewVersion, []projector.Document{doc("a", 30, 2), doc("c", 20, 1)})

	torn := load(t, v)
	if torn.Furthest != 30 {
		t.Errorf("documents reach to %d, want 30", torn.Furthest)
	}
	torn.Furthest = 0
	if diff := cmp.Diff(c, torn); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	if found := get(t, v, c, "a", "b", "c"); len(found) != 3 || found["a"].Position != 30 || found["b"].Position != 10 {
		t.Errorf("documents are %v", found)
	}
	if keys := list(t, v, c, 2, nil); len(keys) != 3 {
		t.Errorf("listed %v", keys)
	}
	commit(t, v, torn, doc("b", 30, 2))
	if got := load(t, v).Furthest; got != 0 {
		t.Errorf("after the next commit documents reach to %d", got)
	}
}

// tornOverHistory tears commits of documents that changed many times, two in a
// row, as when the power fails again before the first is made good.
func tornOverHistory(t *testing.T, h Harness) {
	if h.Tear == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no Tear, for a store whose commits cannot be torn")
	}
	s := h.Open(t)
	v := open(t, s)
	c := load(t, v)
	for i := 1; i < 6; i++ {
		c = commit(t, v, c, doc("a", store.Position(i), i), doc("b", store.Position(i), i))
	}
	for _, torn := range []projector.Document{doc("a", 30, 30), doc("a", 40, 40)} {
		h.Tear(t, s, viewName, viewVersion, []projector.Document{torn})
		got := load(t, v)
		if got.Furthest != torn.Position || got.Revision != c.Revision || got.Position > c.Position {
			t.Errorf("after %d was torn off the checkpoint is %+v, want %+v at most", torn.Position, got, c)
		}
		found := get(t, v, c, "a", "b")
		if found["a"].Position != torn.Position || found["b"].Position != 5 {
			t.Errorf("documents are %v", found)
		}
		if diff := cmp.Diff([]string{"b", "a"}, list(t, v, c, 1, nil)); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
	again := load(t, v)
	again.Furthest = 0
	c = commit(t, v, again, doc("a", 41, 41), doc("b", 41, 41))
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("after the next commit the checkpoint is (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a", "b"}, list(t, v, c, 1, nil)); diff != "" {
		t.Errorf("after the next commit listed (-want +got):\n%s", diff)
	}
}

func tornFirstCommit(t *testing.T, h Harness) {
	if h.Tear == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no Tear, for a store whose commits cannot be torn")
	}
	s := h.Open(t)
	v := open(t, s)
	h.Tear(t, s, viewName, viewVersion, []projector.Document{doc("a", 5, 1)})
	c := load(t, v)
	if diff := cmp.Diff(projector.Checkpoint{Worker: worker, Furthest: 5}, c); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
	if found := get(t, v, c, "a"); found["a"].Position != 5 {
		t.Errorf("documents are %v", found)
	}
	c.Furthest = 0
	commit(t, v, c, doc("a", 6, 2))
}

func tornDeletion(t *testing.T, h Harness) {
	if h.Tear == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no Tear, for a store whose commits cannot be torn")
	}
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1))
	h.Tear(t, s, viewName, viewVersion, []projector.Document{deletion("a", 30)})
	torn := load(t, v)
	if torn.Furthest != 30 {
		t.Errorf("documents reach to %d, want 30", torn.Furthest)
	}
	deletedAs(t, v, c, deletion("a", 30))
	if diff := cmp.Diff([]string{"b"}, list(t, v, c, 1, nil)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	torn.Furthest = 0
	c = commit(t, v, torn, deletion("a", 31))
	if diff := cmp.Diff(c, load(t, v)); diff != "" {
		t.Errorf("checkpoint (-want +got):\n%s", diff)
	}
}

func lostAnswer(t *testing.T, h Harness) {
	if h.LoseAnswer == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no LoseAnswer, for a store whose answers cannot be lost")
	}
	storedOnce(t, h, h.LoseAnswer, doc("a", 2, 2), doc("b", 2, 2))
}

func lostAnswerAlone(t *testing.T, h Harness) {
	if h.LoseAnswer == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no LoseAnswer, for a store whose answers cannot be lost")
	}
	storedOnce(t, h, h.LoseAnswer)
}

func lostRequest(t *testing.T, h Harness) {
	if h.LoseRequest == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no LoseRequest, for a store that is always reached")
	}
	storedOnce(t, h, h.LoseRequest, doc("a", 2, 2), doc("b", 2, 2))
}

func storedOnce(t *testing.T, h Harness, harm func(*testing.T, projector.Store), docs ...projector.Document) {
	t.Helper()
	s := h.Open(t)
	v := open(t, s)
	c := commit(t, v, load(t, v), doc("a", 1, 1), doc("b", 1, 1))
	for range 3 {
		harm(t, s)
		c = commit(t, v, c, docs...)
		if diff := cmp.Diff(c, load(t, v)); diff != "" {
			t.Fatalf("checkpoint (-want +got):\n%s", diff)
		}
	}
	want := 1
	if len(docs) > 0 {
		want = 2
	}
	found := get(t, v, c, "a", "b")
	for _, key := range []string{"a", "b"} {
		if got := valueOf(t, found[key]); got != want {
			t.Errorf("document %s is %d, want %d", key, got, want)
		}
	}
}

func lostFence(t *testing.T, h Harness) {
	if h.LoseAnswer == nil {
		t.Skip("SKIPPED, NOT PASSED: the harness has no LoseAnswer, for a store whose answers cannot be lost")
	}
	s := h.Open(t)
	v := open(t, s)
	stale := commit(t, v, load(t, v), doc("a", 1, 1))
	last := commit(t, v, stale, doc("a", 2, 2))
	h.LoseAnswer(t, s)
	docs := []projector.Document{doc("a", 9, 9)}
	if _, err := v.Commit(within(t), projector.Write{Checkpoint: moved(stale, docs...), Documents: docs}); !errors.Is(err, projector.ErrFenced) {
		t.Errorf("commit: %v, want ErrFenced", err)
	}
	if got := valueOf(t, get(t, v, last, "a")["a"]); got != 2 {
		t.Errorf("document is %d", got)
	}
}

func givenUp(t *testing.T, h Harness) {
	v := open(t, h.Open(t))
	c := commit(t, v, load(t, v), doc("a", 1, 0), doc("b", 1, 0))
	for i := 1; i <= 30; i++ {
		ctx, cancel := context.WithCancel(within(t))
		if i%3 == 0 {
			cancel()
		}
		at := store.Position(i + 1)
		docs := []projector.Document{doc("a", at, i), doc("b", at, i)}
		given := make(chan error, 1)
		go func() {
			_, err := v.Commit(ctx, projector.Write{Checkpoint: moved(c, docs...), Documents: docs})
			given <- err
		}()
		cancel()
		err := <-given
		if err != nil && !errors.Is(err, store.ErrUnknown) && !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("commit %d: %v", i, err)
		}
		c = settled(t, v)
		found := get(t, v, c, "a", "b")
		a, b := valueOf(t, found["a"]), valueOf(t, found["b"])
		if a != b || err == nil && a != i {
			t.Fatalf("after commit %d (%v): a is %d, b is %d", i, err, a, b)
		}
	}
}

// settled writes the checkpoint until that succeeds: a commit that was given
// up may still be on its way, and fences this one when it arrives.
func settled(t *testing.T, v projector.View) projector.Checkpoint {
	t.Helper()
	var c projector.Checkpoint
	var err error
	for range 5 {
		if c, err = v.Commit(within(t), projector.Write{Checkpoint: moved(load(t, v))}); err == nil {
			return c
		}
		if !errors.Is(err, projector.ErrFenced) {
			break
		}
	}
	t.Fatal(fmt.Errorf("settle: %w", err))
	return c
}
