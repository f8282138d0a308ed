package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// A get answers what aggregate.get answers, from the owner's memory.
func TestAGetAnswersTheState(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	for _, c := range [][2]string{{"open", `{"owner":"Ann"}`}, {"deposit", `{"cents":7}`}} {
		request(t, b.conn, "bank.cmd.account.a=2Fb."+c[0], c[1])
	}
	want := request(t, b.conn, "bank.ctl.aggregate.get", `{"aggregate":"account","id":"a/b"}`)
	for _, headers := range [][]string{nil, {"Annals-Consistency", "linearizable"}, {"annals-consistency", "linearizable", "Annals-Deadline", "3s"}} {
		got := request(t, b.conn, "bank.prt.0.get.account.a=2Fb", "", headers...)
		if diff := cmp.Diff(string(want.Data), string(got.Data)); diff != "" || status(t, got) != 200 {
			t.Errorf("%q: state (-aggregate.get +get):\n%s", headers, diff)
		}
	}
}

func TestOutcomesOfGets(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	for _, c := range []struct {
		subject, body string
		headers       []string
		want          gateway.Code
	}{
		{"get.account.a", "", nil, gateway.CodeNotFound},
		{"get.account.a", "{}", nil, gateway.CodeNotFound},
		{"get.account.a", `{"id":"b"}`, nil, gateway.CodeInvalid},
		{"get.account.a=2f", "", nil, gateway.CodeInvalid},
		{"get.nothing.a", "", nil, gateway.CodeUnknownType},
		{"get.account.a", "", []string{"Annals-Consistency", "strong"}, gateway.CodeInvalid},
		{"get.account.a", "", []string{"Annals-Consistency", ""}, gateway.CodeInvalid},
		{"get.account.a", "", []string{"Annals-Min-Position", "1"}, gateway.CodeInvalid},
		{"get.account.a", "", []string{"Annals-Deadline", "-1s"}, gateway.CodeDeadline},
		{"get.account.a", "", []string{"Content-Type", "application/msgpack"}, gateway.CodeInvalid},
		{"get.account.a", string(make([]byte, 5000)), nil, gateway.CodeTooLarge},
	} {
		if e := errorOf(t, request(t, b.conn, "bank.prt.0."+c.subject, c.body, c.headers...)); e.Code != c.want {
			t.Errorf("%s %q %q: %s %s, want %s", c.subject, c.body[:min(len(c.body), 20)], c.headers, e.Code, e.Description, c.want)
		}
	}
}

// A get finds its owner as a command does, and its wish travels with it.
func TestAGetIsPassedOn(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	wishes := make(chan bool, 1)
	a := startNode(t, s, r, "a", &fakeActors{})
	startNode(t, s, r, "b", &fakeActors{read: func(_ context.Context, id store.StreamID, linearizable bool) (actor.State, error) {
		wishes <- linearizable
		return actor.State{Stream: id, Version: 3, Value: account{Owner: "Ann"}}, nil
	}})
	nc := connect(t, s)
	for _, linearizable := range []bool{true, false} {
		var headers []string
		if linearizable {
			headers = []string{"Annals-Consistency", "linearizable"}
		}
		m := request(t, nc, "bank.node.a.prt.3.get.account."+idIn(3, 0), "", headers...)
		if got := receive(t, wishes); got != linearizable || status(t, m) != 200 {
			t.Errorf("linearizable %v, want %v: %s", got, linearizable, m.Data)
		}
	}
	eventually(t, "they are counted", func() bool { return a.forwarded(t, "get") == 2 && a.forwarded(t, "command") == 0 })
}

func TestAGetThatIsGivenBackIsRoutedAgain(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	tried := make(chan struct{}, 1)
	a := startNode(t, s, r, "a", &fakeActors{read: func(context.Context, store.StreamID, bool) (actor.State, error) {
		select {
		case tried <- struct{}{}:
		default:
		}
		return actor.State{}, actor.ErrMoved
	}}, partitioned)
	serve(t, a, 3)
	answer := ask(t, connect(t, s), "bank.prt.3.get.account."+idIn(3, 0))
	receive(t, tried)
	startNode(t, s, r, "b", &fakeActors{read: func(_ context.Context, id store.StreamID, _ bool) (actor.State, error) {
		return actor.State{Stream: id, Version: 3}, nil
	}})
	r.give(3, "b")
	a.Pass(3)
	if m := receive(t, answer); status(t, m) != 200 {
		t.Errorf("%s", m.Data)
	}
}

