package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func itoa(n int) string { return strconv.Itoa(n) }

// touchIn is the path of a command to an account in a partition.
func touchIn(partition int) string { return "cmd.account." + idIn(partition, 0) + ".touch" }

// notHere fails the test if it gets a command.
func notHere(t *testing.T) *fakeActors {
	return &fakeActors{submit: func(_ context.Context, c actor.Command, reply func(actor.Result, error)) {
		t.Errorf("%v was submitted on the wrong node", c.Stream)
		reply(actor.Result{}, nil)
	}}
}

// remembering keeps the commands that it gets.
func remembering(commands chan<- actor.Command) *fakeActors {
	return &fakeActors{submit: func(_ context.Context, c actor.Command, reply func(actor.Result, error)) {
		commands <- c
		reply(actor.Result{Version: 1}, nil)
	}}
}

// errorOf is the error that an answer tells.
func errorOf(t *testing.T, m *nats.Msg) gateway.Error {
	t.Helper()
	var e gateway.Error
	if err := json.Unmarshal(m.Data, &e); err != nil {
		t.Fatalf("%v: %s", err, m.Data)
	}
	return e
}

// What is passed on reaches the owner as if it had come directly, and the
// answer reaches whoever asked, who needs no more than a request.
func TestACommandIsPassedOnToItsOwner(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	commands := make(chan actor.Command, 1)
	a := startNode(t, s, r, "a", notHere(t))
	startNode(t, s, r, "b", remembering(commands))
	nc := connect(t, s)
	headers := []string{
		"annals-command-id", "c-1", "Annals-Expected-Version", "7", "Annals-On-Conflict", "retry", "Annals-Correlation-Id", "x",
		"Annals-Causation-Id", "y", "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"annals-deadline", "1m", "Nats-Msg-Id", "z", "X-Foreign", "w", "Annals-Corrects", "account/other/3",
	}
	body := `{"owner":"Ann"}`
	m := request(t, nc, "bank.node.b.prt.3.cmd.account.a.open", body, headers...)
	if got := status(t, m); got != 200 {
		t.Fatalf("directly: %d %s", got, m.Data)
	}
	direct := receive(t, commands)
	m = request(t, nc, "bank.node.a.prt.3.cmd.account.a.open", body, headers...)
	if got := status(t, m); got != 200 || !strings.Contains(string(m.Data), `"version":1`) {
		t.Fatalf("passed on: %d %s", got, m.Data)
	}
	passed := receive(t, commands)
	if passed.Codec != direct.Codec {
		t.Errorf("codec %v, directly %v", passed.Codec, direct.Codec)
	}
	direct.Codec, passed.Codec = nil, nil
	if diff := cmp.Diff(direct, passed, cmpopts.IgnoreUnexported(actor.Command{})); diff != "" {
		t.Errorf("command (-direct +passed on):\n%s", diff)
	}
	eventually(t, "one is counted", func() bool { return a.forwarded(t, "command") == 1 })
}

func TestTheStockSubjectReachesTheOwnerOverAnyGateway(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	a := startNode(t, s, r, "a", notHere(t))
	owner := &fakeActors{submit: succeed}
	startNode(t, s, r, "b", owner)
	nc := connect(t, s)
	for p := range 200 {
		if m := request(t, nc, "bank."+touchIn(p%partitions), ""); status(t, m) != 200 {
			t.Fatalf("%s", m.Data)
		}
	}
	eventually(t, "some were passed on", func() bool { return a.forwarded(t, "command") > 0 })
	if n := owner.count.Load(); n != 200 {
		t.Errorf("%d commands reached the owner", n)
	}
}

// The time that a request waited anywhere is not given to it again.
func TestTheDeadlineIsOneForTheWholeWay(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("")
	left := make(chan time.Duration, 1)
	a := startNode(t, s, r, "a", notHere(t))
	startNode(t, s, r, "b", &fakeActors{submit: func(ctx context.Context, _ actor.Command, reply func(actor.Result, error)) {
		at, _ := ctx.Deadline()
		left <- time.Until(at)
		reply(actor.Result{}, nil)
	}})
	done := ask(t, connect(t, s), "bank.node.a."+touchIn(3), "Annals-Deadline", "1m")
	began := time.Now()
	eventually(t, "it is parked for a while", func() bool { return a.parked(t) == 1 && time.Since(began) > 200*time.Millisecond })
	r.give(3, "b")
	if got := receive(t, left); got > soon-150*time.Millisecond || got <= 0 {
		t.Errorf("%v left of %v", got, soon)
	}
	if m := receive(t, done); status(t, m) != 200 {
		t.Errorf("%s", m.Data)
	}
}

// ask requests in the background.
func ask(t *testing.T, nc *nats.Conn, subject string, headers ...string) <-chan *nats.Msg {
	answers := make(chan *nats.Msg, 1)
	go func() {
		m := nats.NewMsg(subject)
		for i := 0; i < len(headers); i += 2 {
			m.Header.Set(headers[i], headers[i+1])
		}
		answer, err := nc.RequestMsg(m, soon)
		if err != nil {
			t.Errorf("request %s: %v", subject, err)
			answer = &nats.Msg{}
		}
		answers <- answer
	}()
	return answers
}

