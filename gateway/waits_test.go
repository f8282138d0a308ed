package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// at answers commands with a position.
func at(p store.Position) *fakeActors {
	return &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
		reply(actor.Result{Version: 1, Position: p, Events: []string{"opened"}}, nil)
	}}
}

// waited is what an answer to a command says of the views.
func waited(t *testing.T, data []byte) []gateway.ViewWait {
	t.Helper()
	var answer struct {
		Version uint64
		Views   []gateway.ViewWait
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Version != 1 {
		t.Fatalf("%s: %v", data, err)
	}
	return answer.Views
}

// The answer comes once the views have what the command did, wherever they run.
func TestACommandWaitsForViewsOnOtherNodes(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	actors := at(7)
	va, vb := newWandering("a", "totals", "names"), newWandering("b", "totals", "names")
	va.run("totals", true)
	vb.run("names", true)
	r.run("totals", "a")
	r.run("names", "b")
	startNode(t, s, r, "a", actors, withViews(va))
	startNode(t, s, r, "b", &fakeActors{}, withViews(vb))
	nc := connect(t, s)
	// Over b, which passes it on to the owner.
	answer := ask(t, nc, "bank.node.b.cmd.account.ann.open", "Annals-Wait-Views", "totals, names")
	eventually(t, "the command is executed", func() bool { return actors.count.Load() == 1 })
	va.reach("totals", 7)
	vb.reach("names", 6)
	select {
	case m := <-answer:
		t.Fatalf("answered before the views were there: %s", m.Data)
	default:
	}
	vb.reach("names", 9)
	want := []gateway.ViewWait{{View: "totals", Reached: true}, {View: "names", Reached: true}}
	if diff := cmp.Diff(want, waited(t, receive(t, answer).Data)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A view that moves between nodes is waited for where it goes.
func TestACommandWaitsForAViewThatMoves(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	actors := at(7)
	va, vb := newWandering("a", "totals"), newWandering("b", "totals")
	vb.run("totals", true)
	r.run("totals", "b")
	startNode(t, s, r, "a", actors, withViews(va))
	startNode(t, s, r, "b", &fakeActors{}, withViews(vb))
	answer := ask(t, connect(t, s), "bank.node.a.cmd.account.ann.open", "Annals-Wait-Views", "totals")
	eventually(t, "the command is executed", func() bool { return actors.count.Load() == 1 })
	vb.run("totals", false)
	r.run("totals", "")
	va.reach("totals", 7)
	va.run("totals", true)
	r.run("totals", "a")
	if got := waited(t, receive(t, answer).Data); len(got) != 1 || !got[0].Reached {
		t.Errorf("%+v", got)
	}
}

// The command took effect, so its answer is that of a success, and says which
// views are late and how late.
func TestACommandIsAnsweredWhenItsViewsAreLate(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	va, vb := newWandering("a", "totals", "names", "lost"), newWandering("b", "totals", "names", "lost")
	va.run("totals", true)
	vb.run("names", true)
	va.reach("totals", 7)
	vb.reach("names", 5)
	r.run("totals", "a")
	r.run("names", "b")
	r.run("lost", "gone")
	actors := at(7)
	startNode(t, s, r, "a", actors, withViews(va))
	startNode(t, s, r, "b", &fakeActors{}, withViews(vb))
	nc, asked := connect(t, s), int64(0)
	givenTime(t, "what the other node says", func(most time.Duration) error {
		asked++
		m := request(t, nc, "bank.node.a.cmd.account.ann.open", "", "Annals-Wait-Views", "totals,names,lost", "Annals-Deadline", most.String())
		if status(t, m) != 200 || actors.count.Load() != asked {
			t.Fatalf("%s", m.Data)
		}
		got := waited(t, m.Data)
		for i := range got {
			got[i].Description = ""
		}
		want := []gateway.ViewWait{
			{View: "totals", Reached: true},
			{View: "names", Position: 5, Code: gateway.CodeViewTimeout},
			{View: "lost", Code: gateway.CodeUnavailable},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New("(-want +got):\n" + diff)
		}
		return nil
	})
}

// What can be refused is refused before the command is executed.
func TestWaitsAreCheckedBeforeTheCommand(t *testing.T) {
	t.Parallel()
	many := make([]string, gateway.MaxWaitViews+1)
	for i := range many {
		many[i] = fmt.Sprintf("v%d", i)
	}
	actors := at(7)
	s := startServer(t)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: actors, Views: totals(0, 0)})
	nc := connect(t, s)
	for views, want := range map[string]gateway.Code{
		"nothing": gateway.CodeUnknownView, "totals,nothing": gateway.CodeUnknownView, "": gateway.CodeInvalid, "totals,": gateway.CodeInvalid,
		"totals,totals": gateway.CodeInvalid, "Totals": gateway.CodeInvalid, strings.Join(many, ","): gateway.CodeInvalid,
	} {
		if e := errorOf(t, request(t, nc, "bank.cmd.account.ann.open", "", "Annals-Wait-Views", views)); e.Code != want {
			t.Errorf("%q: %+v", views, e)
		}
	}
	if n := actors.count.Load(); n != 0 {
		t.Errorf("%d commands were executed", n)
	}
	blind := startServer(t)
	startGateway(t, gateway.Config{Conn: connect(t, blind), Actors: actors})
	if e := errorOf(t, request(t, connect(t, blind), "bank.cmd.account.ann.open", "", "Annals-Wait-Views", "totals")); e.Code != gateway.CodeUnknownView {
		t.Errorf("without views: %+v", e)
	}
}

// Those that wait are bounded, and the one too many is not executed.
func TestCommandsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	actors := at(101)
	s := startServer(t)
	views := newWandering("local", "totals")
	views.run("totals", true)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: actors, Views: views, MaxReads: 2})
	nc := connect(t, s)
	unheard := &nats.Msg{Subject: "bank.cmd.account.z.open", Header: nats.Header{"Annals-Wait-Views": {"totals"}}}
	if err := nc.PublishMsg(unheard); err != nil { // it has no answer to wait for, and takes no place
		t.Fatal(err)
	}
	eventually(t, "it is executed", func() bool { return actors.count.Load() == 1 })
	first := ask(t, nc, "bank.cmd.account.a.open", "Annals-Wait-Views", "totals", "Annals-Deadline", "30s")
	second := ask(t, nc, "bank.cmd.account.b.open", "Annals-Wait-Views", "totals", "Annals-Deadline", "30s")
	eventually(t, "two wait", func() bool { return actors.count.Load() == 3 })
	if e := errorOf(t, request(t, nc, "bank.cmd.account.c.open", "", "Annals-Wait-Views", "totals")); e.Code != gateway.CodeBusy {
		t.Errorf("%+v", e)
	}
	if m := request(t, nc, "bank.cmd.account.c.open", ""); status(t, m) != 200 {
		t.Errorf("one that does not wait: %s", m.Data)
	}
	if n := actors.count.Load(); n != 4 {
		t.Errorf("%d were executed", n)
	}
	select {
	case m := <-first:
		t.Errorf("answered: %s", m.Data)
	default:
	}
	views.reach("totals", 101)
	for _, answer := range []<-chan *nats.Msg{first, second} {
		if got := waited(t, receive(t, answer).Data); len(got) != 1 || !got[0].Reached {
			t.Errorf("%+v", got)
		}
	}
	eventually(t, "there is room again", func() bool {
		return status(t, request(t, nc, "bank.cmd.account.c.open", "", "Annals-Wait-Views", "totals")) == 200
	})
}

