package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/projector"
	"github.com/annals-go/annals/store"
)

// fakeViews holds one view, totals.
type fakeViews struct {
	docs map[string]projector.Document
	get  func(ctx context.Context, view, key string, min store.Position) (projector.Document, error)
}

func (f *fakeViews) Get(ctx context.Context, view, key string, min store.Position) (projector.Document, error) {
	if f.get != nil {
		return f.get(ctx, view, key, min)
	}
	if view != "totals" {
		return projector.Document{}, fmt.Errorf("%w: %s", projector.ErrNoView, view)
	}
	if min > 100 {
		<-ctx.Done()
		return projector.Document{}, &projector.TimeoutError{View: view, Want: min, Has: 100, Cause: context.Cause(ctx)}
	}
	d, ok := f.docs[key]
	if !ok {
		return d, fmt.Errorf("document %s: %w", key, store.ErrNotFound)
	}
	return d, nil
}

// GetAt has totals from position 10 on.
func (f *fakeViews) GetAt(_ context.Context, view, key string, at projector.Moment) (projector.Document, error) {
	switch {
	case view == "reactions":
		return projector.Document{}, fmt.Errorf("get from view %s: %w", view, projector.ErrNoDocuments)
	case view != "totals":
		return projector.Document{}, fmt.Errorf("%w: %s", projector.ErrNoView, view)
	case at.Position > 100:
		return projector.Document{}, &store.InvalidError{What: "position", Value: "101", Reason: "the log ends at position 100"}
	case at.Time.IsZero() && at.Position < 10:
		return projector.Document{}, fmt.Errorf("document %s: %w", key, store.ErrNotFound)
	}
	return projector.Document{Key: key, Position: 10, Document: json.RawMessage(fmt.Sprintf(`{"at":"%d %s"}`, at.Position, at.Time.Format(time.RFC3339)))}, nil
}

func (f *fakeViews) List(_ context.Context, view, cursor string, limit int, _ store.Position) ([]projector.Document, string, error) {
	if view != "totals" {
		return nil, "", fmt.Errorf("%w: %s", projector.ErrNoView, view)
	}
	keys := slices.Sorted(maps.Keys(f.docs))
	from := 0
	if cursor != "" {
		n, err := strconv.Atoi(cursor)
		if err != nil {
			return nil, "", &store.InvalidError{What: "cursor", Value: cursor, Reason: "not one of ours"}
		}
		from = n
	}
	to := min(from+limit, len(keys))
	var docs []projector.Document
	for _, k := range keys[from:to] {
		docs = append(docs, f.docs[k])
	}
	if to == len(keys) {
		return docs, "", nil
	}
	return docs, strconv.Itoa(to), nil
}

// Wait is at position 100.
func (f *fakeViews) Wait(ctx context.Context, view string, p store.Position) error {
	if view != "totals" {
		return fmt.Errorf("%w: %s", projector.ErrNoView, view)
	}
	if p > 100 {
		<-ctx.Done()
		return &projector.TimeoutError{View: view, Want: p, Has: 100, Cause: ctx.Err()}
	}
	return nil
}

func (f *fakeViews) Status(context.Context) []projector.Status {
	return []projector.Status{{Name: "totals", Version: 1, State: "live", Checkpoint: 100, Head: 100, Events: 3}}
}

func totals(n, size int) *fakeViews {
	f := &fakeViews{docs: map[string]projector.Document{}}
	for i := range n {
		key := fmt.Sprintf("k/%05d", i)
		f.docs[key] = projector.Document{Key: key, Position: store.Position(i), Document: json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("x", size)))}
	}
	return f
}

func startReads(t *testing.T, v gateway.Views) *bank {
	t.Helper()
	return startBank(t, func(c *gateway.Config) { c.Views, c.Version, c.Node = v, "1.2.3", "node-1" })
}

