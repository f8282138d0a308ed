package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
)

// spreadViews has the view totals, and says how its second worker stands: at home as
// it is stored, where the worker runs as it is.
type spreadViews struct {
	*wandering
	works string // state of the worker that is here; empty: none is
}

func (v spreadViews) Status(ctx context.Context) []projector.Status {
	all := v.wandering.Status(ctx)
	all[0].Version = 1
	second := projector.Share{Model: "totals_v1", Worker: 1, State: projector.StateLive}
	if all[0].State == projector.StateLive {
		all[0].Shares = []projector.Share{{Model: "totals_v1", State: projector.StateLive}, second}
	} else if v.works != "" {
		second.State, second.Error = v.works, "it hurts"
		all[0].Shares = []projector.Share{second}
	}
	return all
}

// spreadOperators have letters of the second worker, which the home knows of and only
// one group can do something with.
type spreadOperators struct {
	*fakeOperators
	works bool
}

const secondDuty = "totals.v1.1"

func (o spreadOperators) Letter(ctx context.Context, view, id string) (projector.DeadLetter, error) {
	if o.works {
		return o.find(id), nil
	}
	return o.fakeOperators.Letter(ctx, view, id)
}

func (o spreadOperators) change(view, what string) error {
	if !o.works {
		if err := o.views.Wait(canceled(), view, 0); err != nil {
			return err
		}
		o.set(func() { o.calls = append(o.calls, "sent on: "+what) })
		return &projector.ElsewhereError{View: view, Duty: secondDuty}
	}
	o.set(func() { o.calls = append(o.calls, what) })
	return nil
}

func (o spreadOperators) Retry(_ context.Context, view, _ string) (projector.DeadLetter, error) {
	return projector.DeadLetter{}, o.change(view, "retry")
}

func (o spreadOperators) Edit(_ context.Context, view, _ string, _ uint64, _ json.RawMessage, _ string) error {
	return o.change(view, "edit")
}

func (o spreadOperators) Skip(_ context.Context, view, _ string, _ uint64, _, _ string) (projector.DeadLetter, error) {
	return projector.DeadLetter{}, o.change(view, "skip")
}

// spreadNodes are a, b, which is the view's home, and c, which has the second worker.
func spreadNodes(t *testing.T) (client *gateway.Client, r *roster, home, works *fakeOperators) {
	t.Helper()
	s, r := startServer(t), newRoster("a")
	r.run("totals", "b")
	r.run(secondDuty, "c")
	letter := projector.DeadLetter{ID: "l", At: 3, Worker: "1"}
	for _, name := range []string{"a", "b", "c"} {
		views := newWandering(name, "totals")
		views.run("totals", name == "b")
		v := spreadViews{wandering: views}
		if name == "c" {
			v.works = projector.StateFailed
		}
		f := &fakeOperators{views: views, letters: []projector.DeadLetter{letter}}
		switch name {
		case "b":
			home = f
		case "c":
			works = f
		}
		startNode(t, s, r, name, &fakeActors{}, func(c *gateway.Config) {
			c.Views, c.Operators = v, spreadOperators{fakeOperators: f, works: name == "c"}
		})
	}
	return newClient(t, connect(t, s)), r, home, works
}

// What is to be done with a letter is done where its worker is, whichever node was
// asked.
func TestLettersAreDealtWithWhereTheirWorkerIs(t *testing.T) {
	t.Parallel()
	client, _, _, works := spreadNodes(t)
	o := client.Operator("totals")
	for i := range 9 { // all nodes answer in turn
		if letter, err := o.Retry(t.Context(), "l"); err != nil || letter != nil {
			t.Fatalf("retry %d: %+v, %v", i, letter, err)
		}
		if letter, err := o.Edit(t.Context(), "l", 3, json.RawMessage("{}"), "me"); err != nil || letter.ID != "l" {
			t.Fatalf("edit %d: %+v, %v", i, letter, err)
		}
		if letter, err := o.Skip(t.Context(), "l", 3, "why", "me"); err != nil || letter != nil {
			t.Fatalf("skip %d: %+v, %v", i, letter, err)
		}
		if diff := cmp.Diff([]string{"retry", "edit", "skip"}, works.asked()); diff != "" {
			t.Fatalf("asked where the worker is (-want +got):\n%s", diff)
		}
	}
}

