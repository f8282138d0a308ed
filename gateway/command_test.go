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

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/cluster"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func TestACommandIsAnsweredInTheDocumentedForm(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	first := request(t, b.conn, "bank.cmd.account.a-1.open", `{"owner":"Ann"}`, "Annals-Command-Id", "c-1")
	want := `{"type":"io.annals.api.v1.command_response","aggregate":"account","id":"a-1","version":1,"position":1024,"events":["opened"],"duplicate":false}`
	if diff := cmp.Diff(want, string(first.Data)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if got := first.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	again := request(t, b.conn, "bank.cmd.account.a-1.open", `{"owner":"Ann"}`, "Annals-Command-Id", "c-1")
	if diff := cmp.Diff(strings.Replace(want, "false", "true", 1), string(again.Data)); diff != "" {
		t.Errorf("repeated answer (-want +got):\n%s", diff)
	}
	nothing := request(t, b.conn, "bank.cmd.account.a-1.touch", "")
	if want := `"version":1,"position":1024,"events":[],"duplicate":false}`; !strings.HasSuffix(string(nothing.Data), want) {
		t.Errorf("answer to a command that decides nothing: %s", nothing.Data)
	}
}

// A stranger's error must be told three ways: the headers that service clients
// know, the header with the stable code, and the body.
func TestAnErrorIsAnsweredInTheDocumentedForm(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	request(t, b.conn, "bank.cmd.account.a-1.open", `{"owner":"Ann"}`)
	m := request(t, b.conn, "bank.cmd.account.a-1.open", `{"owner":"Ann"}`)
	want := map[string]string{
		"Nats-Service-Error":      "account is open  already",
		"Nats-Service-Error-Code": "422",
		"Annals-Error":            "REJECTED",
		"Content-Type":            "application/json",
	}
	got := map[string]string{}
	for name := range m.Header {
		got[name] = m.Header.Get(name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	body := `{"type":"io.annals.api.v1.error","code":422,"err_code":"REJECTED","description":"account is open  already","retryable":false}`
	if diff := cmp.Diff(body, string(m.Data)); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	m = request(t, b.conn, "bank.cmd.account.a-1.deposit", `{"cents":1}`, "Annals-Expected-Version", "7")
	body = `{"type":"io.annals.api.v1.error","code":409,"err_code":"CONFLICT","description":"conflict: account/a-1 is at version 1, expected 7","retryable":false,"details":{"actual_version":1,"expected_version":7}}`
	if diff := cmp.Diff(body, string(m.Data)); diff != "" {
		t.Errorf("body of a conflict (-want +got):\n%s", diff)
	}
}

func TestOutcomesOfCommands(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	for _, c := range []struct {
		what, subject, body string
		headers             []string
		want                int
	}{
		{"open", "bank.cmd.account.a.open", `{"owner":"Ann"}`, []string{"Annals-Command-Id", "1"}, 200},
		{"the same id, another body", "bank.cmd.account.a.open", `{"owner":"Bob"}`, []string{"Annals-Command-Id", "1"}, 409},
		{"the domain says no", "bank.cmd.account.a.withdraw", `{"cents":1}`, nil, 422},
		{"before the first event", "bank.cmd.account.other.deposit", `{"cents":1}`, nil, 422},
		{"wrong expected version", "bank.cmd.account.a.deposit", `{"cents":5}`, []string{"Annals-Expected-Version", "0"}, 409},
		{"wrong, but decide again", "bank.cmd.account.a.deposit", `{"cents":5}`, []string{"Annals-Expected-Version", "0", "Annals-On-Conflict", "retry"}, 200},
		{"right expected version", "bank.cmd.account.a.deposit", `{"cents":5}`, []string{"Annals-Expected-Version", "2"}, 200},
		{"unknown command", "bank.cmd.account.a.no-such", `{}`, nil, 404},
		{"unknown aggregate", "bank.cmd.robot.a.open", `{}`, nil, 404},
		{"code of the application panics", "bank.cmd.account.a.crash", `{}`, nil, 500},
		{"deadline in the past", "bank.cmd.account.a.touch", `{}`, []string{"Annals-Deadline", "2001-01-01T00:00:00Z"}, 504},
		{"no time at all", "bank.cmd.account.a.touch", `{}`, []string{"Annals-Deadline", "0s"}, 504},
		{"negative time", "bank.cmd.account.a.touch", `{}`, []string{"Annals-Deadline", "-5s"}, 504},
		{"deadline in the year 9999", "bank.cmd.account.a.touch", `{}`, []string{"Annals-Deadline", "9999-12-31T23:59:59Z"}, 200},
		{"a duration", "bank.cmd.account.a.touch", `{}`, []string{"Annals-Deadline", "5s"}, 200},
		{"names in lower case", "bank.cmd.account.a.touch", `{}`, []string{"annals-expected-version", "9"}, 409},
		{"content type with parameters", "bank.cmd.account.a.touch", `{}`, []string{"Content-Type", "application/json; charset=utf-8"}, 200},
		{"no body, no content type", "bank.cmd.account.a.touch", ``, nil, 200},
		{"blanks before the body", "bank.cmd.account.a.deposit", " \n\t{\"cents\":1}", nil, 200},
	} {
		m := request(t, b.conn, c.subject, c.body, c.headers...)
		if got := status(t, m); got != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, got, c.want, m.Data)
		}
	}
	if log := b.logged.String(); !strings.Contains(log, "request failed") {
		t.Errorf("the panic was not logged by the gateway: %s", log)
	}
}

