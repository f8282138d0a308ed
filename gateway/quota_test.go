package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// perPrincipal gives each asker a quota.
func perPrincipal(q gateway.Quota) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Quotas.Principal = q }
}

func perNamespace(q gateway.Quota) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Quotas.Namespace = q }
}

// overQuota returns an answer's error if it is that.
func overQuota(t *testing.T, m *nats.Msg) (e gateway.Error, is bool) {
	t.Helper()
	if m.Header.Get("Annals-Error") != string(gateway.CodeOverQuota) {
		return e, false
	}
	if err := json.Unmarshal(m.Data, &e); err != nil || e.Status != 429 || !e.Retryable {
		t.Errorf("%s: %v", m.Data, err)
	}
	return e, true
}

// A burst is served, and then no more than the rate; others have their own.
func TestTheRateOfAnAsker(t *testing.T) {
	t.Parallel()
	b := startBank(t, perPrincipal(gateway.Quota{Rate: 0.01, Burst: 5}))
	for i, subject := range []string{"cmd.account.a.touch", "ctl.info", "prt.0.get.account.a", "ctl.aggregate.get", "cmd.account.a.bad"} {
		if m := request(t, b.conn, "bank.as.ann."+subject, ""); m.Header.Get("Annals-Error") == string(gateway.CodeOverQuota) {
			t.Errorf("request %d: %s", i, m.Data)
		}
	}
	for _, subject := range []string{"cmd.account.a.touch", "ctl.info", "prt.0.get.account.a"} {
		e, is := overQuota(t, request(t, b.conn, "bank.as.ann."+subject, ""))
		if !is || e.Details["limit"] != 0 || e.RetryAfter() < 90*time.Second || e.RetryAfter() > 100*time.Second || !strings.Contains(e.Description, "principal: 0.01 requests a second, again in 1m") {
			t.Errorf("%s: %+v", subject, e)
		}
	}
	for _, subject := range []string{"bank.as.bob.ctl.info", "bank.ctl.info"} {
		if m := request(t, b.conn, subject, ""); status(t, m) != 200 {
			t.Errorf("%s: %s", subject, m.Data)
		}
	}
}

// What a namespace may ask is for all of its askers together, and a request that
// it refuses is not counted on the asker's account.
func TestTheRateOfANamespace(t *testing.T) {
	t.Parallel()
	b := startBank(t, perNamespace(gateway.Quota{Rate: 0.01, Burst: 4}), perPrincipal(gateway.Quota{Rate: 0.01, Burst: 3}))
	var outcomes strings.Builder
	for _, who := range []string{"ann", "ann", "bob", "bob", "cid", "cid", "ann", "ann"} {
		m := request(t, b.conn, "bank.as."+who+".ctl.info", "")
		e, is := overQuota(t, m)
		switch {
		case !is:
			outcomes.WriteString("+")
		case strings.Contains(e.Description, "namespace"):
			outcomes.WriteString("n")
		default:
			outcomes.WriteString("p")
		}
	}
	if outcomes.String() != "++++nnnn" {
		t.Errorf("outcomes %s", outcomes.String())
	}
}

func TestTheBytesOfAnAsker(t *testing.T) {
	t.Parallel()
	b := startBank(t, perPrincipal(gateway.Quota{BytesPerSecond: 1000}))
	body := `{"owner":"Ann"` + strings.Repeat(" ", 200<<10) + `}`
	if m := request(t, b.conn, "bank.as.ann.cmd.account.a.open", body); status(t, m) != 200 {
		t.Errorf("the first: %s", m.Data)
	}
	e, is := overQuota(t, request(t, b.conn, "bank.as.ann.cmd.account.b.open", body))
	if !is || e.Details["limit"] != 1000 || e.RetryAfter() < time.Minute {
		t.Errorf("the second: %+v", e)
	}
	if m := request(t, b.conn, "bank.as.ann.cmd.account.b.open", `{"owner":"Bob"}`); status(t, m) != 200 {
		t.Errorf("a small one: %s", m.Data)
	}
}