// A letter's worker that is nowhere is waited for.
func TestALetterWaitsForItsWorker(t *testing.T) {
	t.Parallel()
	client, r, home, works := spreadNodes(t)
	r.run(secondDuty, "")
	done := make(chan error, 1)
	go func() {
		_, err := client.Operator("totals").Retry(t.Context(), "l")
		done <- err
	}()
	sentOn := 0
	eventually(t, "the home has said often where the letter's worker should be", func() bool {
		for _, call := range home.asked() {
			if call == "sent on: retry" {
				sentOn++
			}
		}
		return sentOn >= 3 || len(done) > 0
	})
	if len(done) > 0 {
		t.Fatalf("without the worker the retry ended: %v", <-done)
	}
	if asked := works.asked(); len(asked) > 0 {
		t.Errorf("without the worker was done: %v", asked)
	}
	r.run(secondDuty, "c")
	if err := receive(t, done); err != nil {
		t.Errorf("retry: %v", err)
	}
	if asked := works.asked(); !slices.Equal(asked, []string{"retry"}) {
		t.Errorf("with the worker was done: %v", asked)
	}
}

// How workers stand is told by their own nodes.
func TestSharesAreToldByTheirNodes(t *testing.T) {
	t.Parallel()
	client, r, _, _ := spreadNodes(t)
	want := []projector.Share{
		{Model: "totals_v1", Node: "b", State: projector.StateLive},
		{Model: "totals_v1", Worker: 1, Node: "c", State: projector.StateFailed, Error: "it hurts"},
	}
	ask := func() map[string][]projector.Share {
		all, err := client.Projections(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("list: %+v, %v", all, err)
		}
		info, err := client.Operator("totals").Info(t.Context())
		if err != nil || len(info.Models) != 1 {
			t.Fatalf("info: %+v, %v", info, err)
		}
		return map[string][]projector.Share{"list": all[0].Shares, "info": info.Models[0].Shares}
	}
	for i := range 6 {
		for what, got := range ask() {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s %d (-want +got):\n%s", what, i, diff)
			}
		}
	}
	r.run(secondDuty, "gone") // its node does not answer: what is stored has to do
	want[1] = projector.Share{Model: "totals_v1", Worker: 1, Node: "gone", State: projector.StateLive}
	for what, got := range ask() {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, fmt.Sprint(diff))
		}
	}
}

// homeViews has a third worker beside the first one.
type homeViews struct{ spreadViews }

func (v homeViews) Status(ctx context.Context) []projector.Status {
	all := v.spreadViews.Status(ctx)
	if len(all[0].Shares) == 2 {
		all[0].Shares = append(all[0].Shares, projector.Share{Model: "totals_v1", Worker: 2, State: projector.StateCatchingUp})
	}
	return all
}

// While another node is asked, what is known here is told. The race detector sees to
// it that the two do not meet.
func TestSharesHereAndThere(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	r.run("totals", "a")
	r.run(secondDuty, "b")
	r.run("totals.v1.2", "a")
	for _, name := range []string{"a", "b"} {
		views := newWandering(name, "totals")
		views.run("totals", name == "a")
		v := spreadViews{wandering: views}
		if name == "b" {
			v.works = projector.StateFailed
		}
		startNode(t, s, r, name, &fakeActors{}, func(c *gateway.Config) { c.Views = homeViews{v} })
	}
	client := newClient(t, connect(t, s))
	want := []projector.Share{
		{Model: "totals_v1", Node: "a", State: projector.StateLive},
		{Model: "totals_v1", Worker: 1, Node: "b", State: projector.StateFailed, Error: "it hurts"},
		{Model: "totals_v1", Worker: 2, Node: "a", State: projector.StateCatchingUp},
	}
	for i := range 6 {
		all, err := client.Projections(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("list: %+v, %v", all, err)
		}
		if diff := cmp.Diff(want, all[0].Shares); diff != "" {
			t.Errorf("list %d (-want +got):\n%s", i, diff)
		}
	}
}
