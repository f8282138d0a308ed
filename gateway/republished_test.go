package gateway_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// Whoever may make a stream can have the server publish under any subject. Nobody is asked anything so: no
// command, query or operation under another's name, and nothing that only nodes may ask of each other.
func TestWhatAStreamRepublishesIsRefused(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	a := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { reply(actor.Result{}, nil) }}
	n := startNode(t, s, newRoster("n1"), "n1", a)
	nc := connect(t, s)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	heard, err := nc.SubscribeSync("bank.>")
	if err != nil {
		t.Fatal(err)
	}
	send := []struct{ what, header string }{
		{"without headers", ""},
		{"with a header", "NATS/1.0\r\nAnnals-Command-Id: c\r\n\r\n"},
		{"behind an empty line", "NATS/1.0\r\nAnnals-Command-Id: c\r\n\r\n\r\n"},
		{"behind as many short lines as may be", "NATS/1.0\n" + strings.Repeat("x:\n", 48) + "\n\r\n"},
		{"behind a status", "NATS/1.0 503 D\n" + strings.Repeat("x:\n", 46) + "\n\r\n"},
		{"behind a line without a name", "NATS/1.0\r\n:name\r\n\r\n\r\n"},
		{"in a line without a name", "NATS/1.0\r\n:\r\n"},
	}
	refused := 0.0
	for i, dest := range []string{
		"bank.cmd.account.42.open", "bank.as.petra.cmd.account.42.open", "bank.as.petra.ctl.info",
		"bank.as.petra.ctl.subject.forget", "bank.node.n1.ctl.subject.purge", "bank.node.n1.cmd.account.42.open",
	} {
		name := "S" + string(rune('a'+i))
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{"in." + name}, Storage: jetstream.MemoryStorage,
			RePublish: &jetstream.RePublish{Source: "in." + name, Destination: dest},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range send {
			raw := dialRaw(t, s)
			raw.publish(t, "in."+name, "", c.header, `{"owner":"Ann"}`)
			m := next(t, heard)
			if m.Subject != dest {
				t.Fatalf("%s %s: heard %s", dest, c.what, m.Subject)
			}
			if dest != "bank.as.petra.ctl.subject.forget" { // this gateway has no subjects, and so no such endpoint
				refused++
			}
		}
		eventually(t, "all are refused: "+dest, func() bool { return n.metric(t, "annals_gateway_republished_total", "") == refused })
	}
	if a.count.Load() != 0 {
		t.Errorf("%d commands were taken in", a.count.Load())
	}
}