// What is under way is counted until it is answered, whatever the answer.
func TestWhatIsUnderWayOfAnAsker(t *testing.T) {
	t.Parallel()
	replies := make(chan func(actor.Result, error), 8)
	f := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { replies <- reply }}
	s := startServer(t)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f, Quotas: gateway.Quotas{Principal: gateway.Quota{InFlight: 2}, MaxPrincipals: 1}})
	nc := connect(t, s)
	for round := range 3 {
		first, second := nc.NewInbox(), nc.NewInbox()
		sub, err := nc.SubscribeSync(first)
		if err != nil {
			t.Fatal(err)
		}
		for _, inbox := range []string{first, second} {
			if err := nc.PublishRequest("bank.as.ann.cmd.account.a.touch", inbox, nil); err != nil {
				t.Fatal(err)
			}
		}
		one, two := receive(t, replies), receive(t, replies)
		request(t, nc, "bank.as.bob.ctl.info", "") // another asker does not make ann's be forgotten
		e, is := overQuota(t, request(t, nc, "bank.as.ann.ctl.info", ""))
		if !is || e.Details["limit"] != 2 || e.RetryAfter() != 0 {
			t.Errorf("round %d: the third: %+v", round, e)
		}
		one(actor.Result{}, store.ErrUnavailable)
		two(actor.Result{Version: 1}, nil)
		next(t, sub)
		eventually(t, "the two are over", func() bool { return status(t, request(t, nc, "bank.as.ann.ctl.info", "")) == 200 })
	}
}

// New streams are counted; commands to those that are there go on.
func TestTheNewStreamsOfAnAsker(t *testing.T) {
	t.Parallel()
	b := startBank(t, perPrincipal(gateway.Quota{StreamsPerHour: 3}))
	for i := range 3 {
		if m := request(t, b.conn, fmt.Sprintf("bank.as.ann.cmd.account.a%d.open", i), `{"owner":"Ann"}`); status(t, m) != 200 {
			t.Errorf("stream %d: %s", i, m.Data)
		}
	}
	e, is := overQuota(t, request(t, b.conn, "bank.as.ann.cmd.account.a3.open", `{"owner":"Ann"}`))
	if !is || e.Details["limit"] != 3 || e.RetryAfter() < 19*time.Minute || e.RetryAfter() > 20*time.Minute {
		t.Errorf("the fourth: %+v", e)
	}
	if m := request(t, b.conn, "bank.as.ann.cmd.account.a0.deposit", `{"cents":1}`, "Annals-Expected-Version", "1"); status(t, m) != 200 {
		t.Errorf("an old one: %s", m.Data)
	}
	if m := request(t, b.conn, "bank.as.bob.cmd.account.b.open", `{"owner":"Bob"}`); status(t, m) != 200 {
		t.Errorf("another asker: %s", m.Data)
	}
}

func TestTheWatchesOfAnAsker(t *testing.T) {
	t.Parallel()
	s := newStage(t, perPrincipal(gateway.Quota{Watches: 1}))
	s.put("k", "x")
	first := s.ask(t, "bank.as.ann.watch.totals", "")
	next(t, first)
	if e := errorOf(t, next(t, s.ask(t, "bank.as.ann.watch.totals", ""))); e.Code != gateway.CodeOverQuota {
		t.Errorf("the second: %+v", e)
	}
	if m := next(t, s.ask(t, "bank.as.bob.watch.totals", "")); m.Header.Get("Annals-Error") != "" {
		t.Errorf("another asker: %s", m.Data)
	}
	control := next(t, first).Reply
	if err := connect(t, s.server).Publish(control, []byte("stop")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the place is free again", func() bool {
		return next(t, s.ask(t, "bank.as.ann.watch.totals", "")).Header.Get("Annals-Error") == ""
	})
}

