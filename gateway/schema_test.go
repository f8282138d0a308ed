package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/gateway"
	"github.com/annals-go/annals/store"
)

// What accounts were asked and stored before open had an owner, and a transfer was
// two movements.
type (
	openV1 struct {
		Name string `json:"name"`
	}
	transferredV1 struct {
		In  int64 `json:"in"`
		Out int64 `json:"out"`
	}
)

func (openV1) isCommand() {}

// grown is the aggregate of a later build.
func grown() actor.Aggregate[account, command, event] {
	a := accounts
	a.Commands = store.NewTypes(map[string]command{"open": open{}, "deposit": deposit{}},
		store.Upcast("open", 1, func(o openV1) open { return open{Owner: o.Name} }), store.Rename("pay-in", 1, "deposit"))
	a.Events = store.NewTypes(map[string]event{"opened": opened{}, "moved": moved{}},
		store.Split("transferred", 1, func(x transferredV1) []event { return []event{moved{x.In}, moved{-x.Out}} }))
	return a
}

func startGrown(t *testing.T) *bank {
	t.Helper()
	b := &bank{server: startServer(t), log: store.NewMemory(store.MemoryConfig{})}
	var err error
	if b.system, err = actor.NewSystem(actor.Config{Log: b.log, Aggregates: []actor.Definition{grown()}, Logger: quiet()}); err != nil {
		t.Fatal(err)
	}
	run(t, b.system.Run)
	startGateway(t, gateway.Config{
		Conn: connect(t, b.server), Actors: b.system, Partitions: b.log.Partitions(),
	})
	b.conn = connect(t, b.server)
	return b
}

func TestCommandsNameTheirSchema(t *testing.T) {
	t.Parallel()
	b := startGrown(t)
	for _, c := range []struct {
		what, command, body, schema string
		want                        int
	}{
		{"the old body without a version", "open", `{"name":"Ann"}`, "", 400},
		{"the new body as the old one", "open", `{"owner":"Ann"}`, "1", 400},
		{"a version of the future", "open", `{"owner":"Ann"}`, "3", 404},
		{"no version", "open", `{"owner":"Ann"}`, "0", 400},
		{"no number", "open", `{"owner":"Ann"}`, "one", 400},
		{"more than any type will see", "open", `{"owner":"Ann"}`, "32768", 400},
		{"the old body", "open", `{"name":"Ann"}`, "1", 200},
		{"the new body, of an account that is there", "open", `{"owner":"Ann"}`, "2", 422},
		{"an old name", "pay-in", `{"cents":5}`, "1", 200},
		{"an old name without a version", "pay-in", `{"cents":5}`, "", 200},
		{"a name that never was", "pay-out", `{"cents":5}`, "1", 404},
	} {
		var headers []string
		if c.schema != "" {
			headers = []string{"Annals-Schema", c.schema}
		}
		m := request(t, b.conn, "bank.cmd.account.a."+c.command, c.body, headers...)
		if got := status(t, m); got != c.want {
			t.Errorf("%s: %d, want %d: %s", c.what, got, c.want, m.Data)
		}
	}
}

// A client of the first build says that it is one, and so is understood by the second.
func TestTheGoClientNamesItsSchema(t *testing.T) {
	t.Parallel()
	b := startGrown(t)
	old := accounts
	old.Commands = store.NewTypes(map[string]command{"open": openV1{}, "pay-in": deposit{}})
	client := b.client(t)
	for id, send := range map[string]func(id string) error{
		"old": func(id string) error {
			_, err := gateway.For(client, old).Send(t.Context(), id, openV1{Name: "Ann"})
			return err
		},
		"new": func(id string) error {
			_, err := gateway.For(client, grown()).Send(t.Context(), id, open{Owner: "Ann"})
			return err
		},
	} {
		if err := send(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		state, err := b.system.State(t.Context(), store.StreamID{Type: "account", ID: id}, actor.At{})
		if err != nil || state.Value.(account).Owner != "Ann" {
			t.Errorf("%s: %+v, %v", id, state, err)
		}
	}
	if _, err := client.Send(t.Context(), gateway.Request{Stream: store.StreamID{Type: "account", ID: "x"}, Name: "open", Schema: -1}); err == nil {
		t.Error("a schema version below 1 was sent")
	}
}

// Pages of a history end between versions: what became of one event is on one page,
// each part once.
func TestHistoryOfEventsThatAreSplit(t *testing.T) {
	t.Parallel()
	b := startGrown(t)
	id := store.StreamID{Type: "account", ID: "a"}
	var head store.Head
	for i, v := range []any{opened{"Ann"}, transferredV1{9, 4}, moved{1}, transferredV1{2, 3}} {
		data, err := store.MsgPack.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		name := []string{"opened", "transferred", "moved", "transferred"}[i]
		head, err = b.log.Append(t.Context(), &store.Commit{
			Stream: id, ID: uuid.New(), After: head, Time: time.Now(),
			Commands: []store.Command{{ID: uuid.NewString(), Name: "import"}}, Events: []store.Event{{Type: name, Schema: 1, Data: data}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	const whole = "opened1.0 moved2.0 moved2.1 moved3.0 moved4.0 moved4.1 "
	for limit := 1; limit <= 7; limit++ {
		var got strings.Builder
		pages := 0
		for after, more := uint64(0), true; more && pages < 10; pages++ {
			m := request(t, b.conn, "bank.ctl.aggregate.history", fmt.Sprintf(`{"aggregate":"account","id":"a","after":%d,"limit":%d}`, after, limit))
			var page struct {
				Events []gateway.Event `json:"events"`
				Next   uint64          `json:"next"`
			}
			if err := json.Unmarshal(m.Data, &page); err != nil || status(t, m) != 200 {
				t.Fatalf("%v: %s", err, m.Data)
			}
			for _, e := range page.Events {
				fmt.Fprintf(&got, "%s%d.%d ", e.Type, e.Version, e.Part)
			}
			after, more = page.Next, page.Next > 0
		}
		if got.String() != whole {
			t.Errorf("in pages of %d: %s, want %s", limit, &got, whole)
		}
	}
}
