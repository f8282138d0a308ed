package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

func accountStream(id string) store.StreamID { return store.StreamID{Type: "account", ID: id} }

// saved is an account with three events.
func saved(t *testing.T) *bank {
	t.Helper()
	b := startBank(t)
	for _, c := range [][2]string{{"open", `{"owner":"Ann"}`}, {"deposit", `{"cents":7}`}, {"deposit", `{"cents":3}`}} {
		if m := request(t, b.conn, "bank.cmd.account.a."+c[0], c[1]); status(t, m) != 200 {
			t.Fatalf("%s: %s", c[0], m.Data)
		}
	}
	return b
}

func TestDiffOfTwoVersions(t *testing.T) {
	t.Parallel()
	b := saved(t)
	c := newClient(t, b.conn)
	d, err := c.Diff(t.Context(), accountStream("a"), actor.At{Version: 1}, actor.At{})
	if err != nil {
		t.Fatal(err)
	}
	if d.From.Version != 1 || d.To.Version != 3 || d.To.Time.IsZero() || d.To.Position == 0 || d.ID != "a" {
		t.Errorf("from %+v to %+v", d.From, d.To)
	}
	if len(d.Changes) != 1 || d.Changes[0].Op != "replace" || string(d.Changes[0].Old) != "0" || string(d.Changes[0].Value) != "10" {
		t.Errorf("changes %+v", d.Changes)
	}
	same, err := c.Diff(t.Context(), accountStream("a"), actor.At{Time: d.To.Time}, actor.At{})
	if err != nil || same.Changes == nil || len(same.Changes) != 0 {
		t.Errorf("of equal states: %+v, %v", same, err)
	}
	for what, ask := range map[string]struct {
		id   string
		from actor.At
		want error
	}{
		"a version to come": {"a", actor.At{Version: 4}, store.ErrInvalid},
		"nobody":            {"b", actor.At{}, store.ErrNotFound},
	} {
		if _, err := c.Diff(t.Context(), accountStream(ask.id), ask.from, actor.At{}); !errors.Is(err, ask.want) {
			t.Errorf("%s: %v, want %v", what, err, ask.want)
		}
	}
}

func TestChangesOfAHistory(t *testing.T) {
	t.Parallel()
	b := saved(t)
	var got []string
	for e, err := range newClient(t, b.conn).Changes(t.Context(), accountStream("a"), 1) {
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range e.Changes {
			got = append(got, fmt.Sprintf("%d %s by %s: %s %s -> %s", e.Version, e.Type, e.Command.Name, c.Path, c.Old, c.Value))
		}
	}
	want := []string{"2 moved by deposit: /cents 0 -> 7", "3 moved by deposit: /cents 7 -> 10"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, err := range newClient(t, b.conn).Changes(t.Context(), accountStream("nobody"), 0) {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("changes of nobody: %v", err)
		}
	}
	for body, code := range map[string]int{
		`{"aggregate":"account","id":"a","limit":1001}`:             400,
		`{"aggregate":"robot","id":"a"}`:                            404,
		`{"aggregate":"account","id":"a","at_version":1}`:           400,
		`{"aggregate":"account","id":"a","from":{"version":"one"}}`: 400,
	} {
		if m := request(t, b.conn, "bank.ctl.aggregate.changes", body); status(t, m) != code {
			t.Errorf("%s: %s, want %d", body, m.Data, code)
		}
	}
}

// manyChanges has more changes than an answer holds, one of them alone.
type manyChanges struct {
	fakeActors
	n, large int
}

func (m *manyChanges) Changes(_ context.Context, id store.StreamID, after uint64) iter.Seq2[store.Recorded[[]actor.Change], error] {
	return func(yield func(store.Recorded[[]actor.Change], error) bool) {
		for v := after + 1; v <= uint64(m.n); v++ {
			size := 1000
			if v == uint64(m.large) {
				size = 600 << 10
			}
			value, _ := json.Marshal(strings.Repeat("x", size))
			r := store.Recorded[[]actor.Change]{Stream: id, Version: v, Type: "deposited", Data: []actor.Change{{Op: "add", Path: "/x", Value: value}}}
			if !yield(r, nil) {
				return
			}
		}
	}
}

func TestPagesOfChanges(t *testing.T) {
	t.Parallel()
	f := &manyChanges{n: 1500, large: 700}
	s := startServer(t)
	startGateway(t, gateway.Config{Conn: connect(t, s), Actors: f})
	next := uint64(0)
	for e, err := range newClient(t, connect(t, s)).Changes(t.Context(), accountStream("a"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		next++
		if e.Version != next || e.Omitted != (e.Version == 700) || e.Omitted != (len(e.Changes) == 0) {
			t.Fatalf("event %d after %d: omitted %v, %d changes", e.Version, next-1, e.Omitted, len(e.Changes))
		}
	}
	if next != 1500 {
		t.Errorf("%d events of 1500", next)
	}
}