// A state whose own code panics does not end the node.
func TestAStateThatCannotBeShownIsInternal(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: &fakeActors{read: func(context.Context, store.StreamID, bool) (actor.State, error) {
		return actor.State{Value: panicky{}}, nil
	}}})
	nc := connect(t, s)
	for range 2 {
		if e := errorOf(t, request(t, nc, "bank.prt.0.get.account.a", "")); e.Code != gateway.CodeInternal {
			t.Errorf("%+v", e)
		}
	}
}

type panicky struct{}

func (panicky) MarshalJSON() ([]byte, error) { panic("secret of the application") }

func TestGetsAreBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	inside, release := make(chan struct{}), make(chan struct{})
	startGateway(t, gateway.Config{Conn: connect(t, s), MaxReads: 1, Actors: &fakeActors{read: func(context.Context, store.StreamID, bool) (actor.State, error) {
		close(inside)
		<-release
		return actor.State{Version: 1}, nil
	}}})
	nc := connect(t, s)
	first := ask(t, nc, "bank.prt.0.get.account.a")
	receive(t, inside)
	if e := errorOf(t, request(t, nc, "bank.prt.0.get.account.a", "")); e.Code != gateway.CodeBusy {
		t.Errorf("%+v", e)
	}
	close(release)
	if m := receive(t, first); status(t, m) != 200 {
		t.Errorf("%s", m.Data)
	}
}

func TestTheClientReadsFromTheOwner(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	for what, c := range map[string]*gateway.Client{
		"asks for the partitions":     b.client(t),
		"knows the partitions":        newClient(t, b.conn, func(c *gateway.ClientConfig) { c.Partitions = b.log.Partitions() }),
		"knows the wrong partitions":  newClient(t, b.conn, func(c *gateway.ClientConfig) { c.Partitions = 5 }),
		"learns of no partitions, as": newClient(t, b.conn, func(c *gateway.ClientConfig) { c.Partitions = 1 }),
	} {
		id := store.StreamID{Type: "account", ID: what}
		if _, err := c.Read(t.Context(), id, false); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: before the first event: %v", what, err)
		}
		if _, err := gateway.For(c, accounts).Send(t.Context(), what, open{Owner: "Ann"}); err != nil {
			t.Fatal(err)
		}
		for _, linearizable := range []bool{false, true} {
			got, err := c.Read(t.Context(), id, linearizable)
			if err != nil || got.Version != 1 || got.ID != what || string(got.State) != `{"owner":"Ann","cents":0}` {
				t.Errorf("%s: %+v, %v", what, got, err)
			}
		}
	}
	for _, id := range []store.StreamID{{Type: "Account", ID: "a"}, {Type: "account"}} {
		if _, err := b.client(t).Read(t.Context(), id, false); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%v: %v", id, err)
		}
	}
}

// A read asks again while there is no owner, while its owner says so, and when
// its owner says nothing.
func TestTheClientReadsUntilSomebodyAnswers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	asker, server := connect(t, s), connect(t, s)
	done := make(chan error, 1)
	go func() {
		_, err := newClient(t, asker, hasty, func(c *gateway.ClientConfig) { c.Partitions = partitions }).Read(context.Background(), touchA.Stream, true)
		done <- err
	}()
	eventually(t, "some attempts", func() bool { return asker.Stats().OutMsgs > 3 })
	var attempts atomic.Int64
	_, err := server.Subscribe("bank.prt.*.get.account.a", func(m *nats.Msg) {
		switch attempts.Add(1) {
		case 1: // the answer is lost
		case 2:
			refuse(t, m, store.ErrUnavailable)
		default:
			if m.Header.Get("Annals-Consistency") != "linearizable" {
				t.Error("the wish is lost")
			}
			accept(t, m)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := receive(t, done); err != nil {
		t.Error(err)
	}
}
