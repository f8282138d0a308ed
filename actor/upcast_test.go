package actor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// What accounts stored and were asked before owner and cents had those names.
type openedV1 struct {
	Name string `json:"name"`
}

type openV1 struct {
	Name string `json:"name"`
}

// swappedV1 is a deposit and a withdrawal since.
type swappedV1 struct {
	In  int64 `json:"in"`
	Out int64 `json:"out"`
}

type noisedV1 struct{}

// brokenV1 has a step that panics.
type brokenV1 struct{}

// grown is the aggregate of a later build, which reads all of that.
func grown() actor.Aggregate[account, command, event] {
	a := accounts
	a.Commands = store.NewTypes(
		map[string]command{"open": open{}, "deposit": deposit{}, "withdraw": withdraw{}},
		store.Upcast("open", 1, func(o openV1) open { return open{Owner: o.Name} }),
		store.Rename("pay-in", 1, "deposit"), store.Rename("begin", 1, "open"),
		store.Upcast("break", 1, func(brokenV1) openV1 { panic("a mistake") }), store.Rename("break", 2, "open"),
		store.Split("start", 1, func(o open) []command { return []command{o, deposit{Cents: 1}} }))
	a.Events = store.NewTypes(
		map[string]event{"opened": opened{}, "deposited": deposited{}, "withdrawn": withdrawn{}},
		store.Upcast("opened", 1, func(o openedV1) opened { return opened{Owner: o.Name} }),
		store.Split("swapped", 1, func(s swappedV1) []event { return []event{deposited{Cents: s.In}, withdrawn{Cents: s.Out}} }),
		store.Split("noised", 1, func(noisedV1) []event { return nil }),
		store.Split("broken", 1, func(brokenV1) []event { panic("a mistake") }))
	return a
}

// older stores events as an older build did, each in a commit of its own.
func older(t *testing.T, b *bench, id string, events ...store.Event) {
	t.Helper()
	var head store.Head
	for c, err := range b.memory.Read(t.Context(), stream(id), store.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		head = c.Head()
	}
	for _, e := range events {
		var err error
		c := &store.Commit{
			Stream: stream(id), ID: uuid.New(), After: head, Time: time.Now(), Events: []store.Event{e},
			Commands: []store.Command{{ID: uuid.NewString(), Name: "import"}},
		}
		if head, err = b.memory.Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
}

func stored(t *testing.T, name string, schema int, v any) store.Event {
	t.Helper()
	data, err := store.MsgPack.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return store.Event{Type: name, Schema: schema, Data: data}
}

func grownBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, func(c *actor.Config) { c.Aggregates = []actor.Definition{grown()} })
	b.sender = actor.For(b.system, grown())
	return b
}

func TestOlderEventsAreFolded(t *testing.T) {
	t.Parallel()
	b := grownBench(t)
	older(t, b, "a", stored(t, "opened", 1, openedV1{"Ann"}), stored(t, "noised", 1, noisedV1{}), stored(t, "swapped", 1, swappedV1{In: 9, Out: 4}))
	if a, version := b.state(t, "a"); a.Owner != "Ann" || a.Cents != 5 || version != 3 {
		t.Fatalf("%+v at version %d", a, version)
	}
	if r := b.must(t, "a", deposit{Cents: 1}); r.Version != 4 {
		t.Fatalf("a deposit is version %d, want 4", r.Version)
	}
	var history []string
	for e, err := range b.system.History(t.Context(), stream("a"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, e.Type+strings.Repeat("'", e.Part))
	}
	if got := strings.Join(history, " "); got != "opened deposited withdrawn' deposited" {
		t.Fatalf("history: %s", got)
	}
	for e, err := range b.system.History(t.Context(), stream("a"), 0) {
		if err != nil || e.Type == "deposited" && e.Part == 0 {
			break // between two parts
		}
	}
	c := b.commits(t, "a")
	if e := c[len(c)-1].Events[0]; e.Schema != 1 {
		t.Fatalf("a new deposit has schema %d", e.Schema)
	}
}

// Merge sees what this build makes of the events in between.
func TestMergeSeesPartsOfOlderEvents(t *testing.T) {
	t.Parallel()
	var since []event
	a := grown()
	a.Merge = func(_ command, between []event) bool { since = between; return true }
	b := newBench(t, func(c *actor.Config) { c.Aggregates = []actor.Definition{a} })
	sender := actor.For(b.system, a)
	older(t, b, "a", stored(t, "opened", 1, openedV1{"Ann"}), stored(t, "swapped", 1, swappedV1{In: 9, Out: 4}), stored(t, "noised", 1, noisedV1{}))
	with := actor.Command{Expected: 1, HasExpected: true, OnConflict: actor.Merge}
	if _, err := sender.ExecuteWith(t.Context(), "a", deposit{Cents: 1}, with); err != nil {
		t.Fatal(err)
	}
	if len(since) != 2 || since[0] != (deposited{Cents: 9}) || since[1] != (withdrawn{Cents: 4}) {
		t.Fatalf("merge saw %v", since)
	}
}

