package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// wandering are views that run here or elsewhere, as a test says.
type wandering struct {
	*fakeViews
	node string

	mu      sync.Mutex
	here    map[string]bool
	at      map[string]store.Position
	changed chan struct{}
}

func newWandering(node string, views ...string) *wandering {
	w := &wandering{
		fakeViews: totals(0, 0), node: node, here: map[string]bool{}, at: map[string]store.Position{}, changed: make(chan struct{}),
	}
	for _, v := range views {
		w.here[v] = false
	}
	return w
}

func (w *wandering) run(view string, here bool) {
	w.change(func() { w.here[view] = here })
}

func (w *wandering) check(view string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	here, known := w.here[view]
	switch {
	case !known:
		return fmt.Errorf("%w: %s", projector.ErrNoView, view)
	case !here:
		return fmt.Errorf("view %s: %w", view, projector.ErrElsewhere)
	}
	return nil
}

func (w *wandering) Get(_ context.Context, view, key string, min store.Position) (projector.Document, error) {
	return projector.Document{Key: key, Position: min, Document: json.RawMessage(`"` + w.node + `"`)}, w.check(view)
}

// Wait is at the position that a test set.
func (w *wandering) Wait(ctx context.Context, view string, p store.Position) error {
	for {
		if err := w.check(view); err != nil {
			return err
		}
		w.mu.Lock()
		at, changed := w.at[view], w.changed
		w.mu.Unlock()
		if p <= at {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &projector.TimeoutError{View: view, Want: p, Has: at, Cause: ctx.Err()}
		}
	}
}

// reach brings a view to a position.
func (w *wandering) reach(view string, p store.Position) {
	w.change(func() { w.at[view] = p })
}

func (w *wandering) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *wandering) List(_ context.Context, view, cursor string, limit int, _ store.Position) ([]projector.Document, string, error) {
	return []projector.Document{{Key: cursor, Position: store.Position(limit), Document: json.RawMessage(`"` + w.node + `"`)}}, "", w.check(view)
}

func (w *wandering) Status(context.Context) (all []projector.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range []string{"totals", "names", "orphans", "lost"} {
		if here, known := w.here[name]; known && here {
			all = append(all, projector.Status{Name: name, State: projector.StateLive, Hash: w.node})
		} else if known {
			all = append(all, projector.Status{Name: name, State: projector.StateElsewhere})
		}
	}
	return all
}

func withViews(v gateway.Views) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Views = v }
}

// A query is answered by the node that runs the view, whichever was asked.
func TestAQueryIsPassedOnToTheNodeThatRunsTheView(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	views := newWandering("b", "totals")
	views.run("totals", true)
	r.run("totals", "b")
	a := startNode(t, s, r, "a", &fakeActors{}, withViews(newWandering("a", "totals")))
	startNode(t, s, r, "b", &fakeActors{}, withViews(views))
	nc := connect(t, s)
	m := request(t, nc, "bank.node.a.qry.totals.k=2Fx", "", "Annals-Min-Position", "77")
	if want := `{"type":"io.annals.api.v1.document_response","key":"k/x","position":77,"document":"b"}`; string(m.Data) != want {
		t.Errorf("got %s, want %s", m.Data, want)
	}
	m = request(t, nc, "bank.node.a.qry.totals", `{"cursor":"c","limit":9}`)
	if want := `"documents":[{"key":"c","position":9,"document":"b"}]`; !strings.Contains(string(m.Data), want) {
		t.Errorf("got %s, want %s", m.Data, want)
	}
	for range 20 { // over any of them
		if m := request(t, nc, "bank.qry.totals.x", ""); status(t, m) != 200 {
			t.Errorf("%s", m.Data)
		}
	}
	if n := a.forwarded(t, "query"); n < 2 {
		t.Errorf("%v were passed on", n)
	}
}

// While a view has no node, or its node does not know of it yet or is gone,
// its queries wait. An unknown view is not waited for.
func TestAQueryWaitsForItsView(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	views := newWandering("a", "totals")
	startNode(t, s, r, "a", &fakeActors{}, withViews(views))
	nc := connect(t, s)
	for _, runner := range []string{"", "gone", "a"} {
		r.run("totals", runner)
		e := errorOf(t, request(t, nc, "bank.qry.totals.x", "", "Annals-Deadline", "1s"))
		if e.Code != gateway.CodeUnavailable || !strings.Contains(e.Description, "view totals") {
			t.Errorf("%q runs it: %+v", runner, e)
		}
	}
	if e := errorOf(t, request(t, nc, "bank.qry.nothing.x", "")); e.Code != gateway.CodeUnknownView {
		t.Errorf("%+v", e)
	}
	for _, runner := range []string{"", "gone", "a"} {
		views.run("totals", false)
		r.run("totals", runner)
		answer := ask(t, nc, "bank.qry.totals.x")
		views.run("totals", true)
		r.run("totals", "a")
		if m := receive(t, answer); status(t, m) != 200 {
			t.Errorf("%q ran it: %s", runner, m.Data)
		}
	}
}

func TestAQueryIsPassedOnAFewTimesOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	ra, rb := newRoster("a"), newRoster("a")
	ra.run("totals", "b")
	rb.run("totals", "a")
	startNode(t, s, ra, "a", &fakeActors{}, withViews(newWandering("a", "totals")))
	startNode(t, s, rb, "b", &fakeActors{}, withViews(newWandering("b", "totals")))
	if e := errorOf(t, request(t, connect(t, s), "bank.qry.totals.x", "")); e.Code != gateway.CodeUnavailable || !strings.Contains(e.Description, "passed on 4 times") {
		t.Errorf("%+v", e)
	}
}

// The list of projections is whole on every node, and comes even if a node
// says nothing. One that is gone is not waited for: the server says so.
func TestTheListOfProjectionsIsGathered(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	va, vb := newWandering("a", "totals", "names", "orphans", "lost"), newWandering("b", "totals", "names", "orphans", "lost")
	va.run("totals", true)
	vb.run("names", true)
	r.run("totals", "a")
	r.run("names", "b")
	r.run("lost", "silent")
	startNode(t, s, r, "a", &fakeActors{}, withViews(va))
	startNode(t, s, r, "b", &fakeActors{}, withViews(vb))
	nc := connect(t, s)
	silent := connect(t, s)
	if _, err := silent.SubscribeSync("bank.node.silent.>"); err != nil {
		t.Fatal(err)
	}
	if err := silent.Flush(); err != nil {
		t.Fatal(err)
	}
	reason := map[string]string{} // why a view is unreachable
	list := func(subject string) map[string]string {
		var answer struct{ Projections []projector.Status }
		if err := json.Unmarshal(request(t, nc, subject, "").Data, &answer); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, p := range answer.Projections {
			got[p.Name], reason[p.Name] = p.State+" "+p.Hash, p.Error
			if (p.State == "unreachable") != (p.Error != "") {
				t.Errorf("%+v", p)
			}
		}
		return got
	}
	whole := map[string]string{"totals": "live a", "names": "live b", "orphans": "unreachable ", "lost": "unreachable "}
	for range 4 { // both nodes answer in turn
		eventually(t, "the other node answers in time", func() bool { return cmp.Equal(whole, list("bank.ctl.projection.ls")) })
		if !strings.Contains(reason["lost"], "deadline") {
			t.Errorf("a node that says nothing: %s", reason["lost"])
		}
	}
	if diff := cmp.Diff(map[string]string{"names": "live b"}, list("bank.node.b.ctl.projection.ls")); diff != "" {
		t.Errorf("what runs on b (-want +got):\n%s", diff)
	}
	silent.Close()
	eventually(t, "the server says that the node is gone", func() bool {
		return cmp.Equal(whole, list("bank.ctl.projection.ls")) && strings.Contains(reason["lost"], "no responders")
	})
}

// builder has two models of its view where that runs, and three definitions of
// it everywhere.
type builder struct{ *wandering }

func (b builder) Status(ctx context.Context) []projector.Status {
	one := b.wandering.Status(ctx)[0]
	all := []projector.Status{one, one, one}
	if one.State == projector.StateLive {
		all = all[:2]
		all[0].Role, all[1].Role, all[1].Build = projector.RoleLive, projector.RoleCandidate, 1
	}
	return all
}

// All models of a view are listed, once, by whichever node is asked.
func TestTheListHasEachModelOnce(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	there := newWandering("b", "totals")
	there.run("totals", true)
	r.run("totals", "b")
	startNode(t, s, r, "a", &fakeActors{}, withViews(builder{newWandering("a", "totals")}))
	startNode(t, s, r, "b", &fakeActors{}, withViews(builder{there}))
	client := newClient(t, connect(t, s))
	for range 6 { // both nodes answer in turn
		all, err := client.Projections(t.Context())
		if err != nil || len(all) != 2 || all[0].Role != projector.RoleLive || all[1].Role != projector.RoleCandidate || all[1].Build != 1 {
			t.Errorf("%+v, %v", all, err)
		}
	}
	there.run("totals", false)
	r.run("totals", "")
	if all, err := client.Projections(t.Context()); err != nil || len(all) != 1 || all[0].State != gateway.StateUnreachable {
		t.Errorf("while nobody runs it: %+v, %v", all, err)
	}
}

// An operator reaches one node among many.
func TestANodeCanBeAskedByItsName(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	for _, name := range []string{"a", "B_2"} {
		startNode(t, s, r, name, &fakeActors{})
	}
	nc := connect(t, s)
	for _, name := range []string{"a", "B_2"} {
		var info gateway.Info
		if err := json.Unmarshal(request(t, nc, "bank.node."+name+".ctl.info", "").Data, &info); err != nil {
			t.Fatal(err)
		}
		if info.Node != name || info.Partitions != partitions {
			t.Errorf("%+v", info)
		}
	}
	if _, err := nc.Request("bank.node.c.ctl.info", nil, soon); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a node that is not there: %v", err)
	}
}