func TestADocumentIsAnsweredInTheDocumentedForm(t *testing.T) {
	t.Parallel()
	b := startReads(t, totals(3, 0))
	m := request(t, b.conn, "bank.qry.totals.k=2F00002", "", "Annals-Min-Position", "100")
	want := `{"type":"io.annals.api.v1.document_response","key":"k/00002","position":2,"document":{"n":2,"pad":""}}`
	if diff := cmp.Diff(want, string(m.Data)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
	m = request(t, b.conn, "bank.qry.totals", `{"limit":1}`)
	want = `{"type":"io.annals.api.v1.document_list_response","documents":[{"key":"k/00000","position":0,"document":{"n":0,"pad":""}}],"next":"1"}`
	if diff := cmp.Diff(want, string(m.Data)); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	m = request(t, startReads(t, totals(0, 0)).conn, "bank.qry.totals", "")
	if want := `{"type":"io.annals.api.v1.document_list_response","documents":[],"next":""}`; string(m.Data) != want {
		t.Errorf("empty view: %s", m.Data)
	}
}

func TestOutcomesOfQueries(t *testing.T) {
	t.Parallel()
	b := startReads(t, totals(3, 0))
	for _, c := range []struct {
		what, subject, body string
		headers             []string
		want                int
	}{
		{"no such document", "bank.qry.totals.x", "", nil, 404},
		{"no such view", "bank.qry.nothing.x", "", nil, 404},
		{"no such view to list", "bank.qry.nothing", "", nil, 404},
		{"view in upper case", "bank.qry.Totals.x", "", nil, 400},
		{"key that is no token", "bank.qry.totals.a=2f", "", nil, 400},
		{"too many tokens", "bank.qry.totals.a.b", "", nil, 400},
		{"long key", "bank.qry.totals." + strings.Repeat("x", 129), "", nil, 413},
		{"position of words", "bank.qry.totals.k=2F00001", "", []string{"Annals-Min-Position", "last"}, 400},
		{"position ahead of the view", "bank.qry.totals.k=2F00001", "", []string{"Annals-Min-Position", "101", "Annals-Deadline", "30ms"}, 504},
		{"deadline in the past", "bank.qry.totals.k=2F00001", "", []string{"Annals-Deadline", "-1s"}, 504},
		{"past of an unknown view", "bank.qry.nothing.x", `{"at_position":12}`, nil, 404},
		{"past of a view without documents", "bank.qry.reactions.x", `{"at_position":12}`, nil, 400},
		{"past before the first event", "bank.qry.totals.x", `{"at_position":9}`, nil, 404},
		{"past to come", "bank.qry.totals.x", `{"at_position":101}`, nil, 400},
		{"past of a misspelt moment", "bank.qry.totals.x", `{"at_version":12}`, nil, 400},
		{"past that waits", "bank.qry.totals.x", `{"at_position":12}`, []string{"Annals-Min-Position", "5"}, 400},
		{"past by name of a day", "bank.qry.totals.x", `{"at_time":"yesterday"}`, nil, 400},
		{"header of a command", "bank.qry.totals.k=2F00001", "", []string{"Annals-Expected-Version", "1"}, 400},
		{"msgpack", "bank.qry.totals.k=2F00001", "", []string{"Content-Type", "application/msgpack"}, 400},
		{"page of nothing", "bank.qry.totals", `{"limit":0}`, nil, 400},
		{"page of 1,001", "bank.qry.totals", `{"limit":1001}`, nil, 400},
		{"alien cursor", "bank.qry.totals", `{"cursor":"x"}`, nil, 400},
		{"unknown field", "bank.qry.totals", `{"where":"1=1"}`, nil, 400},
		{"no JSON", "bank.qry.totals", `{`, nil, 400},
		{"large request", "bank.qry.totals", strings.Repeat(" ", 5000), nil, 413},
		{"state of nobody", "bank.ctl.aggregate.get", `{"aggregate":"account","id":"x"}`, nil, 404},
		{"state of no type", "bank.ctl.aggregate.get", `{"aggregate":"robot","id":"x"}`, nil, 404},
		{"state without id", "bank.ctl.aggregate.get", `{"aggregate":"account"}`, nil, 400},
		{"state of an impossible id", "bank.ctl.aggregate.get", `{"aggregate":"account","id":"a\u0000b"}`, nil, 400},
		{"state at a negative version", "bank.ctl.aggregate.get", `{"aggregate":"account","id":"x","at_version":-1}`, nil, 400},
		{"history of nobody", "bank.ctl.aggregate.history", `{"aggregate":"account","id":"x"}`, nil, 404},
		{"history without limit", "bank.ctl.aggregate.history", `{"aggregate":"account","id":"x","limit":-1}`, nil, 400},
		{"info with a body", "bank.ctl.info", `{"x":1}`, nil, 400},
	} {
		m := request(t, b.conn, c.subject, c.body, c.headers...)
		if got := status(t, m); got != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, got, c.want, m.Data)
		}
	}
}