func TestCommandsOfOlderSchemas(t *testing.T) {
	t.Parallel()
	b := grownBench(t)
	send := func(name string, schema int, body string) error {
		_, err := b.system.Execute(t.Context(), actor.Command{Stream: stream("a"), Name: name, Schema: schema, Body: []byte(body), Codec: store.JSON})
		return err
	}
	for _, test := range []struct {
		name, body string
		schema     int
		want       error
	}{
		{"open", `{"owner":"Ann"}`, 1, store.ErrInvalid},
		{"open", `{"name":"Ann"}`, 0, store.ErrInvalid},
		{"open", `{"name":"Ann"}`, 3, store.ErrUnknownType},
		{"open", `{"name":"Ann"}`, 1, nil},
		{"open", `{"owner":"Ann"}`, 2, errAlreadyOpen},
		{"open", `{"owner":"Ann"}`, 0, errAlreadyOpen},
		{"pay-in", `{"cents":5}`, 1, nil},
		{"pay-in", `{"cents":5}`, 0, nil},
		{"start", `{"owner":"Ann"}`, 1, store.ErrInvalid}, // one command is one decision
		{"break", `{}`, 1, actor.ErrInternal},
	} {
		if err := send(test.name, test.schema, test.body); !errors.Is(err, test.want) || test.want == nil && err != nil {
			t.Errorf("%s v%d %s: %v, want %v", test.name, test.schema, test.body, err, test.want)
		}
	}
	if a, _ := b.state(t, "a"); a.Owner != "Ann" || a.Cents != 10 {
		t.Fatalf("%+v", a)
	}
	if name := b.commits(t, "a")[1].Commands[0].Name; name != "deposit" {
		t.Errorf("the command is stored as %q", name)
	}
}

// A step that panics is an error of who asked, for each way to the event.
func TestStepThatPanics(t *testing.T) {
	t.Parallel()
	b := grownBench(t)
	older(t, b, "a", stored(t, "opened", 1, openedV1{"Ann"}), stored(t, "broken", 1, brokenV1{}))
	_, err := b.sender.Execute(t.Context(), "a", deposit{Cents: 1})
	panicked, ok := errors.AsType[*actor.PanicError](err)
	if !ok || panicked.In != "upcast" || panicked.Stream != stream("a") {
		t.Errorf("a command: %v", err)
	}
	if _, err := b.system.State(t.Context(), stream("a"), actor.At{}); !errors.Is(err, actor.ErrInternal) {
		t.Errorf("the state: %v", err)
	}
	for _, last := range b.system.History(t.Context(), stream("a"), 1) {
		err = last
	}
	if !errors.Is(err, actor.ErrInternal) || errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "upcast of account/a version 2 (event broken v1) panicked") {
		t.Errorf("the history: %v", err)
	}
	if _, err := grown().Upcast(nil, store.MsgPack, stored(t, "broken", 1, brokenV1{})); !errors.Is(err, actor.ErrInternal) || !strings.Contains(err.Error(), "upcast (event broken v1) panicked") {
		t.Errorf("upcast: %v", err)
	}
	b.must(t, "b", open{Owner: "Bob"})
}

// A command that was sent under an old name is stored with the schema of the new
// one, and a repetition is still the same command.
func TestKeptCommandsOfOlderSchemas(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *actor.Config) { c.Aggregates, c.KeepCommands = []actor.Definition{grown()}, true })
	c := actor.Command{Stream: stream("a"), Name: "begin", Schema: 1, Body: []byte(`{"name":"Ann"}`), Codec: store.JSON, ID: "c-1"}
	for _, duplicate := range []bool{false, true} {
		if r, err := b.system.Execute(t.Context(), c); err != nil || r.Duplicate != duplicate {
			t.Fatalf("%+v, %v", r, err)
		}
	}
	kept := b.commits(t, "a")[0].Commands[0]
	back, err := grown().Commands.Decode(store.MsgPack, kept.Name, kept.Schema, kept.Data)
	if err != nil || back != (open{Owner: "Ann"}) || kept.Name != "open" || kept.Schema != 2 {
		t.Errorf("kept as %+v: %+v, %v", kept, back, err)
	}
}
