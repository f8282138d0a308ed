package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func serve(t *testing.T, n *node, partition int) {
	t.Helper()
	if err := n.Serve(partition); err != nil {
		t.Fatal(err)
	}
}

// nobody reports whether nobody listens to a subject.
func nobody(nc *nats.Conn, subject string) bool {
	_, err := nc.Request(subject, nil, soon)
	return errors.Is(err, nats.ErrNoResponders)
}

// When Serve returns the server knows, on other connections too.
func TestAPartitionIsListenedToWhileItIsServed(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	a := startNode(t, s, r, "a", &fakeActors{submit: succeed}, partitioned, func(c *gateway.Config) { c.Overlap = 20 * time.Millisecond })
	nc := connect(t, s)
	subject := "bank.prt.3." + touchIn(3)
	for range 3 {
		if !nobody(nc, subject) {
			t.Fatal("somebody listens though nobody serves")
		}
		serve(t, a, 3)
		serve(t, a, 3) // twice is once
		if m := request(t, nc, subject, ""); status(t, m) != 200 {
			t.Fatalf("%s", m.Data)
		}
		if !nobody(nc, "bank.prt.4."+touchIn(4)) {
			t.Fatal("somebody listens to another partition")
		}
		a.Hold(3)
		a.Pass(3)
		eventually(t, "nobody listens any more", func() bool {
			_, err := nc.Request(subject, nil, 50*time.Millisecond)
			return errors.Is(err, nats.ErrNoResponders)
		})
	}
}

// Whoever sends to the former owner within the overlap reaches the new one.
func TestWhatStillComesIsPassedOn(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	a := startNode(t, s, r, "a", notHere(t), partitioned, func(c *gateway.Config) { c.Overlap = time.Hour })
	owner := &fakeActors{submit: succeed}
	b := startNode(t, s, r, "b", owner, partitioned)
	serve(t, a, 3)
	a.Hold(3)
	r.give(3, "b")
	serve(t, b, 3)
	a.Pass(3)
	for range 50 {
		if m := request(t, connect(t, s), "bank.prt.3."+touchIn(3), ""); status(t, m) != 200 {
			t.Fatalf("%s", m.Data)
		}
	}
	if n := owner.count.Load(); n != 50 {
		t.Errorf("%d reached the owner", n)
	}
	eventually(t, "some came over the former owner", func() bool { return a.forwarded(t, "command") > 0 })
}

// sequence keeps the ids of the commands that it gets, in their order.
func sequence(ids chan<- string) *fakeActors {
	return &fakeActors{submit: func(_ context.Context, c actor.Command, reply func(actor.Result, error)) {
		ids <- c.ID
		reply(actor.Result{}, nil)
	}}
}

// publish sends numbered commands to one account, without waiting for answers.
func publish(t *testing.T, nc *nats.Conn, subject string, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		m := nats.NewMsg(subject)
		m.Header.Set("Annals-Command-Id", strconv.Itoa(i))
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func wantSequence(t *testing.T, ids <-chan string, n int) {
	t.Helper()
	for want := range n {
		if got := receive(t, ids); got != strconv.Itoa(want) {
			t.Fatalf("got %s in place of %d", got, want)
		}
	}
}

// Commands that were held reach the actors in the order in which they came, and
// before those that come later.
func TestHeldCommandsAreServedInTheirOrder(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	ids := make(chan string, 2000)
	a := startNode(t, s, r, "a", sequence(ids), partitioned)
	nc := connect(t, s)
	serve(t, a, 3)
	a.Hold(3)
	publish(t, nc, "bank.prt.3."+touchIn(3), 0, 1000)
	eventually(t, "all are parked", func() bool { return a.parked(t) == 1000 })
	done := make(chan error, 1)
	go func() { done <- a.Serve(3) }()
	publish(t, nc, "bank.prt.3."+touchIn(3), 1000, 2000)
	if err := receive(t, done); err != nil {
		t.Fatal(err)
	}
	wantSequence(t, ids, 2000)
	if n := a.metric(t, "annals_gateway_parked_seconds", ""); n < 1000 {
		t.Errorf("%v waits were measured", n)
	}
}

// So do those that are passed on.
func TestHeldCommandsArePassedOnInTheirOrder(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	ids := make(chan string, 2000)
	a := startNode(t, s, r, "a", notHere(t), partitioned)
	b := startNode(t, s, r, "b", sequence(ids), partitioned)
	nc := connect(t, s)
	subject := "bank.node.a." + touchIn(3) // over the former owner, then and later
	serve(t, a, 3)
	a.Hold(3)
	publish(t, nc, subject, 0, 1000)
	eventually(t, "all are parked", func() bool { return a.parked(t) == 1000 })
	r.give(3, "b") // which holds it still
	b.Hold(3)
	a.Pass(3)
	publish(t, nc, subject, 1000, 2000)
	eventually(t, "all are parked there", func() bool { return b.parked(t) == 2000 })
	serve(t, b, 3)
	wantSequence(t, ids, 2000)
}

// What actors give back while a partition is held keeps its place before what
// came later.
func TestWhatIsGivenBackKeepsItsOrder(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	const n = 200
	replies := make(chan func(actor.Result, error), n)
	a := startNode(t, s, r, "a", &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { replies <- reply }}, partitioned)
	ids := make(chan string, 2*n)
	b := startNode(t, s, r, "b", sequence(ids), partitioned)
	nc := connect(t, s)
	subject := "bank.prt.3." + touchIn(3)
	serve(t, a, 3)
	publish(t, nc, subject, 0, n)
	var back []func(actor.Result, error)
	for range n {
		back = append(back, receive(t, replies))
	}
	a.Hold(3)
	publish(t, nc, subject, n, 2*n)
	eventually(t, "the later ones are parked", func() bool { return a.parked(t) == n })
	slices.Reverse(back)
	for _, reply := range back {
		reply(actor.Result{}, actor.ErrMoved)
	}
	r.give(3, "b")
	serve(t, b, 3)
	a.Pass(3)
	wantSequence(t, ids, 2*n)
}