func TestInternalErrorsKeepTheirTextToTheNode(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	m := request(t, b.conn, "bank.cmd.account.a.crash", `{}`)
	if got := status(t, m); got != 500 || strings.Contains(string(m.Data), "secret") {
		t.Errorf("%d: %s", got, m.Data)
	}
}

func TestAnswersComeInTheAskersContentType(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	body, err := store.MsgPack.Marshal(open{Owner: "Ann"})
	if err != nil {
		t.Fatal(err)
	}
	for what, headers := range map[string][]string{
		"named":          {"Content-Type", "application/msgpack"},
		"named IANA's":   {"Content-Type", "application/vnd.msgpack"},
		"by first byte":  nil,
		"named by proxy": {"content-type", "application/msgpack"},
	} {
		id, err := store.EncodeToken(what)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{200, 422} {
			m := request(t, b.conn, "bank.cmd.account."+id+".open", string(body), headers...)
			var answer map[string]any
			if got := m.Header.Get("Content-Type"); got != "application/msgpack" || status(t, m) != want {
				t.Fatalf("%s: %d in %q, want %d", what, status(t, m), got, want)
			}
			if err := store.MsgPack.Unmarshal(m.Data, &answer, false); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if answer["type"] == "" || want == 422 && answer["err_code"] != "REJECTED" {
				t.Errorf("%s: %v", what, answer)
			}
		}
	}
}

func TestMetadataReachTheLogAndNatsHeadersDoNot(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	m := request(t, b.conn, "bank.cmd.account.a.open", `{"owner":"Ann"}`,
		"Annals-Command-Id", "c-1", "Annals-Correlation-Id", "order 7", "Annals-Causation-Id", "mail", "traceparent", trace,
		"Annals-Corrects", "account/other/007", "Nats-Rollup", "all", "Nats-TTL", "1s", "Nats-Expected-Last-Sequence", "99", "Nats-Msg-Id", "x", "X-Anything", "y")
	if status(t, m) != 200 {
		t.Fatalf("%s", m.Data)
	}
	for e, err := range b.system.History(t.Context(), store.StreamID{Type: "account", ID: "a"}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		c := e.Command
		c.BodyHash = 0
		want := store.Command{ID: "c-1", Name: "open", CorrelationID: "order 7", CausationID: "mail", Traceparent: trace, Corrects: "account/other/7"}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("stored command (-want +got):\n%s", diff)
		}
	}
}