func TestReadsAreBounded(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	v := totals(1, 0)
	v.get = func(context.Context, string, string, store.Position) (projector.Document, error) {
		entered <- struct{}{}
		<-leave
		return projector.Document{Document: json.RawMessage("{}")}, nil
	}
	b := startBank(t, func(c *gateway.Config) { c.Views, c.MaxReads = v, 1 })
	done := make(chan int, 1)
	go func() {
		_, err := b.client(t).Get(context.Background(), "totals", "a", 0)
		if err != nil {
			t.Error(err)
		}
		done <- 1
	}()
	receive(t, entered)
	if got := status(t, request(t, b.conn, "bank.ctl.info", "")); got != 429 {
		t.Errorf("second read: %d, want 429", got)
	}
	close(leave)
	receive(t, done)
}

func TestTheClientPagesThroughAView(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 5000} { // 5,000: a page of 500 does not fit an answer
		v := totals(1200, size)
		c := startReads(t, v).client(t)
		got := map[string]projector.Document{}
		for d, err := range c.List(t.Context(), "totals", 7) {
			if err != nil {
				t.Fatal(err)
			}
			got[d.Key] = d
		}
		if !maps.EqualFunc(v.docs, got, sameDocument) {
			t.Errorf("%d documents of %d, or others, with %d bytes each", len(got), len(v.docs), size)
		}
	}
}

func sameDocument(a, b projector.Document) bool {
	return a.Key == b.Key && a.Position == b.Position && string(a.Document) == string(b.Document)
}

func TestADocumentThatIsTooLargeForAnAnswer(t *testing.T) {
	t.Parallel()
	c := startReads(t, totals(1, 600<<10)).client(t)
	if _, err := c.Get(t.Context(), "totals", "k/00000", 0); !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("get: %v", err)
	}
	for _, err := range c.List(t.Context(), "totals", 0) {
		if !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("list: %v", err)
		}
	}
}

// Where a view is behind, its node gives up first and says how far it is. The
// client's patience reaches the node, a little shortened.
func TestTheClientReadsAheadOfTheView(t *testing.T) {
	t.Parallel()
	ahead := func(b *bank) {
		t.Helper()
		_, err := b.client(t).Get(t.Context(), "totals", "k/00001", 101)
		if e, ok := errors.AsType[*gateway.Error](err); !ok || !errors.Is(err, projector.ErrTimeout) || e.Details["reached_position"] != 100 {
			t.Errorf("ahead of the view: %+v", err)
		}
	}
	ahead(startBank(t, func(c *gateway.Config) { c.Views, c.MaxTimeout = totals(3, 0), time.Second }))

	patience := make(chan time.Duration, 1)
	v := &fakeViews{get: func(ctx context.Context, view, _ string, min store.Position) (projector.Document, error) {
		at, _ := ctx.Deadline()
		patience <- time.Until(at)
		return projector.Document{}, &projector.TimeoutError{View: view, Want: min, Has: 100, Cause: context.DeadlineExceeded}
	}}
	ahead(startBank(t, func(c *gateway.Config) { c.Views, c.MaxTimeout = v, time.Hour }))
	if got := receive(t, patience); got >= soon || got < soon/2 {
		t.Errorf("the view has %v, want a little less than %v", got, soon)
	}
}