// The Go client waits as long as it is told, if it has the time.
func TestAClientHeedsItsQuota(t *testing.T) {
	t.Parallel()
	b := startBank(t, perPrincipal(gateway.Quota{Rate: 4, Burst: 2}))
	client := newClient(t, b.conn, func(c *gateway.ClientConfig) { c.Principal, c.Partitions = "ann", b.log.Partitions() })
	began := time.Now()
	for range 4 {
		if _, err := client.Send(t.Context(), gateway.Request{Stream: store.StreamID{Type: "account", ID: "a"}, Name: "touch"}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("four took %v", took)
	}
	slow := startBank(t, perPrincipal(gateway.Quota{Rate: 0.001, Burst: 1}))
	client = newClient(t, slow.conn, func(c *gateway.ClientConfig) { c.Principal, c.Partitions = "ann", slow.log.Partitions() })
	touch := gateway.Request{Stream: store.StreamID{Type: "account", ID: "a"}, Name: "touch"}
	if _, err := client.Send(t.Context(), touch); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	_, err := client.Send(t.Context(), touch)
	if !errors.Is(err, gateway.ErrOverQuota) || errors.Is(err, store.ErrUnknown) || time.Since(began) > soon/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// Askers are told apart up to a bound, whoever they are.
func TestAskersAreBounded(t *testing.T) {
	t.Parallel()
	b := startBank(t, func(c *gateway.Config) {
		c.Quotas = gateway.Quotas{Principal: gateway.Quota{Rate: 0.001, Burst: 1}, MaxPrincipals: 3}
	})
	ask := func(who string) int { return status(t, request(t, b.conn, "bank.as."+who+".ctl.info", "")) }
	for _, c := range []struct {
		who  string
		want int
	}{{"a", 200}, {"a", 429}, {"b", 200}, {"c", 200}, {"a", 429}, {"d", 200}, {"a", 429}, {"b", 200}} { // b was forgotten for d
		if got := ask(c.who); got != c.want {
			t.Errorf("%s: %d, want %d", c.who, got, c.want)
		}
	}
}

func TestQuotasAreChecked(t *testing.T) {
	t.Parallel()
	for _, q := range []gateway.Quotas{{Principal: gateway.Quota{Rate: -1}}, {Namespace: gateway.Quota{InFlight: -1}}, {MaxPrincipals: -1}} {
		if _, err := gateway.New(gateway.Config{Conn: connect(t, startServer(t)), Namespace: "bank", Actors: &fakeActors{}, Quotas: q}); err == nil {
			t.Errorf("%+v was accepted", q)
		}
	}
}

// What is refused at the door is counted, too, on the account of whoever sent it.
func TestWhatIsRefusedCosts(t *testing.T) {
	t.Parallel()
	bad := &nats.Msg{Subject: "bank.as.ann.ctl.info", Header: nats.Header{"Content-Type": {"text/html"}}, Data: []byte("x")}
	b := startBank(t, perPrincipal(gateway.Quota{Rate: 0.01, Burst: 3}))
	for i := range 5 {
		m, err := b.conn.RequestMsg(bad, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := overQuota(t, m); is != (i >= 3) {
			t.Errorf("request %d: %s", i, m.Data)
		}
	}
	if m := request(t, b.conn, "bank.as.bob.ctl.info", ""); status(t, m) != 200 {
		t.Errorf("another: %s", m.Data)
	}
}

// A request that is dropped costs what one that is answered costs, and few lines of the log.
func TestWhatIsDroppedCostsAndIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var lines atomic.Int64
	counting := slog.New(counter{slog.DiscardHandler, &lines})
	b := startBank(t, perPrincipal(gateway.Quota{Rate: 0.01, Burst: 50}), func(c *gateway.Config) { c.Logger = counting })
	for range 200 {
		if err := b.conn.PublishRequest("bank.as.ann.ctl.info", "bank.evt.1.x", nil); err != nil {
			t.Fatal(err)
		}
	}
	over := false
	for range 30 { // less than the burst
		_, is := overQuota(t, request(t, b.conn, "bank.as.ann.ctl.info", ""))
		over = over || is
	}
	if !over {
		t.Error("what was dropped cost nothing")
	}
	if n := lines.Load(); n < 1 || n > 4 {
		t.Errorf("%d lines of the log for 200 requests", n)
	}
}

// counter counts lines about what is dropped.
type counter struct {
	slog.Handler
	lines *atomic.Int64
}

func (c counter) Enabled(context.Context, slog.Level) bool { return true }

func (c counter) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c counter) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "dropped") {
		c.lines.Add(1)
	}
	return nil
}
