package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// oddIDs look bad, and are ids like any other, each of its own stream.
var oddIDs = []string{
	"--help", "-0", "1e309", "a'; DROP TABLE accounts; --", "{{.X}}", "${PATH}", "<script>alert(1)</script>", "../../etc/passwd", "*", ">", "a.b", "$JS.API.STREAM.DELETE.X",
	"\U0001F600", "\u00e9", "e", "\u0430dmin", "admin", "ADMIN", "=", "==", "=2E", "%2e", "a b", "null", "undefined", strings.Repeat("x", 128), strings.Repeat("\U0001F600", 16), "CON", "con.txt",
}

// What looks like an attack and is an id is kept as it is, over NATS and over HTTP, and
// is never taken for another.
func TestOddIDsAreIDs(t *testing.T) {
	t.Parallel()
	at, _ := startNode(t, "dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: connect(t, at.NATS), Namespace: "bank", Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range oddIDs {
		result, err := client.Send(t.Context(), opening(id, fmt.Sprint("owner ", i)))
		if err != nil || result.Version != 1 {
			t.Errorf("%q: version %d, %v", id, result.Version, err)
		}
	}
	for i, id := range oddIDs {
		want := fmt.Sprintf(`{"owner":"owner %d","cents":0}`, i)
		s, err := client.State(t.Context(), account(id), actor.At{})
		if err != nil || string(s.State) != want || s.ID != id {
			t.Errorf("%q is %q %s: %v", id, s.ID, s.State, err)
		}
		answer, err := http.Get(at.HTTP + "/v1/aggregates/account/" + url.PathEscape(id))
		if err != nil {
			t.Fatal(err)
		}
		var got gateway.State
		err = json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&got)
		_ = answer.Body.Close()
		if id == ".." || err != nil || got.ID != id || string(got.State) != want {
			t.Errorf("%q over HTTP is %q %s: %d %v", id, got.ID, got.State, answer.StatusCode, err)
		}
	}
}

// Headers that are instructions to a server, or nonsense, do nothing: the command is
// carried out, nothing that was stored before goes away, and none of them is stored.
func TestForeignHeadersDoNothing(t *testing.T) {
	t.Parallel()
	at, _ := startNode(t, "dev", "--nats", "127.0.0.1:0", "--http", "127.0.0.1:0")
	nc := connect(t, at.NATS)
	enemy := dial(t, at.NATS)
	var all []string
	for range 60 { // a server keeps 50 batches that nobody finishes
		all = append(all, "Nats-Batch-Id: "+nats.NewInbox()+"\r\nNats-Batch-Sequence: 1\r\n")
	}
	all = append(all,
		"Nats-Rollup: all\r\n", "Nats-Rollup: sub\r\n", "Nats-Expected-Stream: X\r\n", "Nats-Expected-Last-Sequence: 0\r\n", "Nats-Expected-Last-Subject-Sequence: 7\r\n",
		"Nats-Expected-Last-Msg-Id: x\r\n", "Nats-Msg-Id: same\r\n", "Nats-Msg-Id: same\r\n", "Nats-TTL: 1s\r\n", "Nats-Schedule: @every 1s\r\nNats-Schedule-Target: bank.evt.x\r\n", "Nats-Marker-Reason: Purge\r\n",
		"KV-Operation: PURGE\r\n", "Nats-Request-Info: {\"acc\":\"root\",\"user\":\"root\"}\r\n", "traceparent: garbage\r\n", "traceparent: 00-"+strings.Repeat("0", 32)+"-"+strings.Repeat("0", 16)+"-00\r\n",
		"Annals-Deadline: 9999-12-31T23:59:59Z\r\n", "Principal: root\r\nX-Forwarded-User: root\r\nAuthorization: Bearer x\r\n",
	)
	for i, lines := range all {
		if status, m := enemy.ask(t, openID(fmt.Sprintf("f%d", i)), headed(lines), `{"owner":"Ann"}`); status != 200 {
			t.Errorf("%q: %d %s", lines, status, m.Data)
		}
	}
	// What only a server says is no request.
	if status, m := enemy.ask(t, openID("status"), headed("Status: 503\r\n"), `{"owner":"Ann"}`); status != http.StatusForbidden {
		t.Errorf("a status among the headers: %d %s", status, m.Data)
	}
	kept := stored(t, nc, "bank")
	if len(kept) != len(all) {
		t.Errorf("%d streams are stored, want %d", len(kept), len(all))
	}
	for _, header := range headersStored(t, nc) {
		for name, values := range header {
			for _, odd := range []string{"Rollup", "Ttl", "TTL", "Schedule", "Marker", "Request-Info", "Forwarded", "Authorization", "traceparent", "Operation"} {
				if strings.Contains(name, odd) {
					t.Errorf("stored: %s: %q", name, values)
				}
			}
		}
	}
	client, err := gateway.NewClient(gateway.ClientConfig{Conn: nc, Namespace: "bank", Timeout: soon})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range client.History(t.Context(), store.StreamID{Type: "account", ID: fmt.Sprintf("f%d", len(all)-1)}, 0) {
		if err != nil || e.Command.Principal != "" {
			t.Errorf("who sent it is %q: %v", e.Command.Principal, err)
		}
	}
}

// headersStored are the headers of the first messages of the log.
func headersStored(t *testing.T, nc *nats.Conn) (all []nats.Header) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	names := js.StreamNames(t.Context(), jetstream.WithStreamListSubject("bank.evt.>"))
	for name := range names.Name() {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		for sequence := uint64(1); sequence <= 200; sequence++ {
			m, err := s.GetMsg(t.Context(), sequence)
			if err != nil {
				break
			}
			all = append(all, m.Header)
		}
	}
	if err := names.Err(); err != nil || len(all) < 50 {
		t.Fatal(len(all), err)
	}
	return all
}

// Whoever is not known to the server does not come in: without credentials, with those of
// nobody, or with another's name and its own key.
func TestForeignCredentials(t *testing.T) {
	t.Parallel()
	a, err := namespaces.raise(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.lower)
	other, err := namespaces.raise(t.Context(), t.TempDir()) // whose keys are others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.lower)
	foreign, err := nats.NkeyOptionFromSeed(other.keys() + "/alice.nk")
	if err != nil {
		t.Fatal(err)
	}
	for what, option := range map[string]nats.Option{
		"nothing": nats.Name("x"), "a password": nats.UserInfo("alice", "x"), "a token": nats.Token("x"), "another's key": foreign,
	} {
		if nc, err := nats.Connect(a.server.ClientURL(), option); err == nil {
			nc.Close()
			t.Errorf("%s: it comes in", what)
		}
	}
	nc, err := a.connect("alice")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}