// A gateway that is stopped says what is certain: the command is carried out,
// the view is not there yet.
func TestWaitsEndWhenTheGatewayStops(t *testing.T) {
	t.Parallel()
	actors := at(101)
	s := startServer(t)
	_, stop := startGateway(t, gateway.Config{Conn: connect(t, s), Actors: actors, Views: totals(0, 0)})
	answer := ask(t, connect(t, s), "bank.cmd.account.a.open", "Annals-Wait-Views", "totals", "Annals-Deadline", "1m")
	eventually(t, "it waits", func() bool { return actors.count.Load() == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	got := waited(t, receive(t, answer).Data)
	if len(got) != 1 || got[0].Reached || got[0].Code != gateway.CodeUnavailable || !strings.Contains(got[0].Description, "being stopped") {
		t.Errorf("%+v", got)
	}
}

// ctl.wait answers for all of the views or for none.
func TestWaitForSeveralViews(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	va, vb := newWandering("a", "totals", "names"), newWandering("b", "totals", "names")
	va.run("totals", true)
	vb.run("names", true)
	r.run("totals", "a")
	r.run("names", "b")
	va.reach("totals", 100)
	vb.reach("names", 40)
	startNode(t, s, r, "a", &fakeActors{}, withViews(va))
	startNode(t, s, r, "b", &fakeActors{}, withViews(vb))
	nc := connect(t, s)
	m := request(t, nc, "bank.ctl.wait", `{"position":40,"views":["totals","names"]}`)
	if want := `{"type":"io.annals.api.v1.wait_response","position":40,"views":["totals","names"]}`; string(m.Data) != want {
		t.Errorf("got %s", m.Data)
	}
	givenTime(t, "a view that is behind", func(most time.Duration) error {
		e := errorOf(t, request(t, nc, "bank.ctl.wait", `{"position":50,"views":["totals","names"]}`, "Annals-Deadline", most.String()))
		if e.Code != gateway.CodeViewTimeout || e.Details["reached_position"] != 40 || e.Details["wanted_position"] != 50 || !strings.HasSuffix(e.Description, "reached by view names (at 40)") {
			return fmt.Errorf("%+v", e)
		}
		return nil
	})
	for body, want := range map[string]gateway.Code{
		`{"position":1}`:                         gateway.CodeInvalid,
		`{"position":1,"views":["nothing"]}`:     gateway.CodeUnknownView,
		`{"position":1,"views":["a","a"]}`:       gateway.CodeInvalid,
		`{"position":1,"views":["a"],"other":1}`: gateway.CodeInvalid,
	} {
		if e := errorOf(t, request(t, nc, "bank.ctl.wait", body)); e.Code != want {
			t.Errorf("%s: %+v", body, e)
		}
	}
	client := newClient(t, nc)
	if err := client.Wait(t.Context(), 40, "names", "totals"); err != nil {
		t.Error(err)
	}
	givenTime(t, "the client", func(most time.Duration) error {
		short, cancel := context.WithTimeout(t.Context(), most)
		defer cancel()
		if err := client.Wait(short, 41, "names"); !errors.Is(err, projector.ErrTimeout) {
			return fmt.Errorf("wait: %w", err)
		}
		return nil
	})
	if err := client.Wait(t.Context(), 1, "nothing"); !errors.Is(err, projector.ErrNoView) {
		t.Errorf("%v", err)
	}
}

// The whole way with real actors: a command and its repetition both wait.
func TestSendAndWait(t *testing.T) {
	t.Parallel()
	views := newWandering("local", "totals", "names")
	views.run("totals", true)
	views.run("names", true)
	views.reach("totals", 1<<40)
	registry := prometheus.NewRegistry()
	b := startBank(t, withViews(views), func(c *gateway.Config) { c.Registerer = registry })
	sender := gateway.For(b.client(t), accounts)
	short, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	first, err := sender.SendAndWait(short, "ann", open{Owner: "Ann"}, gateway.Options{ID: "once"}, "totals", "names")
	if err != nil || first.Version != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	late, _ := errors.AsType[*gateway.LateError](first.Late())
	if late == nil || len(late.Views) != 1 || late.Views[0].View != "names" || !errors.Is(late, projector.ErrTimeout) {
		t.Errorf("late: %v", first.Late())
	}
	done := make(chan gateway.Sent, 1)
	go func() {
		again, err := sender.SendAndWait(t.Context(), "ann", open{Owner: "Ann"}, gateway.Options{ID: "once"}, "totals", "names")
		if err != nil {
			t.Error(err)
		}
		done <- again
	}()
	eventually(t, "the repetition is counted", func() bool { return gather(t, registry, "annals_commands_total")["account open duplicate"] >= 1 })
	select {
	case s := <-done:
		t.Errorf("the repetition did not wait: %+v", s)
	default:
	}
	views.reach("names", first.Position)
	again := receive(t, done)
	if !again.Duplicate || again.Position != first.Position || again.Late() != nil || len(again.Views) != 2 {
		t.Errorf("%+v", again)
	}
	if _, err := sender.SendAndWait(t.Context(), "bob", open{Owner: "Bob"}, gateway.Options{}, "nothing"); !errors.Is(err, projector.ErrNoView) {
		t.Errorf("%v", err)
	}
	if _, err := b.client(t).State(t.Context(), store.StreamID{Type: "account", ID: "bob"}, actor.At{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it was executed: %v", err)
	}
	if _, err := sender.SendAndWait(t.Context(), "bob", open{Owner: "Bob"}, gateway.Options{}); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("for no view: %v", err)
	}
}