func TestACommandWithoutReplySubjectIsCarriedOut(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	if err := b.conn.Publish("bank.cmd.account.a.open", []byte(`{"owner":"Ann"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the account is open", func() bool {
		_, err := b.system.State(t.Context(), store.StreamID{Type: "account", ID: "a"}, actor.At{})
		return err == nil
	})
}

func TestMoreInFlightThanAllowedIsBusyAtOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	replies := make(chan func(actor.Result, error), 4)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { replies <- reply }}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, MaxInFlight: 2})
	nc := connect(t, s)
	answers := make(chan *nats.Msg, 2)
	for range 2 {
		go func() {
			m, err := nc.Request("bank.cmd.account.a.touch", nil, soon)
			if err != nil {
				t.Error(err)
			}
			answers <- m
		}()
	}
	held := []func(actor.Result, error){receive(t, replies), receive(t, replies)}
	if got := status(t, request(t, nc, "bank.cmd.account.a.touch", "")); got != 429 {
		t.Errorf("third command: %d, want 429", got)
	}
	for _, reply := range held {
		reply(actor.Result{}, nil)
		if got := status(t, receive(t, answers)); got != 200 {
			t.Errorf("a command in flight: %d", got)
		}
	}
	go func() { (<-replies)(actor.Result{}, nil) }()
	if got := status(t, request(t, nc, "bank.cmd.account.a.touch", "")); got != 200 {
		t.Errorf("after the queue emptied: %d", got)
	}
}

func TestMoreBytesInFlightThanAllowedAreBusy(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	replies := make(chan func(actor.Result, error), 4)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { replies <- reply }}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, MaxCommandBytes: 1000, MaxInFlightBytes: 1500})
	nc := connect(t, s)
	body := `{"owner":"` + strings.Repeat("x", 900) + `"}`
	if err := nc.Publish("bank.cmd.account.a.open", []byte(body)); err != nil {
		t.Fatal(err)
	}
	held := receive(t, replies)
	if got := status(t, request(t, nc, "bank.cmd.account.b.open", body)); got != 429 {
		t.Errorf("second command: %d, want 429", got)
	}
	held(actor.Result{}, nil)
	go func() { (<-replies)(actor.Result{}, nil) }()
	if got := status(t, request(t, nc, "bank.cmd.account.b.open", body)); got != 200 {
		t.Errorf("after the first was answered: %d", got)
	}
}

// elsewhere owns nothing here.
type elsewhere struct{ node string }

func (e elsewhere) Owner(int) (string, bool)     { return e.node, false }
func (e elsewhere) Runner(string) (string, bool) { return e.node, false }
func (e elsewhere) Changed() <-chan struct{}     { return nil }

func TestACommandForAnotherNodeIsUnavailableHere(t *testing.T) {
	t.Parallel()
	for _, p := range []cluster.Placement{elsewhere{"b"}, elsewhere{""}} {
		f := &fakeActors{}
		s := startServer(t)
		startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, Placement: p, Partitions: 4, Timeout: 100 * time.Millisecond})
		m := request(t, connect(t, s), "bank.cmd.account.a.touch", "")
		var e gateway.Error
		if err := json.Unmarshal(m.Data, &e); err != nil {
			t.Fatal(err)
		}
		if e.Code != gateway.CodeUnavailable || !e.Retryable || f.count.Load() != 0 {
			t.Errorf("%+v, %d submitted", e, f.count.Load())
		}
	}
}

func TestTheDeadlineThatReachesTheActorIsBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	deadlines := make(chan time.Duration, 1)
	f := &fakeActors{submit: func(ctx context.Context, _ actor.Command, reply func(actor.Result, error)) {
		at, _ := ctx.Deadline()
		deadlines <- time.Until(at)
		reply(actor.Result{}, nil)
	}}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, Timeout: 30 * time.Minute, MaxTimeout: time.Hour})
	nc := connect(t, s)
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"", 30 * time.Minute},
		{"40m", 40 * time.Minute},
		{"3h", time.Hour},
		{time.Now().Add(50 * time.Minute).Format(time.RFC3339Nano), 50 * time.Minute},
		{"9999-12-31T23:59:59Z", time.Hour},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{"Annals-Deadline", c.header}
		}
		request(t, nc, "bank.cmd.account.a.touch", "", headers...)
		if got := receive(t, deadlines); got > c.want || got < c.want-9*time.Minute {
			t.Errorf("%q: %v, want about %v", c.header, got, c.want)
		}
	}
}

// What the log holds and this build does not know is the node's trouble, and
// not an unknown command of the asker's.
func TestAnUnknownStoredEventIsInternal(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
		reply(actor.Result{}, fmt.Errorf("activate: %w", &store.UnknownTypeError{What: "event", Name: "renamed", Schema: 1}))
	}}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f})
	if got := status(t, request(t, connect(t, s), "bank.cmd.account.a.touch", "")); got != 500 {
		t.Errorf("%d, want 500", got)
	}
}

func TestAnAnswerThatIsTooLargeIsAnError(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) {
		reply(actor.Result{Version: 1, Events: strings.Split(strings.Repeat("moved,", 2000), ",")}, nil)
	}}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, MaxReplyBytes: 4 << 10})
	if got := status(t, request(t, connect(t, s), "bank.cmd.account.a.touch", "")); got != 413 {
		t.Errorf("%d, want 413", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := gateway.Config{Conn: connect(t, startServer(t)), Namespace: namespace, Actors: &fakeActors{}}
	if _, err := gateway.New(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*gateway.Config){
		"no connection":                   func(c *gateway.Config) { c.Conn = nil },
		"no actors":                       func(c *gateway.Config) { c.Actors = nil },
		"no namespace":                    func(c *gateway.Config) { c.Namespace = "" },
		"namespace with a dot":            func(c *gateway.Config) { c.Namespace = "a.b" },
		"placement without partitions":    func(c *gateway.Config) { c.Placement = cluster.Single("a", 4) },
		"negative timeout":                func(c *gateway.Config) { c.Timeout = -1 },
		"negative in-flight":              func(c *gateway.Config) { c.MaxInFlight = -1 },
		"payloads over what a commit has": func(c *gateway.Config) { c.MaxCommandBytes = 1 << 20 },
		"bytes in flight below one":       func(c *gateway.Config) { c.MaxInFlightBytes = 10 },
		"answers without room for errors": func(c *gateway.Config) { c.MaxReplyBytes = 10 },
	} {
		config := good
		change(&config)
		if _, err := gateway.New(config); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestRunFailsWhenTheConnectionIsClosed(t *testing.T) {
	t.Parallel()
	nc := connect(t, startServer(t))
	g, err := gateway.New(gateway.Config{Conn: nc, Namespace: namespace, Actors: &fakeActors{}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(context.Background()) }()
	receive(t, g.Ready())
	nc.Close()
	if err := receive(t, done); err == nil {
		t.Error("no error")
	}
	if err := g.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("second Run: %v", err)
	}
}
