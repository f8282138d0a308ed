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
	"github.com/nats-io/nats.go/micro"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// startPair starts two nodes of which b runs the view totals, and returns b's
// operators and an asker who reaches either.
func startPair(t *testing.T) (*fakeOperators, *nats.Conn) {
	t.Helper()
	s, r := startServer(t), newRoster("a")
	here, there := newWandering("a", "totals"), newWandering("b", "totals")
	there.run("totals", true)
	r.run("totals", "b")
	operators := &fakeOperators{views: there}
	startNode(t, s, r, "a", &fakeActors{}, withOperators(&fakeOperators{views: here}))
	startNode(t, s, r, "b", &fakeActors{}, withOperators(operators))
	return operators, connect(t, s)
}

// Whichever node is asked, the one that runs the view does it.
func TestOperationsReachTheNodeThatRunsTheView(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	f.letters = []projector.DeadLetter{{ID: "0123456789ab", At: 3, Position: 9}}
	f.events = []projector.LetterEvent{{At: 3, Data: json.RawMessage(`{"n":1}`)}}
	const model = `"models":[{"name":"totals","version":0,"build":0,"state":"live"`
	for _, c := range []struct{ verb, body, call, want string }{
		{"projection.info", `{"view":"totals"}`, "", `{"type":"io.annals.api.v1.projection_info_response","view":"totals","node":"b",` + model},
		{"projection.rebuild", `{"view":"totals","online":true,"version":2,"parity":-1,"switch":true}`, "totals rebuild {Online:true Version:2 Parity:-1 Switch:true}", `{"type":"io.annals.api.v1.projection_rebuild_response","view":"totals","version":2,"build":1}`},
		{"projection.promote", `{"view":"totals","force":true}`, "totals promote true", model},
		{"projection.rollback", `{"view":"totals"}`, "totals rollback", model},
		{"projection.cancel", `{"view":"totals"}`, "totals cancel", model},
		{"projection.retire", `{"view":"totals"}`, "totals retire", model},
		{"projection.pause", `{"view":"totals"}`, "totals pause", model},
		{"projection.resume", `{"view":"totals"}`, "totals resume", model},
		{"projection.rewind", `{"view":"totals","position":0}`, "totals rewind 0", model},
		{"projection.verify", `{"view":"totals","documents":true}`, "totals verify true", `"documents":{"compared":3,`},
		{"dlq.ls", `{"view":"totals"}`, "totals letters", `"id":"0123456789ab"`},
		{"dlq.get", `{"view":"totals","id":"0123456789ab"}`, "totals letters,totals events 0123456789ab 1000", `"data":{"n":1}`},
		{"dlq.retry", `{"view":"totals","id":"none"}`, "totals retry none", `{"type":"io.annals.api.v1.dlq_retry_response","released":true}`},
		{"dlq.retry", `{"view":"totals","id":"0123456789ab"}`, "totals retry 0123456789ab", `"released":false,"letter":{`},
		{"dlq.edit", `{"view":"totals","id":"0123456789ab","at":3,"data":{"n":2},"by":"ann"}`, `totals letters,totals edit 0123456789ab 3 {"n":2} unverified:ann,totals letters`, `"id":"0123456789ab"`},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":3,"reason":"spoilt","by":"ann"}`, "totals letters,totals skip 0123456789ab 3 spoilt unverified:ann", `"released":true`},
		{"dlq.skipped", `{"view":"totals"}`, "totals skipped", `{"type":"io.annals.api.v1.dlq_skipped_response","skipped":[],"next":""}`},
	} {
		m := request(t, nc, "bank.node.a.ctl."+c.verb, c.body)
		if status(t, m) != 200 || !strings.Contains(string(m.Data), c.want) {
			t.Errorf("%s: got %s, want %s", c.verb, m.Data, c.want)
		}
		if got := strings.Join(f.asked(), ","); got != c.call {
			t.Errorf("%s: asked for %q, want %q", c.verb, got, c.call)
		}
		if e := errorOf(t, request(t, nc, "bank.ctl."+c.verb, strings.Replace(c.body, "totals", "nothing", 1))); e.Code != gateway.CodeUnknownView {
			t.Errorf("%s of an unknown view: %+v", c.verb, e)
		}
	}
}

