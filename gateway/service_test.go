package gateway_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/annals-go/annals/gateway"
)

// everybody collects the answers to a question that many answer.
func everybody(t *testing.T, nc *nats.Conn, subject string, want int) [][]byte {
	t.Helper()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.PublishRequest(subject, inbox, nil); err != nil {
		t.Fatal(err)
	}
	var answers [][]byte
	for range want {
		m, err := sub.NextMsg(soon)
		if err != nil {
			t.Fatalf("%s: %d answers of %d: %v", subject, len(answers), want, err)
		}
		answers = append(answers, m.Data)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	return answers
}

func TestServicesCanBeDiscovered(t *testing.T) {
	t.Parallel()
	b := startBank(t, func(c *gateway.Config) { c.Views, c.Version, c.Node = totals(1, 0), "1.2.3", "node-1" })
	got := map[string]string{}
	for _, data := range everybody(t, b.conn, "$SRV.INFO", 3) {
		var info micro.Info
		if err := json.Unmarshal(data, &info); err != nil {
			t.Fatal(err)
		}
		if info.Version != "1.2.3" || info.Metadata["node"] != "node-1" || info.Type != micro.InfoResponseType || info.ID == "" {
			t.Errorf("%+v", info)
		}
		for _, e := range info.Endpoints {
			got[e.Subject] = info.Name + " " + e.QueueGroup
		}
		if info.Name == "annals-commands" {
			want := map[string]string{"aggregates": "account", "commands.account": "crash,deposit,open,touch,withdraw", "subject": "bank.cmd.TYPE.ID.COMMAND"}
			if diff := cmp.Diff(want, info.Endpoints[0].Metadata); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
		}
	}
	want := map[string]string{
		"bank.cmd.>": "annals-commands q", "bank.prt.>": "annals-commands owner", "bank.node.node-1.>": "annals-control q", "bank.qry.>": "annals-query q", "bank.ctl.info": "annals-control q",
		"bank.ctl.aggregate.changes": "annals-control q", "bank.ctl.aggregate.diff": "annals-control q", "bank.ctl.aggregate.get": "annals-control q", "bank.ctl.aggregate.history": "annals-control q", "bank.ctl.projection.ls": "annals-control q", "bank.ctl.wait": "annals-control q",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	var ping micro.Ping
	if err := json.Unmarshal(everybody(t, b.conn, "$SRV.PING.annals-commands", 1)[0], &ping); err != nil {
		t.Fatal(err)
	}
	everybody(t, b.conn, "$SRV.PING.annals-commands."+ping.ID, 1)
}

// Statistics count what was answered, also after the handler had returned.
func TestStatisticsCountAnswers(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	for range 2 {
		request(t, b.conn, "bank.cmd.account.a.open", `{"owner":"Ann"}`)
	}
	request(t, b.conn, "bank.cmd.account.a.nothing", ``)
	var stats micro.Stats
	eventually(t, "three answers are counted", func() bool {
		if err := json.Unmarshal(everybody(t, b.conn, "$SRV.STATS.annals-commands", 1)[0], &stats); err != nil {
			t.Fatal(err)
		}
		return stats.Endpoints[0].NumRequests == 3
	})
	e := stats.Endpoints[0]
	if e.NumErrors != 2 || e.LastError != "404:UNKNOWN_TYPE" || e.AverageProcessingTime <= 0 || time.Since(stats.Started) > time.Hour {
		t.Errorf("%+v", e)
	}
}

// Two nodes share the requests of a namespace.
func TestNodesShareTheQueue(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := &fakeActors{submit: succeed}, &fakeActors{submit: succeed}
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: a})
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: b})
	nc := connect(t, s)
	for range 200 {
		request(t, nc, "bank.cmd.account.a.touch", "")
	}
	if a.count.Load() == 0 || b.count.Load() == 0 || a.count.Load()+b.count.Load() != 200 {
		t.Errorf("%d and %d", a.count.Load(), b.count.Load())
	}
}