// Two nodes that each take the other for the owner do not play ball for ever.
func TestARequestIsPassedOnAFewTimesOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := startNode(t, s, newRoster("b"), "a", notHere(t))
	b := startNode(t, s, newRoster("a"), "b", notHere(t))
	for _, path := range []string{touchIn(3), "get.account.a"} {
		e := errorOf(t, request(t, connect(t, s), "bank.node.a.prt.3."+path, ""))
		if e.Code != gateway.CodeUnavailable || !e.Retryable || !strings.Contains(e.Description, "passed on 4 times") {
			t.Errorf("%s: %+v", path, e)
		}
	}
	eventually(t, "four passes each are counted", func() bool {
		return a.forwarded(t, "command")+b.forwarded(t, "command") == 4 && a.forwarded(t, "get")+b.forwarded(t, "get") == 4
	})
}

// A server says at once that a node is gone. The command waits for it or for
// an heir, and is carried out once.
func TestACommandForANodeThatIsGoneWaitsForAnother(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("gone")
	a := startNode(t, s, r, "a", notHere(t))
	nc := connect(t, s)
	givenTime(t, "a command that nobody takes", func(most time.Duration) error {
		e := errorOf(t, request(t, nc, "bank."+touchIn(3), "", "Annals-Deadline", most.String()))
		if e.Code != gateway.CodeUnavailable || !strings.Contains(e.Description, "partition 3 is served by node gone, which does not respond") {
			return fmt.Errorf("%+v", e)
		}
		return nil
	})
	var answers []<-chan *nats.Msg
	for i := range 100 {
		answers = append(answers, ask(t, nc, "bank."+touchIn(i%partitions)))
	}
	eventually(t, "all are parked", func() bool { return a.parked(t) > 90 })
	owner := &fakeActors{submit: succeed}
	startNode(t, s, r, "gone", owner) // it comes back, and nobody says so
	for _, m := range answers {
		if m := receive(t, m); status(t, m) != 200 {
			t.Errorf("%s", m.Data)
		}
	}
	if n := owner.count.Load(); n != 100 {
		t.Errorf("%d were carried out", n)
	}
	eventually(t, "nothing is left behind", func() bool { return a.parked(t) == 0 && a.metric(t, "annals_gateway_in_flight", "") == 0 })
}

// A client that counts partitions wrongly pays a hop, and nothing else.
func TestAWrongPartitionIsNoError(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	owner := &fakeActors{submit: succeed}
	a := startNode(t, s, r, "a", notHere(t), partitioned)
	startNode(t, s, r, "b", owner)
	if err := a.Serve(5); err != nil {
		t.Fatal(err)
	}
	for _, number := range []string{"0", "5", "007", "4711", "999999999"} {
		if m := request(t, connect(t, s), "bank.node.a.prt."+number+"."+touchIn(3), ""); status(t, m) != 200 {
			t.Errorf("%s: %s", number, m.Data)
		}
	}
	if n := owner.count.Load(); n != 5 {
		t.Errorf("%d reached the owner", n)
	}
}

func TestSubjectsOfPartitionsAndNodesAreCheckedToo(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	startNode(t, s, newRoster("a"), "a", &fakeActors{submit: succeed})
	nc := connect(t, s)
	for subject, want := range map[string]int{
		"bank.prt.3.cmd.account.a.touch":              200,
		"bank.prt.3":                                  400,
		"bank.prt.x.cmd.account.a.touch":              400,
		"bank.prt.-1.cmd.account.a.touch":             400,
		"bank.prt.1234567890.cmd.account.a.touch":     400,
		"bank.prt.3.cmd.account.a":                    400,
		"bank.prt.3.cmd.account.a.touch.b":            400,
		"bank.prt.3.cmd.Account.a.touch":              400,
		"bank.prt.3.cmd.nothing.a.touch":              404,
		"bank.prt.3.cmd.account.a.nothing":            404,
		"bank.prt.3.qry.account.a.touch":              400,
		"bank.prt.3.get.account.a":                    404, // no such instance
		"bank.prt.3.get.account":                      400,
		"bank.prt.3.get.account.a.b":                  400,
		"bank.prt.3.get.nothing.a":                    404,
		"bank.node.a.prt.3.cmd.account.a.touch":       200,
		"bank.node.a.cmd.account.a.touch":             200,
		"bank.node.a.prt.x.cmd.account.a.touch":       400,
		"bank.node.a.node.a.prt.3.cmd.account.a.open": 400,
		"bank.node.a.ctl.info":                        200,
		"bank.node.a.ctl.nothing":                     400,
		"bank.node.a.qry.totals":                      400, // it has no views
		"bank.node.a.evt.x":                           400,
	} {
		if m := request(t, nc, subject, ""); status(t, m) != want {
			t.Errorf("%s: %d, want %d: %s", subject, status(t, m), want, m.Data)
		}
	}
	for _, h := range []string{"Annals-Hops", "Annals-Reply", "Annals-Consistency"} {
		if m := request(t, nc, "bank.prt.3.cmd.account.a.touch", "", h, "1"); status(t, m) != 400 {
			t.Errorf("%s from a client: %d", h, status(t, m))
		}
	}
	if m := request(t, nc, "bank.node.a.prt.3.cmd.account.a.touch", "", "Annals-Hops", "x"); status(t, m) != 400 {
		t.Errorf("hops that are no number: %d", status(t, m))
	}
}

