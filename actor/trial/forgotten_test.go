package trial_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/actor/trial"
	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

type (
	enter struct {
		Person string `json:"person"`
		Name   string `json:"name" personal:"person"`
	}
	call    struct{} // by the last name
	entered struct {
		Person string `json:"person"`
		Name   string `json:"name" personal:"person"`
	}
	called struct {
		Person string `json:"person"`
		Letter string `json:"letter"`
	}
	room struct {
		Person string `json:"person"`
		Name   string `json:"name"`
	}
	rooms = actor.Aggregate[room, command, event]
)

func (enter) isCommand() {}
func (call) isCommand()  {}
func (entered) isEvent() {}
func (called) isEvent()  {}

// buildRooms returns an aggregate that falls over a name that is gone, if it is told to.
func buildRooms(fragile bool) rooms {
	return rooms{
		Type: "room",
		Decide: func(r room, c command) ([]event, error) {
			switch c := c.(type) {
			case enter:
				return []event{entered(c)}, nil
			case call:
				return []event{called{Person: r.Person, Letter: r.Name[:min(1, len(r.Name))]}}, nil
			}
			return nil, nil
		},
		Evolve: func(r room, e event) room {
			if e, ok := e.(entered); ok {
				if fragile && e.Name == "" {
					panic("who is " + e.Person)
				}
				r = room(e)
			}
			return r
		},
		Commands: store.NewTypes(map[string]command{"enter": enter{}, "call": call{}}),
		Events:   store.NewTypes(map[string]event{"entered": entered{}, "called": called{}}),
	}
}

// house is a log with rooms in it that keeps commands and seals what is personal.
type house struct {
	log    *privacy.Log
	snaps  *privacy.Snapshots
	forget func(subject string)
}

func newHouse(t *testing.T) *house {
	t.Helper()
	path := t.TempDir() + "/keys"
	if err := privacy.GenerateFile(path, "first"); err != nil {
		t.Fatal(err)
	}
	wrapper, err := privacy.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys := privacy.NewMemory()
	ring, err := privacy.NewKeyring(privacy.KeyringConfig{Keys: keys, Wrapper: wrapper})
	if err != nil {
		t.Fatal(err)
	}
	forgetter, err := privacy.NewForgetter(privacy.ForgetterConfig{
		Keys: keys, Purge: ring.Purge,
		Notice: func(context.Context, privacy.Erasure, string) (store.Position, error) { return 1, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	memory := store.NewMemory(store.MemoryConfig{})
	h := &house{log: privacy.NewLog(memory, ring), snaps: privacy.NewSnapshots(memory, ring)}
	h.forget = func(subject string) {
		if _, err := forgetter.Forget(t.Context(), privacy.Request{Subject: subject, By: "officer", Why: "asked"}); err != nil {
			t.Fatal(err)
		}
	}
	system, err := actor.NewSystem(actor.Config{
		Log: h.log, Aggregates: []actor.Definition{buildRooms(false)}, Keyring: ring, KeepCommands: true,
		Builtin: []actor.Definition{func() rooms { a := buildRooms(false); a.Type = "annals-room"; return a }()},
	})
	if err != nil {
		t.Fatal(err)
	}
	sender := actor.For(system, buildRooms(false))
	for _, c := range []struct {
		id   string
		send command
	}{
		{"1", enter{"ann", "Ann"}},
		{"1", call{}},
		{"1", enter{"bob", "Bob"}},
		{"1", call{}},
		{"2", enter{"bob", "Bob"}},
		{"2", call{}},
	} {
		if _, err := sender.Execute(t.Context(), c.id, c.send); err != nil {
			t.Fatal(err)
		}
	}
	own := store.StreamID{Type: "annals-room", ID: "1"}
	if _, err := system.Execute(t.Context(), actor.Command{Stream: own, Name: "call"}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) trial(t *testing.T, fragile bool) *trial.Trial {
	t.Helper()
	r, err := trial.New(trial.Config{Log: h.log, Snapshots: h.snaps, Aggregates: []actor.Definition{buildRooms(fragile)}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What was forgotten is no failure and no difference, and this module's own streams are
// nobody's.
func TestTrialOfTheForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	sum, all := whatif(t, h.trial(t, false))
	want := trial.Summary{Events: 6, Streams: 2, Commands: 6, Position: sum.Position}
	if diff := cmp.Diff(want, sum); diff != "" || len(all) != 0 {
		t.Errorf("before: %v (-want +got):\n%s", all, diff)
	}
	h.forget("ann")
	sum, all = whatif(t, h.trial(t, false))
	// Ann's command, and the call by her name; what was said of Bob comes to the same.
	want = trial.Summary{Events: 6, Streams: 2, Commands: 4, Forgotten: 2, Position: sum.Position}
	if diff := cmp.Diff(want, sum); diff != "" || len(all) != 0 {
		t.Errorf("after: %v (-want +got):\n%s", all, diff)
	}
	report, err := h.trial(t, false).Schema(t.Context())
	if err != nil || report.Failures != 0 || report.Events != 6 || report.Streams != 2 {
		t.Errorf("schema: %+v, %v", report, err)
	}
}

// A build that cannot do without a name is found out, and not by the name of somebody.
func TestTrialFindsWhatNeedsTheForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.forget("ann")
	report, err := h.trial(t, true).Schema(t.Context())
	if err != nil || report.Failures != 1 || !strings.Contains(report.Failed[0].Reason, "withheld") || strings.Contains(report.Failed[0].Reason, "ann") {
		t.Errorf("schema: %+v, %v", report, err)
	}
}