func TestTheClientReads(t *testing.T) {
	t.Parallel()
	b := startReads(t, totals(3, 0))
	c := b.client(t)
	d, err := c.Get(t.Context(), "totals", "k/00001", 5)
	if err != nil || string(d.Document) != `{"n":1,"pad":""}` {
		t.Errorf("%+v, %v", d, err)
	}
	for want, ask := range map[error][2]string{store.ErrNotFound: {"totals", "x"}, projector.ErrNoView: {"nothing", "x"}, store.ErrInvalid: {"Totals", "x"}} {
		if _, err := c.Get(t.Context(), ask[0], ask[1], 0); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", ask, err, want)
		}
	}
	ps, err := c.Projections(t.Context())
	if err != nil || len(ps) != 1 || ps[0].Events != 3 {
		t.Errorf("%+v, %v", ps, err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Info{Namespace: namespace, Node: "node-1", Version: "1.2.3", Partitions: b.log.Partitions(), Views: []string{"totals"}, Aggregates: []gateway.AggregateInfo{
		{Type: "account", Commands: []string{"crash", "deposit", "open", "touch", "withdraw"}, Events: []string{"moved", "opened"}},
	}}
	if diff := cmp.Diff(want, info); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

func TestReadsThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	c := startBank(t).client(t) // without views
	if _, err := c.Get(t.Context(), "totals", "a", 0); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("get: %v", err)
	}
	if _, err := c.Projections(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("projections: %v", err)
	}
	if info, err := c.Info(t.Context()); err != nil || len(info.Views) != 0 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestStateAndHistory(t *testing.T) {
	t.Parallel()
	b := startBank(t)
	c := b.client(t)
	sender := gateway.For(c, accounts)
	id := store.StreamID{Type: "account", ID: "a b"}
	if _, err := sender.SendWith(t.Context(), id.ID, open{Owner: "Ann"}, gateway.Options{ID: "c-1", CorrelationID: "x"}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, err := sender.Send(t.Context(), id.ID, deposit{Cents: 10}); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[actor.At]string{
		{}:                                `{"owner":"Ann","cents":40}`,
		{Version: 1}:                      `{"owner":"Ann","cents":0}`,
		{Version: 3}:                      `{"owner":"Ann","cents":20}`,
		{Time: time.Now().Add(time.Hour)}: `{"owner":"Ann","cents":40}`,
	} {
		s, err := c.State(t.Context(), id, at)
		if err != nil || string(s.State) != want || s.ID != id.ID || s.Time.IsZero() || s.Position == 0 {
			t.Errorf("%+v: %+v, %v", at, s, err)
		}
	}
	for at, want := range map[actor.At]error{{Version: 6}: store.ErrInvalid, {Time: time.Unix(1, 0)}: store.ErrNotFound} {
		if _, err := c.State(t.Context(), id, at); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", at, err, want)
		}
	}
	var events []gateway.Event
	for e, err := range c.History(t.Context(), id, 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) != 5 || events[4].Version != 5 || string(events[4].Data) != `{"cents":10}` || events[0].ID == uuid.Nil {
		t.Fatalf("%+v", events)
	}
	if diff := cmp.Diff(gateway.EventCommand{ID: "c-1", Name: "open", CorrelationID: "x"}, events[0].Command); diff != "" {
		t.Errorf("command (-want +got):\n%s", diff)
	}
	for e, err := range c.History(t.Context(), id, 4) {
		if err != nil || e.Version != 5 {
			t.Errorf("after 4: %+v, %v", e, err)
		}
	}
	for range c.History(t.Context(), id, 5) {
		t.Error("something after the last")
	}
}

func TestHistoryIsPagedByBytesAndCount(t *testing.T) {
	t.Parallel()
	const n = 2500
	big := 1234 // the version whose event fills more than an answer
	f := &fakeActors{history: func(id store.StreamID) iter.Seq2[store.Recorded[any], error] {
		return func(yield func(store.Recorded[any], error) bool) {
			for v := uint64(1); v <= n; v++ {
				size := 300
				if v == uint64(big) {
					size = 700 << 10
				}
				e := store.Recorded[any]{Stream: id, Version: v, Type: "opened", Schema: 1, Data: opened{Owner: strings.Repeat("x", size)}}
				if !yield(e, nil) {
					return
				}
			}
		}
	}}
	s := startServer(t)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f})
	nc := connect(t, s)
	next := uint64(0)
	for e, err := range newClient(t, nc).History(t.Context(), store.StreamID{Type: "account", ID: "a"}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		next++
		if e.Version != next || e.Omitted != (e.Version == uint64(big)) || !e.Omitted && len(e.Data) < 300 {
			t.Fatalf("event %d after %d: omitted %v, %d bytes", e.Version, next-1, e.Omitted, len(e.Data))
		}
	}
	if next != n {
		t.Errorf("%d events of %d", next, n)
	}
	if m := request(t, nc, "bank.ctl.aggregate.history", `{"aggregate":"account","id":"a"}`); len(m.Data) > 512<<10 {
		t.Errorf("a page of %d bytes", len(m.Data))
	}
}