// What is wrong is refused before anything is changed.
func TestOperationsAreChecked(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	f.letters = []projector.DeadLetter{{ID: "0123456789ab", At: 3}}
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		verb, body string
		want       gateway.Code
	}{
		{"projection.pause", ``, gateway.CodeInvalid},
		{"projection.pause", `{"view":"Totals"}`, gateway.CodeInvalid},
		{"projection.pause", `{"view":"totals","force":true}`, gateway.CodeInvalid},
		{"projection.rewind", `{"view":"totals"}`, gateway.CodeInvalid},
		{"projection.rewind", `{"view":"totals","position":-1}`, gateway.CodeInvalid},
		{"dlq.ls", `{"view":"totals","limit":-1}`, gateway.CodeInvalid},
		{"dlq.ls", `{"view":"totals","limit":1001}`, gateway.CodeInvalid},
		{"dlq.get", `{"view":"totals","id":"0123456789ab","limit":1001}`, gateway.CodeInvalid},
		{"dlq.get", `{"view":"totals","id":"none"}`, gateway.CodeNoLetter},
		{"dlq.edit", `{"view":"totals","id":"0123456789ab","at":3,"by":"ann"}`, gateway.CodeInvalid},
		{"dlq.edit", `{"view":"totals","id":"0123456789ab","at":3,"data":{}}`, gateway.CodeInvalid},
		{"dlq.edit", `{"view":"totals","id":"0123456789ab","at":2,"data":{},"by":"ann"}`, gateway.CodeConflict},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":3,"by":"ann"}`, gateway.CodeInvalid},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":4,"reason":"r","by":"ann"}`, gateway.CodeConflict},
		{"dlq.skip", `{"view":"totals","id":"none","at":4,"reason":"r","by":"ann"}`, gateway.CodeNoLetter},
		{"dlq.skip", `{"view":"totals","id":"0123456789ab","at":3,"reason":"` + long + `","by":"ann"}`, gateway.CodeTooLarge},
		{"dlq.edit", strings.Repeat(" ", 300<<10), gateway.CodeTooLarge},
	} {
		if e := errorOf(t, request(t, nc, "bank.ctl."+c.verb, c.body)); e.Code != c.want {
			t.Errorf("%s %.80s: %+v, want %s", c.verb, c.body, e, c.want)
		}
	}
	for _, call := range f.asked() {
		if call != "totals letters" {
			t.Errorf("it was asked for %s", call)
		}
	}
}

// Each refusal has a code of its own, which the client matches.
func TestErrorsOfOperations(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	totals := newClient(t, nc).Operator("totals")
	promote := func() error { _, err := totals.Promote(t.Context(), false); return err }
	for _, c := range []struct {
		err, want error
		code      gateway.Code
	}{
		{fmt.Errorf("promote: %w", projector.ErrNoCandidate), projector.ErrNoCandidate, "NO_CANDIDATE"},
		{fmt.Errorf("rebuild: %w", projector.ErrCandidate), projector.ErrCandidate, "CANDIDATE"},
		{projector.ErrNoPrevious, projector.ErrNoPrevious, "NO_PREVIOUS"},
		{projector.ErrNoLetter, projector.ErrNoLetter, "NO_LETTER"},
		{projector.ErrUnfinished, projector.ErrUnfinished, "RETRY_UNFINISHED"},
		{projector.ErrRebuilding, projector.ErrRebuilding, "REBUILDING"},
		{projector.ErrPaused, projector.ErrPaused, "PAUSED"},
		{&projector.ParityError{Parity: &projector.Parity{Compared: 9, Differences: 2}}, gateway.ErrParity, "PARITY"},
		{&store.InvalidError{What: "view", Value: "totals", Reason: "a reaction"}, store.ErrInvalid, "INVALID"},
	} {
		f.set(func() { f.err = c.err })
		err := promote()
		e, _ := errors.AsType[*gateway.Error](err)
		if e == nil || e.Code != c.code || !errors.Is(err, c.want) || e.Inferred {
			t.Errorf("%v became %+v", c.err, err)
		}
		if c.code == "PARITY" && (e.Details["compared"] != 9 || e.Details["differences"] != 2) {
			t.Errorf("details %v", e.Details)
		}
	}
	// A change whose time is over may have been made.
	f.set(func() { f.err, f.hang = nil, true })
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := totals.Promote(short, false); !errors.Is(err, store.ErrUnknown) {
		t.Errorf("without an answer: %v", err)
	}
	if e := errorOf(t, request(t, nc, "bank.ctl.projection.pause", `{"view":"totals"}`, "Annals-Deadline", "50ms")); e.Code != gateway.CodeUnknownOutcome {
		t.Errorf("out of time: %+v", e)
	}
	if e := errorOf(t, request(t, nc, "bank.ctl.projection.verify", `{"view":"totals"}`, "Annals-Deadline", "50ms")); e.Code != gateway.CodeDeadline {
		t.Errorf("a question out of time: %+v", e)
	}
}

// Nobody was there: the change was certainly not made.
func TestAnOperationThatReachesNobody(t *testing.T) {
	t.Parallel()
	client := newClient(t, connect(t, startServer(t)))
	_, err := client.Operator("totals").Pause(t.Context())
	if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if _, err := client.Operator("To tals").Pause(t.Context()); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

// The client's methods, over the wire and back.
func TestOperator(t *testing.T) {
	t.Parallel()
	f, nc := startPair(t)
	totals := newClient(t, nc).Operator("totals")
	parked := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	stream := store.StreamID{Type: "account", ID: "ann"}
	for i := range 2500 {
		f.letters = append(f.letters, projector.DeadLetter{
			Model: projector.Model{View: "totals", Version: 2}, ID: fmt.Sprintf("%012x", i), Stream: stream, At: 3,
			Position: store.Position(2500 - i/2), Parked: parked, Error: strings.Repeat("e", 200), Edited: json.RawMessage(`{"n":2}`), By: "ann",
		})
	}
	before := store.Position(0)
	seen := map[string]bool{}
	for l, err := range totals.DeadLetters(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if l.Position < before || seen[l.ID] || l.Edited != nil || l.Stream != stream || l.Version != 2 {
			t.Fatalf("after %d: %+v", before, l)
		}
		before, seen[l.ID] = l.Position, true
	}
	if len(seen) != 2500 {
		t.Errorf("%d letters", len(seen))
	}
	f.events = []projector.LetterEvent{
		{At: 3, Event: "opened", Raw: []byte{1, 2}},
		{At: 4, Event: "moved", Data: json.RawMessage(`{"pad":"` + strings.Repeat("x", 400<<10) + `"}`)},
		{At: 5, Data: json.RawMessage(`"` + strings.Repeat("x", 400<<10) + `"`)},
	}
	letter, events, err := totals.DeadLetter(t.Context(), f.letters[7].ID, 0)
	if diff := cmp.Diff(f.letters[7], letter); diff != "" || err != nil {
		t.Errorf("%v, letter (-want +got):\n%s", err, diff)
	}
	if len(events) != 2 || string(events[0].Raw) != "\x01\x02" || events[1].At != 4 || events[1].Omitted {
		t.Errorf("%d events", len(events))
	}
	f.events = []projector.LetterEvent{{At: 3, Data: json.RawMessage(`"` + strings.Repeat("x", 600<<10) + `"`)}}
	if _, events, err = totals.DeadLetter(t.Context(), f.letters[7].ID, 5); err != nil || len(events) != 1 || !events[0].Omitted || events[0].Data != nil {
		t.Errorf("%v", err)
	}
	f.asked()
	if l, err := totals.Retry(t.Context(), f.letters[7].ID); err != nil || l == nil || l.ID != f.letters[7].ID {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := totals.Skip(t.Context(), f.letters[7].ID, 3, "spoilt", "ann"); err != nil || l != nil {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := totals.Edit(t.Context(), f.letters[7].ID, 3, json.RawMessage(`{"n":3}`), "ann"); err != nil || l.ID != f.letters[7].ID {
		t.Errorf("%+v, %v", l, err)
	}
	f.skipped = []projector.Skipped{{Model: projector.Model{View: "totals"}, Reason: "spoilt", By: "ann", Time: parked}}
	for s, err := range totals.Skipped(t.Context()) {
		if diff := cmp.Diff(f.skipped[0], s); diff != "" || err != nil {
			t.Errorf("%v, skipped (-want +got):\n%s", err, diff)
		}
	}
	if v, err := totals.Verify(t.Context(), true); err != nil || !v.Workers[0].Equal || v.Documents.Compared != 3 || v.View != "totals" {
		t.Errorf("%+v, %v", v, err)
	}
	if p, err := totals.Info(t.Context()); err != nil || p.Node != "b" || len(p.Models) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if m, err := totals.Rebuild(t.Context(), projector.Rebuild{Online: true, Version: 3}); err != nil || m.String() != "totals_v3_b1" {
		t.Errorf("%v, %v", m, err)
	}
}

// The endpoints can be found, and say what goes in and what they do.
func TestOperationsCanBeDiscovered(t *testing.T) {
	t.Parallel()
	f := &fakeOperators{views: totals(0, 0)}
	b := startBank(t, withOperators(f))
	var info micro.Info
	if err := json.Unmarshal(everybody(t, b.conn, "$SRV.INFO.annals-control", 1)[0], &info); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range info.Endpoints {
		got[e.Subject] = e.Metadata["impact"] + " " + e.Metadata["request"]
	}
	for subject, want := range map[string]string{
		"bank.ctl.projection.rebuild": `write {"view": NAME, "online": BOOL, "version": N, "parity": N, "switch": BOOL, "why": TEXT}`,
		"bank.ctl.projection.info":    `read {"view": NAME}`,
		"bank.ctl.dlq.skip":           `write {"view": NAME, "id": ID, "at": VERSION, "reason" or "why": TEXT, "by": NAME}`,
	} {
		if got[subject] != want {
			t.Errorf("%s: %q, want %q", subject, got[subject], want)
		}
	}
	if _, err := gateway.New(gateway.Config{Conn: b.conn, Namespace: "bank", Actors: &fakeActors{}, Operators: f}); err == nil {
		t.Error("operators without views are taken")
	}
}

// What still runs when the time to drain is over ends, and its asker is told.
func TestOperationsEndWithTheDrain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	f := &fakeOperators{views: totals(0, 0), hang: true}
	_, stop := startGateway(t, gateway.Config{
		Conn: connect(t, s), Actors: &fakeActors{submit: func(context.Context, actor.Command, func(actor.Result, error)) {}},
		Views: f.views, Operators: f, DrainTimeout: tooShort,
	})
	nc := connect(t, s)
	answers := make(chan *nats.Msg, 1)
	sub, err := nc.ChanSubscribe("answers", answers)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	m := &nats.Msg{Subject: "bank.ctl.projection.verify", Reply: "answers", Data: []byte(`{"view":"totals"}`), Header: nats.Header{"Annals-Deadline": {"10m"}}}
	if err := nc.PublishMsg(m); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("drain: %v", err)
	}
	if e := errorOf(t, receive(t, answers)); e.Code != gateway.CodeUnavailable {
		t.Errorf("%+v", e)
	}
}
