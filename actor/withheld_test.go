package actor_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Two bodies that differ in personal fields only are one: nothing is kept that could tell.
func TestBodiesWithoutPersonal(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	send := func(c checkIn) (actor.Result, error) {
		return r.sender.ExecuteWith(t.Context(), "d", c, actor.Command{ID: "once"})
	}
	if _, err := send(checkIn{Person: "ann", Name: marker, Floor: 1}); err != nil {
		t.Fatal(err)
	}
	if got, err := send(checkIn{Person: "ann", Name: "Other", Floor: 1}); err != nil || !got.Duplicate {
		t.Errorf("another name: %+v, %v", got, err)
	}
	if _, err := send(checkIn{Person: "ann", Name: marker, Floor: 2}); !errors.Is(err, actor.ErrDuplicateBody) {
		t.Errorf("another floor: %v", err)
	}
	body, err := store.MsgPack.Marshal(checkIn{Person: "ann", Name: marker, Floor: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{marker, "Other"} {
		spelt := []byte(strings.Replace(string(body), marker, (name + strings.Repeat(" ", len(marker)))[:len(marker)], 1))
		got, err := r.system.Execute(t.Context(), actor.Command{Stream: deskID("d"), Name: "check-in", Body: spelt, ID: "twice"})
		if err != nil || got.Duplicate != (name == "Other") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Whatever an aggregate with personal fields says when it fails is kept from logs.
func TestPersonalTextIsNotLogged(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	for _, c := range []deskCommand{blurt{}, mumble{}} {
		_, err := r.sender.Execute(t.Context(), "d", c)
		p, ok := errors.AsType[*actor.PanicError](err)
		if !ok || strings.Contains(fmt.Sprintf("%+v %v", p, p.Value), marker) || !strings.Contains(string(p.Stack), "desk.") {
			t.Errorf("%T: %+v", c, err)
		}
	}
	_, err := r.sender.Execute(t.Context(), "d", stumbl{})
	if p, ok := errors.AsType[*actor.PanicError](err); !ok || !strings.Contains(fmt.Sprint(p.Value), "out of range") {
		t.Errorf("what the runtime says: %v", err)
	}
	_, err = r.sender.Execute(t.Context(), "d", refuse{})
	if !errors.Is(err, actor.ErrRejected) || !strings.Contains(err.Error(), marker) {
		t.Errorf("the sender is told %v", err)
	}
	if logged := r.logged.String(); strings.Contains(logged, marker) || strings.Count(logged, "aggregate panicked") != 3 {
		t.Errorf("logged: %s", logged)
	}
}

// An event, a state and a kept command that this build cannot read are not quoted.
func TestPersonalBytesAreNotQuoted(t *testing.T) {
	t.Parallel()
	type checkedInToday struct {
		Person string    `json:"person"`
		Name   time.Time `json:"name" personal:"person"` // it was text once
	}
	for _, codec := range []store.Codec{store.MsgPack, store.JSON} {
		r := newReception(t, codec, func(c *actor.Config) { c.SnapshotEvery = 1 })
		stop := r.run(t)
		r.must(t, "d", checkIn{Person: "ann", Name: marker})
		eventually(t, "a snapshot", func() bool { return len(r.snaps.all()) > 0 })
		stop()
		type today struct {
			Names map[string]time.Time `json:"names"`
		}
		r.config.Aggregates = []actor.Definition{actor.Aggregate[today, deskCommand, any]{
			Type: "desk", Commands: desks.Commands, Events: store.NewTypes(map[string]any{"checked-in": checkedInToday{}}),
			Decide: func(today, deskCommand) ([]any, error) { return nil, nil },
			Evolve: func(s today, _ any) today { return s },
		}}
		r.start(t)
		_, err := r.system.Execute(t.Context(), actor.Command{Stream: deskID("d"), Name: "ring"})
		if !errors.Is(err, store.ErrDamaged) || strings.Contains(err.Error(), marker) || !strings.Contains(err.Error(), "withheld") {
			t.Errorf("%s: %v", codec.Name(), err)
		}
		for e, err := range r.system.History(t.Context(), deskID("d"), 0) {
			if err == nil || strings.Contains(err.Error(), marker) {
				t.Errorf("%s: history has %+v, %v", codec.Name(), e, err)
			}
		}
		logged := r.logged.String()
		if strings.Contains(logged, marker) || !strings.Contains(logged, "stream is not served") || !strings.Contains(logged, "snapshot is not used") {
			t.Errorf("%s: logged: %s", codec.Name(), logged)
		}
	}
}

// History and changes say what is missing; a state of the past is without it, too.
func TestHistoryOfTheForgotten(t *testing.T) {
	t.Parallel()
	r := newReception(t, nil, nil)
	r.must(t, "d", ring{})
	r.must(t, "d", checkIn{Person: "ann", Name: marker})
	r.must(t, "d", greet{Person: "ann"})
	r.erase(t, "ann")
	var got []string
	for e, err := range r.system.History(t.Context(), deskID("d"), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(e.Type, e.Shredded))
		if in, ok := e.Data.(checkedIn); ok && (in.Name != "" || !in.Gone.Has("name")) {
			t.Errorf("%+v", in)
		}
	}
	want := []string{"rung[]", "checked-in[name]", "greeted[text]"}
	if !slices.Equal(got, want) {
		t.Errorf("history %q, want %q", got, want)
	}
	got = nil
	for e, err := range r.system.Changes(t.Context(), deskID("d"), 0) {
		if err != nil || strings.Contains(fmt.Sprintf("%s", e.Data), marker) {
			t.Fatalf("%s, %v", e.Data, err)
		}
		got = append(got, fmt.Sprint(e.Type, e.Shredded))
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	diff, err := r.system.Diff(t.Context(), deskID("d"), actor.At{Version: 1}, actor.At{Version: 2})
	if err != nil || strings.Contains(fmt.Sprintf("%+v", diff), marker) || len(diff.Changes) == 0 {
		t.Errorf("%+v, %v", diff, err)
	}
}

func TestReservedTypes(t *testing.T) {
	t.Parallel()
	named := func(name string) actor.Definition {
		return desksWith(func(a *actor.Aggregate[desk, deskCommand, deskEvent]) { a.Type = name })
	}
	memory := store.NewMemory(store.MemoryConfig{})
	for _, test := range []struct {
		users, builtin []actor.Definition
		fails          bool
	}{
		{users: []actor.Definition{named("annals-desk")}, fails: true},
		{builtin: []actor.Definition{named("desk")}, fails: true},
		{users: []actor.Definition{named("annals")}, builtin: []actor.Definition{named("annals-desk")}},
		{builtin: []actor.Definition{named("annals-desk"), named("annals-desk")}, fails: true},
	} {
		s, err := actor.NewSystem(actor.Config{Log: memory, Aggregates: test.users, Builtin: test.builtin})
		if (err != nil) != test.fails {
			t.Errorf("%v and %v: %v", test.users, test.builtin, err)
		}
		if err == nil {
			if _, err := s.Execute(t.Context(), actor.Command{Stream: store.StreamID{Type: "annals-desk", ID: "1"}, Name: "ring"}); err != nil {
				t.Error(err)
			}
			if d := s.Definitions(); len(d) != 1 || d[0].TypeName() != "annals" {
				t.Errorf("it tells of %v", d)
			}
		}
	}
}