// Whoever may make consumers can have the server send what is stored, and what it says itself, to any subject, and so
// can who may ask it for anything: the answer goes wherever the question says.
func TestWhatAServerSendsIsRefused(t *testing.T) {
	t.Parallel()
	s := startJetStream(t)
	a := &fakeActors{submit: func(_ context.Context, _ actor.Command, reply func(actor.Result, error)) { reply(actor.Result{}, nil) }}
	startNode(t, s, newRoster("n1"), "n1", a)
	nc := connect(t, s)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	answered, err := nc.SubscribeSync("answers.>")
	if err != nil {
		t.Fatal(err)
	}
	for i, dest := range []string{"bank.as.petra.cmd.account.42.open", "bank.as.petra.ctl.info", "bank.node.n1.ctl.info", "bank.node.n1.cmd.account.42.open"} {
		name := "P" + strconv.Itoa(i)
		heard, err := nc.SubscribeSync(dest)
		if err != nil {
			t.Fatal(err)
		}
		// What is stored has the subject that is asked for, and not that which it was sent to.
		_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{"in." + name}, Storage: jetstream.MemoryStorage,
			SubjectTransform: &jetstream.SubjectTransformConfig{Source: "in." + name, Destination: dest},
		})
		if err != nil {
			t.Fatal(err)
		}
		raw := dialRaw(t, s)
		raw.publish(t, "in."+name, "", "", `{"owner":"Ann"}`)
		raw.publish(t, "in."+name, "", "NATS/1.0\r\nAnnals-Reply: answers."+name+"\r\n\r\n", `{"owner":"Ann"}`)
		create := `{"stream_name":"` + name + `","config":{"durable_name":"c","deliver_subject":"` + dest + `","ack_policy":"none","idle_heartbeat":100000000}}`
		if m, err := nc.Request("$JS.API.CONSUMER.DURABLE.CREATE."+name+".c", []byte(create), 10*time.Second); err != nil || strings.Contains(string(m.Data), `"error"`) {
			t.Fatalf("%s: %v %s", dest, err, m.Data)
		}
		for _, want := range []string{"$JS.ACK.", "$JS.ACK.", ""} { // the two that are stored, and that there is no more
			if m := next(t, heard); !strings.HasPrefix(m.Reply, want) || want == "" && m.Header.Get("Status") != "100" {
				t.Errorf("%s: heard %+v", dest, m)
			}
		}
		for _, question := range []string{"$JS.API.INFO", "$JS.API.STREAM.INFO." + name, "$JS.API.STREAM.INFO.nowhere"} {
			if err := nc.PublishRequest(question, dest, nil); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			for m := next(t, heard); len(m.Data) == 0; m = next(t, heard) { // a beat
			}
		}
		// Who stores, and who acknowledges, is answered with nothing that shows it.
		if err := nc.PublishRequest("in."+name, dest, []byte("x")); err != nil {
			t.Fatal(err)
		}
		for m := next(t, heard); !strings.HasPrefix(string(m.Data), `{"stream":`); m = next(t, heard) {
		}
		pulled, err := js.CreateConsumer(t.Context(), name, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := pulled.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.PublishRequest(stored.Reply(), dest, []byte("+ACK")); err != nil {
			t.Fatal(err)
		}
		for m := next(t, heard); len(m.Data) > 0 || len(m.Header) > 0; m = next(t, heard) {
		}
		if err := heard.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	if m := request(t, nc, "bank.cmd.account.42.open", `{"owner":"Ann"}`); status(t, m) != 200 || a.count.Load() != 1 {
		t.Errorf("%d commands were taken in, want the last: %s", a.count.Load(), m.Data)
	}
	for range 2 {
		if m := next(t, answered); m.Header.Get(gateway.HeaderError) != string(gateway.CodeForbidden) {
			t.Errorf("answered: %v %s", m.Header, m.Data)
		}
	}
}

// A message can come under another subject than its own: it is no request of this namespace.
func TestASubjectOfSomethingElse(t *testing.T) {
	t.Parallel()
	for subject, works := range map[string]bool{
		"bank.cmd.account.42.open": true, "bank.prt.3.cmd.account.42.open": true,
		"cmd.account.42.open": false, "prt.3.cmd.account.42.open": false, "bank2.cmd.account.42.open": false, "shop.cmd.account.42.open": false,
	} {
		stream, name, err := gateway.ParseCommandSubject("bank", subject)
		if is := err == nil && stream.ID == "42" && name == "open"; is != works || !works && !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %s of %s, %v", subject, name, stream, err)
		}
	}
}

// Who passes such headers on by mistake is told, and the rest of what clients write is taken.
func TestHeadersOfAServerAreRefused(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	for _, name := range []string{"Nats-Stream", "Nats-Subject", "nats-sequence", "Nats-Last-Sequence", "NATS-TIME-STAMP", "Nats-Stream-Source", "Nats-Last-Consumer", "status"} {
		m := request(t, b.conn, "bank.cmd.account.42.open", `{"owner":"Ann"}`, name, "x")
		if m.Header.Get(gateway.HeaderError) != string(gateway.CodeForbidden) || !strings.Contains(string(m.Data), "republished") {
			t.Errorf("%s: %s", name, m.Data)
		}
	}
	many := []string{"Nats-Msg-Id", "7", "Nats-Expected-Stream", "x", "Description", "of mine"}
	for i := range 40 {
		many = append(many, "X-"+strconv.Itoa(i%20), " y ")
	}
	if m := request(t, b.conn, "bank.cmd.account.42.open", `{"owner":"Ann"}`, many...); status(t, m) != 200 {
		t.Errorf("a request with many headers: %s", m.Data)
	}
	raw := dialRaw(t, b.server)
	for i, header := range []string{"NATS/1.0\r\nX:y\r\n\r\n", "NATS/1.0\nX:y\n\n", "NATS/1.0\r\nX: \r\n\r\n", "NATS/1.0\r\n\r\n"} {
		if got, m := raw.request(t, "bank.cmd.account.r"+strconv.Itoa(i)+".open", header, `{"owner":"Ann"}`); got != 200 {
			t.Errorf("%q: %s", header, m.Data)
		}
	}
}