func TestParkedCommandsAreAnsweredAtTheirDeadline(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("")
	a := startNode(t, s, r, "a", notHere(t), partitioned)
	nc := connect(t, s)
	began := time.Now()
	late := ask(t, nc, "bank."+touchIn(5), "Annals-Deadline", "1m")
	for _, path := range []string{touchIn(3), "get.account." + idIn(3, 0)} {
		m := request(t, nc, "bank.node.a.prt.3."+path, "", "Annals-Deadline", "150ms")
		e := errorOf(t, m)
		if e.Code != gateway.CodeUnavailable || e.Status != 503 || !e.Retryable || !strings.Contains(e.Description, "no node serves partition 3") {
			t.Errorf("%s: %+v", path, e)
		}
	}
	if waited := time.Since(began); waited < 300*time.Millisecond {
		t.Errorf("they waited %v, want 150 ms each", waited)
	}
	if n := a.parked(t); n != 1 {
		t.Errorf("%v are parked, want 1", n)
	}
	if err := a.stop(); err != nil { // nobody can take it: it is told so
		t.Error(err)
	}
	if e := errorOf(t, receive(t, late)); e.Code != gateway.CodeUnavailable || !strings.Contains(e.Description, "partition 5") {
		t.Errorf("at the end: %+v", e)
	}
	if n := a.parked(t); n != 0 {
		t.Errorf("%v are parked at the end", n)
	}
}

// Parked commands hold their places: the house is full with them.
func TestParkedCommandsAreBounded(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("")
	a := startNode(t, s, r, "a", &fakeActors{submit: succeed}, partitioned, func(c *gateway.Config) { c.MaxInFlight = 2 })
	nc := connect(t, s)
	first, second := ask(t, nc, "bank."+touchIn(1)), ask(t, nc, "bank."+touchIn(2))
	eventually(t, "two are parked", func() bool { return a.parked(t) == 2 })
	if e := errorOf(t, request(t, nc, "bank."+touchIn(3), "")); e.Code != gateway.CodeBusy {
		t.Errorf("%+v", e)
	}
	serve(t, a, 1)
	serve(t, a, 2)
	for _, m := range []<-chan *nats.Msg{first, second} {
		if m := receive(t, m); status(t, m) != 200 {
			t.Errorf("%s", m.Data)
		}
	}
	eventually(t, "places are free", func() bool { return a.metric(t, "annals_gateway_in_flight", "") == 0 })
}

// Until it is served, a partition of this node's is not another's either.
func TestAPartitionIsWaitedForUntilItIsServed(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	a := startNode(t, s, r, "a", &fakeActors{submit: succeed}, partitioned)
	answer := ask(t, connect(t, s), "bank."+touchIn(3))
	eventually(t, "it is parked", func() bool { return a.parked(t) == 1 })
	serve(t, a, 3)
	if m := receive(t, answer); status(t, m) != 200 {
		t.Errorf("%s", m.Data)
	}
}

func TestPartitionsAreServedWhileTheGatewayRuns(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	a := startNode(t, s, r, "a", &fakeActors{submit: succeed}, partitioned)
	serve(t, a, 3)
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	if !nobody(connect(t, s), "bank.prt.3."+touchIn(3)) {
		t.Error("it still listens")
	}
	if err := a.Serve(4); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Serve after the end: %v", err)
	}
	whole := startNode(t, s, r, "whole", &fakeActors{submit: succeed})
	if err := whole.Serve(3); err == nil {
		t.Error("a gateway that takes all partitions served one")
	}
	whole.Hold(3) // and is told nothing
	whole.Pass(3)
}

func TestRoutingConfigIsChecked(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t))
	r := newRoster("a")
	for what, config := range map[string]gateway.Config{
		"placement without partitions":    {Placement: r.seenBy("a")},
		"partitioned without a placement": {Partitioned: true, Partitions: 8},
		"too many partitions":             {Partitions: gateway.MaxPartitions + 1},
		"negative partitions":             {Partitions: -1},
		"negative overlap":                {Overlap: -1},
		"a node with a dot":               {Node: "a.b"},
		"a node that is a wildcard":       {Node: "*"},
		"a node with a long name":         {Node: strings.Repeat("n", 65)},
	} {
		config.Conn, config.Namespace, config.Actors = nc, namespace, &fakeActors{}
		if _, err := gateway.New(config); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// What is parked is served in the end, in whichever turns its partition is
// held, passed on and served again.
func TestHoldAndServeInTurns(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	owner := &fakeActors{submit: succeed}
	a := startNode(t, s, r, "a", owner, partitioned, func(c *gateway.Config) { c.Overlap = time.Millisecond })
	nc := connect(t, s)
	for i := range 30 {
		serve(t, a, 3)
		a.Hold(3)
		answer := ask(t, nc, fmt.Sprintf("bank.cmd.account.%s.touch", idIn(3, i)))
		eventually(t, "it is parked", func() bool { return a.parked(t) == 1 })
		if i%2 == 0 { // it goes, and comes back before anybody else had it
			r.give(3, "")
			a.Pass(3)
			r.give(3, "a")
		}
		serve(t, a, 3)
		if m := receive(t, answer); status(t, m) != 200 {
			t.Fatalf("%s", m.Data)
		}
	}
	if n := owner.count.Load(); n != 30 {
		t.Errorf("%d were carried out", n)
	}
}