// The reply subject in the header of a request that was passed on is the one
// that counts, and must be as harmless as any.
func TestThePassedOnReplySubjectIsChecked(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	owner := &fakeActors{submit: succeed}
	startNode(t, s, newRoster("a"), "a", owner)
	nc := connect(t, s)
	watch, err := nc.SubscribeSync("bank.>")
	if err != nil {
		t.Fatal(err)
	}
	pass := func(reply string) {
		m := nats.NewMsg("bank.node.a.prt.3.cmd.account.a.touch")
		m.Header.Set("Annals-Hops", "1")
		m.Header.Set("Annals-Reply", reply)
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, reply := range []string{"bank.evt.1.account.a", "other.prt.3.cmd.account.a.open", "other.node.b.ctl.info", "$JS.API.INFO", strings.Repeat("x", 1025)} {
		pass(reply)
	}
	inbox, err := nc.SubscribeSync("safe.>")
	if err != nil {
		t.Fatal(err)
	}
	pass("safe.and.sound")
	if _, err := inbox.NextMsg(soon); err != nil {
		t.Fatal(err)
	}
	if n := owner.count.Load(); n != 1 {
		t.Errorf("%d commands were carried out", n)
	}
	for range 6 { // the commands themselves
		if m, err := watch.NextMsg(soon); err != nil || !strings.HasPrefix(m.Subject, "bank.node.a.") {
			t.Errorf("%v, %v", m, err)
		}
	}
	if n, _, _ := watch.Pending(); n != 0 {
		t.Errorf("%d answers went where they must not", n)
	}
}

// A command without a reply subject is carried out wherever its owner is.
func TestACommandWithoutAReplyIsPassedOn(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("b")
	commands := make(chan actor.Command, 1)
	a := startNode(t, s, r, "a", notHere(t))
	startNode(t, s, r, "b", remembering(commands))
	m := nats.NewMsg("bank.node.a." + touchIn(3))
	m.Header.Set(gateway.HeaderCommandID, "c1")
	if err := connect(t, s).PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	receive(t, commands)
	eventually(t, "it is counted", func() bool { return a.forwarded(t, "command") == 1 })
}

// What actors give back goes on its way again: a partition may move while a
// command is on its way to the actor.
func TestWhatTheActorsGiveBackIsRoutedAgain(t *testing.T) {
	t.Parallel()
	s, r := startServer(t), newRoster("a")
	var gave *node
	actors := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
		reply(actor.Result{}, actor.ErrMoved)
	}}
	gave = startNode(t, s, r, "a", actors, partitioned)
	commands := make(chan actor.Command, 1)
	startNode(t, s, r, "b", remembering(commands))
	if err := gave.Serve(3); err != nil {
		t.Fatal(err)
	}
	body := `{"owner":"Ann"}`
	nc := connect(t, s)
	answers := make(chan *nats.Msg, 1)
	go func() {
		m, err := nc.Request("bank.node.a.cmd.account."+idIn(3, 0)+".open", []byte(body), soon)
		if err != nil {
			t.Error(err)
		}
		answers <- m
	}()
	eventually(t, "it came back twice", func() bool { return gave.metric(t, "annals_gateway_moved_total", "") > 1 })
	r.give(3, "b")
	gave.Pass(3)
	if m := receive(t, answers); status(t, m) != 200 {
		t.Errorf("%s", m.Data)
	}
	if c := receive(t, commands); string(c.Body) != body {
		t.Errorf("body %q", c.Body)
	}
	eventually(t, "all places are free", func() bool { return gave.metric(t, "annals_gateway_in_flight", "") == 0 })
}

// An unknown outcome is never tried elsewhere, whatever its reason.
func TestAnUnknownOutcomeIsNotRoutedAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := startNode(t, s, newRoster("a"), "a", &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
		reply(actor.Result{}, errors.Join(&store.UnknownError{Reason: errors.New("lease lapsed")}, actor.ErrMoved))
	}}, partitioned)
	if err := a.Serve(3); err != nil {
		t.Fatal(err)
	}
	if e := errorOf(t, request(t, connect(t, s), "bank."+touchIn(3), "")); e.Code != gateway.CodeUnknownOutcome {
		t.Errorf("%+v", e)
	}
}
